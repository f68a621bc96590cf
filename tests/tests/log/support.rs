//! What the tests of the log share.

use std::sync::Arc;
use std::time::Duration;

use alluvium::{Change, KvLog, Log, LogBuilder, LogError, LogEvent, LogStream, Scope, Sequence, StreamLog};
use alluvium_e2e::{NatsServer, wait};
use async_nats::jetstream::{self, consumer, stream};
use async_nats::{Client, ConnectOptions, HeaderMap};
use futures_util::StreamExt as _;
use tokio::time::timeout;

/// The bucket of every test.
pub(crate) const BUCKET: &str = "b";
/// The plain stream of every test.
pub(crate) const STREAM: &str = "S";
/// The subjects of that stream: the keys that tests use.
const SUBJECTS: [&str; 20] = [
    "a", "a.>", "after", "b", "b.>", "c", "c.>", "certs.>", "eu", "first", "flags.>", "key", "key.>", "new",
    "next", "one", "other", "routes.>", "second", "size.*",
];
/// Until something must have come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What is read as a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A KV bucket.
    Bucket,
    /// A stream of several subjects.
    Stream,
}

impl Kind {
    pub(crate) fn stream_name(self) -> String {
        match self {
            Self::Bucket => format!("KV_{BUCKET}"),
            Self::Stream => STREAM.to_owned(),
        }
    }

    /// Where a message is to be published to have this key.
    pub(crate) fn subject(self, key: &str) -> String {
        match self {
            Self::Bucket => format!("$KV.{BUCKET}.{key}"),
            Self::Stream => key.to_owned(),
        }
    }
}

/// A server with a log.
pub(crate) struct Fixture {
    pub(crate) kind: Kind,
    pub(crate) server: NatsServer,
    pub(crate) context: jetstream::Context,
}

impl Fixture {
    /// With the last message of each key kept.
    pub(crate) async fn new(kind: Kind) -> Self {
        Self::with_history(kind, 1).await
    }

    /// With so many messages of each key kept.
    pub(crate) async fn with_history(kind: Kind, history: i64) -> Self {
        let server = NatsServer::start().await;
        let context = jetstream::new(server.client().await);
        let fixture = Self {
            kind,
            server,
            context,
        };
        fixture.create(history).await;
        fixture
    }

    /// Makes the log.
    pub(crate) async fn create(&self, history: i64) {
        match self.kind {
            Kind::Bucket => {
                // As clients make them, but for a message that can be deleted.
                let config = stream::Config {
                    name: self.kind.stream_name(),
                    subjects: vec![self.kind.subject(">")],
                    max_messages_per_subject: history,
                    allow_rollup: true,
                    allow_direct: true,
                    discard: stream::DiscardPolicy::New,
                    ..stream::Config::default()
                };
                self.context.create_stream(config).await.unwrap();
            }
            Kind::Stream => {
                let config = stream::Config {
                    name: STREAM.to_owned(),
                    subjects: SUBJECTS.map(str::to_owned).to_vec(),
                    max_messages_per_subject: history,
                    ..stream::Config::default()
                };
                self.context.create_stream(config).await.unwrap();
            }
        }
    }

    /// The log by way of a client of its own.
    pub(crate) async fn log(&self) -> Arc<dyn Log> {
        open(self.kind, self.server.client().await).await
    }

    /// The stream that is read.
    pub(crate) async fn stream(&self) -> stream::Stream {
        self.context.get_stream(self.kind.stream_name()).await.unwrap()
    }

    /// Puts a value. Tried again until the server has it: servers are killed here.
    pub(crate) async fn put(&self, key: &str, value: &str) -> Sequence {
        put(self.kind, &self.context, key, value.to_owned(), HeaderMap::new()).await
    }

    /// Puts keys `key.<first>` and so on, each with a value of so many bytes.
    pub(crate) async fn fill(&self, first: u64, count: u64, bytes: usize) {
        fill(self.kind, &self.context, first, count, bytes).await;
    }

    pub(crate) async fn consumers(&self) -> Vec<consumer::Info> {
        consumers(&self.stream().await).await
    }

    /// Deletes every consumer of the log, as an operator might.
    pub(crate) async fn delete_consumers(&self) {
        for consumer in self.consumers().await {
            self.stream().await.delete_consumer(&consumer.name).await.unwrap();
        }
    }

    /// Waits until the server has so many consumers of the log.
    pub(crate) async fn consumers_become(&self, count: usize) {
        wait::until_ok(PATIENCE, &format!("there are {count} consumers"), || async {
            let consumers = self.consumers().await;
            if consumers.len() == count {
                Ok(())
            } else {
                Err(consumers)
            }
        })
        .await;
    }

    /// Deletes the log.
    pub(crate) async fn delete(&self) {
        self.context.delete_stream(self.kind.stream_name()).await.unwrap();
    }
}

async fn consumers(stream: &stream::Stream) -> Vec<consumer::Info> {
    let mut consumers = Vec::new();
    let mut page = stream.consumers();
    while let Some(consumer) = page.next().await {
        consumers.push(consumer.unwrap());
    }
    consumers
}

pub(crate) async fn put(
    kind: Kind,
    context: &jetstream::Context,
    key: &str,
    value: impl Into<bytes::Bytes>,
    headers: HeaderMap,
) -> Sequence {
    let value = value.into();
    wait::until_ok(PATIENCE, &format!("the server takes {key}"), || async {
        let subject = kind.subject(key);
        let sent = if headers.is_empty() {
            context.publish(subject, value.clone()).await
        } else {
            context
                .publish_with_headers(subject, headers.clone(), value.clone())
                .await
        };
        sent?.await.map(|stored| Sequence::new(stored.sequence))
    })
    .await
}

pub(crate) async fn fill(kind: Kind, context: &jetstream::Context, first: u64, count: u64, bytes: usize) {
    let keys = (first..first + count).map(|index| format!("key.{index}"));
    put_all(kind, context, keys, &bytes::Bytes::from(vec![b'x'; bytes])).await;
}

/// Puts a value under each of these keys, in their order.
pub(crate) async fn put_all(
    kind: Kind,
    context: &jetstream::Context,
    keys: impl IntoIterator<Item = String>,
    value: &bytes::Bytes,
) {
    let mut acknowledgements = Vec::new();
    for key in keys {
        let published = context.publish(kind.subject(&key), value.clone());
        acknowledgements.push(published.await.unwrap());
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

pub(crate) async fn open(kind: Kind, client: Client) -> Arc<dyn Log> {
    tuned(kind, client, Tuned::default())
        .await
        .expect("the log is opened")
}

/// What a test has to say about a log.
pub(crate) struct Tuned {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    pub(crate) timeout: Duration,
    pub(crate) domain: Option<&'static str>,
    /// Instead of its own.
    pub(crate) name: Option<&'static str>,
}

impl Default for Tuned {
    fn default() -> Self {
        Self {
            messages: 16_384,
            bytes: 8 << 20,
            timeout: Duration::from_secs(5),
            domain: None,
            name: None,
        }
    }
}

impl Tuned {
    fn tune<L>(&self, builder: LogBuilder<L>) -> LogBuilder<L> {
        let builder = builder
            .max_in_flight_messages(self.messages)
            .max_in_flight_bytes(self.bytes)
            .request_timeout(self.timeout);
        match self.domain {
            None => builder,
            Some(domain) => builder.domain(domain),
        }
    }
}

pub(crate) async fn tuned(kind: Kind, client: Client, tuned: Tuned) -> Result<Arc<dyn Log>, LogError> {
    Ok(match kind {
        Kind::Bucket => Arc::new(
            tuned
                .tune(KvLog::builder(client, tuned.name.unwrap_or(BUCKET)))
                .open()
                .await?,
        ),
        Kind::Stream => Arc::new(
            tuned
                .tune(StreamLog::builder(client, tuned.name.unwrap_or(STREAM)))
                .open()
                .await?,
        ),
    })
}

/// A client that is quick to come back.
pub(crate) async fn client(url: &str) -> Client {
    options().connect(url).await.expect("a client connects")
}

pub(crate) fn options() -> ConnectOptions {
    ConnectOptions::new().reconnect_delay_callback(|_| Duration::from_millis(5))
}

pub(crate) async fn read(log: &Arc<dyn Log>, from: u64) -> LogStream {
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
