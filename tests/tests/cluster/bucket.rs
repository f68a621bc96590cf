//! A bucket on all three nodes, read by the client's own means.

use std::time::Duration;

use alluvium::{KvLog, Sequence};
use alluvium_e2e::bucket::Rows;
use alluvium_e2e::nats_cluster::{NODES, PATIENCE};
use alluvium_e2e::{NatsCluster, full};
use async_nats::jetstream::{self, kv};
use futures_util::TryStreamExt as _;
use tokio::time::Instant;

/// Between two attempts at what a cluster in trouble does not do.
const PAUSE: Duration = Duration::from_millis(100);

/// A bucket of three replicas.
pub(crate) struct Bucket {
    pub(crate) name: &'static str,
    pub(crate) stream: String,
    store: kv::Store,
    context: jetstream::Context,
}

impl Bucket {
    /// A new one that keeps so many messages of each key.
    pub(crate) async fn create(cluster: &NatsCluster, name: &'static str, history: i64) -> Self {
        let context = jetstream::new(cluster.client().await);
        let config = kv::Config {
            bucket: name.to_owned(),
            history,
            num_replicas: NODES,
            ..kv::Config::default()
        };
        let store = context
            .create_key_value(config)
            .await
            .expect("the bucket is made");
        Self {
            name,
            stream: store.stream_name.clone(),
            store,
            context,
        }
    }

    /// Puts a value, again and again until that is acknowledged.
    pub(crate) async fn put(&self, key: &str, value: impl Into<bytes::Bytes>) -> Sequence {
        let (begin, value) = (Instant::now(), value.into());
        loop {
            match self.store.put(key, value.clone()).await {
                Ok(sequence) => return Sequence::new(sequence),
                Err(error) => assert!(begin.elapsed() < PATIENCE, "{key} is not taken: {error}"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The log that it is.
    pub(crate) async fn log(&self, cluster: &NatsCluster) -> KvLog {
        KvLog::builder(cluster.client().await, self.name)
            .request_timeout(Duration::from_secs(2))
            .open()
            .await
            .expect("the bucket is opened")
    }

    /// The stream's last sequence. The cluster is whole again.
    pub(crate) async fn last(&self) -> Sequence {
        let stream = self
            .context
            .get_stream(&self.stream)
            .await
            .expect("the stream is there");
        Sequence::new(stream.cached_info().state.last_sequence)
    }

    /// When the message at a sequence was stored, in nanoseconds since 1970.
    pub(crate) async fn stored_at(&self, sequence: Sequence) -> i128 {
        let stream = self
            .context
            .get_stream(&self.stream)
            .await
            .expect("the stream is there");
        let message = stream.get_raw_message(sequence.get()).await;
        message.expect("the message is there").time.unix_timestamp_nanos()
    }

    /// What it holds, as the client lists it, key by key. All nodes must be in step: the client asks any of them.
    pub(crate) async fn truth(&self) -> Rows {
        let keys: Vec<String> = self
            .store
            .keys()
            .await
            .expect("the keys are listed")
            .try_collect()
            .await
            .expect("the keys are listed");
        let mut rows = Rows::new();
        for key in keys {
            let entry = self.store.entry(&key).await.expect("a key is read");
            let entry = entry.expect("a key that is listed is there");
            assert_eq!(entry.operation, kv::Operation::Put, "{key} is listed");
            rows.insert(key.into_bytes(), (entry.value.to_vec(), entry.revision));
        }
        rows
    }
}

/// Waits until a stream has no more than so many consumers.
pub(crate) async fn consumers_become(cluster: &NatsCluster, stream: &str, most: usize) {
    let begin = Instant::now();
    let mut count = None;
    while count.is_none_or(|count| count > most) {
        assert!(
            begin.elapsed() < PATIENCE,
            "{count:?} consumers are left of {stream}, {most} are in use"
        );
        tokio::time::sleep(PAUSE).await;
        count = cluster.consumers(stream).await;
    }
}

/// A count for the full length, or the short form's.
pub(crate) fn at_length<T>(long: T, short: T) -> T {
    if full() { long } else { short }
}
