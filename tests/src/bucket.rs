//! A KV bucket, written and read by the bare client: the truth.

use std::collections::BTreeMap;
use std::time::Duration;

use alluvium::Sequence;
use async_nats::jetstream::{self, kv};
use futures_util::StreamExt as _;

use crate::{NatsServer, wait};

/// Until a server that was killed takes a value again.
const PATIENCE: Duration = Duration::from_secs(10);

/// Until the next message comes, if there still is one.
const NEXT: Duration = Duration::from_secs(2);

/// Key to value and sequence.
pub type Rows = BTreeMap<Vec<u8>, (Vec<u8>, u64)>;

/// A bucket, through the bare client.
#[derive(Clone, Debug)]
pub struct Bucket {
    /// The `JetStream` context it is reached by.
    pub context: jetstream::Context,
    store: kv::Store,
}

impl Bucket {
    /// A new bucket that keeps the last message of each key, on disk.
    ///
    /// # Panics
    ///
    /// If the server refuses.
    pub async fn create(server: &NatsServer, name: &str) -> Self {
        let config = kv::Config {
            bucket: name.to_owned(),
            history: 1,
            ..kv::Config::default()
        };
        Self::create_with(server, config).await
    }

    /// A new bucket as configured.
    ///
    /// # Panics
    ///
    /// If the server refuses.
    pub async fn create_with(server: &NatsServer, config: kv::Config) -> Self {
        let context = jetstream::new(server.client().await);
        let store = context
            .create_key_value(config)
            .await
            .expect("the bucket is made");
        Self { context, store }
    }

    /// The bucket of a new stream that is configured by hand.
    ///
    /// # Panics
    ///
    /// If the server refuses.
    pub async fn of_stream(server: &NatsServer, name: &str, config: jetstream::stream::Config) -> Self {
        let context = jetstream::new(server.client().await);
        context.create_stream(config).await.expect("the stream is made");
        let store = context.get_key_value(name).await.expect("the bucket is there");
        Self { context, store }
    }

    /// Puts a value. Tried again until the server has it: servers are killed here.
    ///
    /// # Panics
    ///
    /// If it never has.
    pub async fn put(&self, key: &str, value: &str) -> Sequence {
        wait::until_ok(PATIENCE, &format!("the server takes {key}"), || async {
            self.store
                .put(key, value.to_owned().into())
                .await
                .map(Sequence::new)
        })
        .await
    }

    /// Deletes a key: leaves a marker.
    ///
    /// # Panics
    ///
    /// If the server refuses.
    pub async fn delete(&self, key: &str) -> Sequence {
        self.store.delete(key).await.expect("the delete is stored");
        self.last().await
    }

    /// Purges a key: its history goes, and a marker stays.
    ///
    /// # Panics
    ///
    /// If the server refuses.
    pub async fn purge(&self, key: &str) -> Sequence {
        self.store.purge(key).await.expect("the purge is stored");
        self.last().await
    }

    /// The last sequence of the bucket's stream.
    ///
    /// # Panics
    ///
    /// If the server does not answer.
    pub async fn last(&self) -> Sequence {
        let stream = self
            .context
            .get_stream(&self.store.stream_name)
            .await
            .expect("the stream is there");
        Sequence::new(stream.cached_info().state.last_sequence)
    }

    /// The bucket's own handle.
    pub fn store(&self) -> &kv::Store {
        &self.store
    }

    /// What the bucket holds now, as the bare client tells it.
    ///
    /// # Panics
    ///
    /// If the server does not answer.
    pub async fn truth(&self) -> Rows {
        loop {
            if let Some(rows) = self.look().await {
                return rows;
            }
        }
    }

    /// What the bucket holds, unless that has expired before it came.
    async fn look(&self) -> Option<Rows> {
        let stream = self
            .context
            .get_stream(&self.store.stream_name)
            .await
            .expect("the stream is there");
        let mut rows = Rows::new();
        let messages = stream.cached_info().state.messages;
        if messages == 0 {
            return Some(rows);
        }
        let consumer = stream
            .create_consumer(jetstream::consumer::pull::OrderedConfig::default())
            .await
            .expect("a consumer is made");
        let mut drained = consumer.messages().await.expect("the consumer is read");
        while let Some(message) = tokio::time::timeout(NEXT, drained.next()).await.ok()? {
            let message = message.expect("a message");
            let (sequence, pending) = message
                .info()
                .map(|info| (info.stream_sequence, info.pending))
                .expect("a reply");
            let key = message
                .subject
                .splitn(3, '.')
                .nth(2)
                .expect("a key")
                .as_bytes()
                .to_vec();
            let headers = message.headers.clone().unwrap_or_default();
            if headers.get("KV-Operation").is_some() || headers.get("Nats-Marker-Reason").is_some() {
                rows.remove(&key);
            } else {
                rows.insert(key, (message.payload.to_vec(), sequence));
            }
            if pending == 0 {
                break;
            }
        }
        Some(rows)
    }
}
