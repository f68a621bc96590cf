//! [`KvLog`]: a KV bucket as a log.

use std::sync::Arc;

use alluvium_core::{
    Bounds, Change, Holdings, KeyStream, ListStream, Log, LogError, LogStream, Scope, Sequence, Survey,
};
use async_nats::Client;
use async_trait::async_trait;

use crate::builder::LogBuilder;
use crate::jetstream::JetStream;
use crate::mapping::Mapping;
use crate::subject;

/// A JetStream KV bucket as a [`Log`].
///
/// Every read is one consumer on the server, whatever the scope, and two pulls that bound what is in flight. The
/// [crate's documentation](crate) says what becomes of a read when connections, servers and consumers come and go.
///
/// ```
/// use alluvium_core::{Log, LogEvent, Scope, Sequence};
/// use alluvium_nats::KvLog;
/// use futures_util::StreamExt;
///
/// async fn print(client: async_nats::Client) -> Result<(), Box<dyn std::error::Error>> {
///     let log = KvLog::open(client, "routes").await?;
///     let mut changes = log.read(Sequence::FIRST, &Scope::of(["eu.>"])?).await?;
///     while let Some(event) = changes.next().await {
///         match event? {
///             LogEvent::Change(change) => println!("{:?} at {}", change.key, change.sequence),
///             LogEvent::CaughtUp(sequence) => println!("that is all up to {sequence}"),
///         }
///     }
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct KvLog {
    log: JetStream,
    bucket: Arc<str>,
}

/// How a [`KvLog`] reaches its bucket.
pub type KvLogBuilder = LogBuilder<KvLog>;

impl LogBuilder<KvLog> {
    /// Looks whether the bucket is there.
    ///
    /// # Errors
    ///
    /// [`LogError::NotFound`] if it is not, or cannot be because no bucket can have such a name;
    /// [`LogError::Unavailable`] if nobody answers, [`LogError::Refused`] if the server says no.
    pub async fn open(self) -> Result<KvLog, LogError> {
        let stream = subject::stream_of(&self.name);
        if !subject::is_bucket(&self.name) {
            return Err(LogError::NotFound { log: stream });
        }
        let bucket: Arc<str> = self.name.as_str().into();
        let log = self.look(stream, Mapping::Bucket(Arc::clone(&bucket))).await?;
        Ok(KvLog { log, bucket })
    }
}

impl KvLog {
    /// The bucket as a log, by way of this client.
    ///
    /// # Errors
    ///
    /// As [`KvLogBuilder::open`].
    pub async fn open(client: Client, bucket: impl Into<String>) -> Result<Self, LogError> {
        Self::builder(client, bucket).open().await
    }

    /// The same, with more to say.
    pub fn builder(client: Client, bucket: impl Into<String>) -> KvLogBuilder {
        LogBuilder::new(client, bucket.into())
    }

    /// The bucket's name.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }
}

#[async_trait]
impl Log for KvLog {
    fn name(&self) -> &str {
        self.log.name()
    }

    async fn bounds(&self) -> Result<Bounds, LogError> {
        self.log.bounds().await
    }

    async fn survey(&self) -> Result<Survey, LogError> {
        self.log.survey().await
    }

    /// As the trait says, in one answer of the server.
    async fn holdings(&self, most: u64) -> Result<Option<Holdings>, LogError> {
        self.log.holdings(most).await
    }

    async fn read(&self, from: Sequence, scope: &Scope) -> Result<LogStream, LogError> {
        self.log.read(from, scope).await
    }

    /// As the trait says. A key that is overwritten while the listing runs may come twice; the later one is the latest.
    async fn current(&self, scope: &Scope) -> Result<LogStream, LogError> {
        self.log.current(scope).await
    }

    /// As [`current`](Log::current), without the payloads.
    async fn list(&self, scope: &Scope) -> Result<ListStream, LogError> {
        self.log.list(scope).await
    }

    /// As the trait says. A key that is overwritten meanwhile may come twice.
    async fn keys(&self, scope: &Scope) -> Result<KeyStream, LogError> {
        self.log.keys(scope).await
    }

    async fn message_at(&self, sequence: Sequence) -> Result<Option<Change>, LogError> {
        self.log.message_at(sequence).await
    }
}
