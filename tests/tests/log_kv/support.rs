//! What the tests of the log share.

use std::time::Duration;

use alluvium::{Change, KvLog, Log, LogError, LogEvent, LogStream, Scope, Sequence};
use alluvium_e2e::NatsServer;
use alluvium_e2e::bucket::Bucket;
use async_nats::jetstream::{consumer, kv};
use async_nats::{Client, ConnectOptions};
use futures_util::StreamExt as _;
use tokio::time::timeout;

/// The bucket of every test.
pub(crate) const BUCKET: &str = "b";
/// Until something must have come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A server with a bucket.
pub(crate) struct Fixture {
    pub(crate) server: NatsServer,
    pub(crate) bucket: Bucket,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        let server = NatsServer::start().await;
        let bucket = Bucket::create(&server, BUCKET).await;
        Self { server, bucket }
    }

    /// With so many messages of each key kept.
    pub(crate) async fn with_history(history: i64) -> Self {
        let server = NatsServer::start().await;
        let config = kv::Config {
            bucket: BUCKET.to_owned(),
            history,
            ..kv::Config::default()
        };
        let bucket = Bucket::create_with(&server, config).await;
        Self { server, bucket }
    }

    /// The log by way of a client of its own.
    pub(crate) async fn log(&self) -> KvLog {
        open(self.server.client().await).await
    }

    /// Puts keys `key.<first>` and so on, each with a value of so many bytes.
    pub(crate) async fn fill(&self, first: u64, count: u64, bytes: usize) {
        fill(&self.bucket, first, count, bytes).await;
    }

    pub(crate) async fn consumers(&self) -> Vec<consumer::Info> {
        consumers(&self.bucket).await
    }

    /// Deletes every consumer of the bucket, as an operator might.
    pub(crate) async fn delete_consumers(&self) {
        for consumer in self.consumers().await {
            let stream = self.bucket.context.get_stream(stream_name()).await.unwrap();
            stream.delete_consumer(&consumer.name).await.unwrap();
        }
    }

    /// Waits until the server has so many consumers of the bucket.
    pub(crate) async fn consumers_become(&self, count: usize) {
        let begin = tokio::time::Instant::now();
        loop {
            let consumers = self.consumers().await;
            if consumers.len() == count {
                return;
            }
            assert!(
                begin.elapsed() < PATIENCE,
                "{} consumers instead of {count}: {consumers:?}",
                consumers.len()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Deletes the bucket.
    pub(crate) async fn delete(&self) {
        self.bucket.context.delete_stream(stream_name()).await.unwrap();
    }
}

pub(crate) fn stream_name() -> String {
    format!("KV_{BUCKET}")
}

pub(crate) async fn consumers(bucket: &Bucket) -> Vec<consumer::Info> {
    let stream = bucket
        .context
        .get_stream(&bucket.store().stream_name)
        .await
        .unwrap();
    let mut consumers = Vec::new();
    let mut page = stream.consumers();
    while let Some(consumer) = page.next().await {
        consumers.push(consumer.unwrap());
    }
    consumers
}

pub(crate) async fn fill(bucket: &Bucket, first: u64, count: u64, bytes: usize) {
    let value = bytes::Bytes::from(vec![b'x'; bytes]);
    let mut acknowledgements = Vec::new();
    for index in first..first + count {
        let subject = format!("$KV.{}.key.{index}", bucket.store().name);
        acknowledgements.push(bucket.context.publish(subject, value.clone()).await.unwrap());
        if acknowledgements.len() == 500 {
            for acknowledgement in acknowledgements.drain(..) {
                acknowledgement.await.unwrap();
            }
        }
    }
    for acknowledgement in acknowledgements {
        acknowledgement.await.unwrap();
    }
}

pub(crate) async fn open(client: Client) -> KvLog {
    KvLog::open(client, BUCKET).await.expect("the bucket is opened")
}

/// A client that is quick to come back.
pub(crate) async fn client(url: &str) -> Client {
    options().connect(url).await.expect("a client connects")
}

pub(crate) fn options() -> ConnectOptions {
    ConnectOptions::new().reconnect_delay_callback(|_| Duration::from_millis(5))
}

pub(crate) async fn read(log: &KvLog, from: u64) -> LogStream {
    log.read(Sequence::new(from), &Scope::all())
        .await
        .expect("a read begins")
}

/// The next event.
pub(crate) async fn event(stream: &mut LogStream) -> LogEvent {
    let event = timeout(PATIENCE, stream.next())
        .await
        .expect("an event comes in time");
    event.expect("the stream goes on").expect("the stream goes well")
}

/// The next change, whatever is said in between.
pub(crate) async fn change(stream: &mut LogStream) -> Change {
    loop {
        if let LogEvent::Change(change) = event(stream).await {
            return change;
        }
    }
}

/// What the stream ends with.
pub(crate) async fn failure(stream: &mut LogStream, patience: Duration) -> LogError {
    let failure = timeout(patience, async {
        loop {
            match stream.next().await.expect("an error before the end") {
                Ok(_) => {}
                Err(error) => return error,
            }
        }
    });
    let error = failure
        .await
        .unwrap_or_else(|_| panic!("no error within {patience:?}"));
    assert!(stream.next().await.is_none(), "an error is the last item");
    error
}

/// Reads on and asserts that exactly the sequences `first..=last` come, in order.
pub(crate) async fn expect(stream: &mut LogStream, first: u64, last: u64) {
    for sequence in first..=last {
        let change = change(stream).await;
        assert_eq!(change.sequence.get(), sequence, "{change:?}");
    }
}
