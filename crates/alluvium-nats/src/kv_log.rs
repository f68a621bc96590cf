//! [`KvLog`]: a KV bucket as a log.

use std::sync::Arc;
use std::time::Duration;

use alluvium_core::{
    Bounds, Change, KeyStream, Log, LogError, LogEvent, LogStream, Retention, Scope, Sequence,
};
use async_nats::Client;
use async_nats::jetstream::stream;
use async_trait::async_trait;
use futures_util::StreamExt as _;

use crate::api::Api;
use crate::consumer::{self, Course, Purpose};
use crate::reader::{Budget, Reader};
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
    api: Arc<Api>,
    bucket: Arc<str>,
    budget: Budget,
}

/// How a [`KvLog`] reaches its bucket.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `open`"]
pub struct KvLogBuilder {
    client: Client,
    bucket: String,
    prefix: String,
    timeout: Duration,
    budget: Budget,
}

impl KvLogBuilder {
    /// The bucket is in this JetStream domain.
    pub fn domain(mut self, domain: impl AsRef<str>) -> Self {
        self.prefix = format!("$JS.{}.API", domain.as_ref());
        self
    }

    /// The JetStream API is found below this subject, as an import from another account may have it.
    pub fn api_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Until a request is given up that the server does not answer. 5 seconds by default.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How many messages a read may have in flight: with the server's consent, on the way, or waiting in the client.
    /// 16,384 by default; more than the client's `subscription_capacity` is found out and halved until it fits.
    pub fn max_in_flight_messages(mut self, messages: u64) -> Self {
        self.budget.messages = messages.max(1);
        self
    }

    /// How many bytes a read may have in flight. 8 MiB by default. A message larger than half of it travels alone.
    pub fn max_in_flight_bytes(mut self, bytes: u64) -> Self {
        self.budget.bytes = bytes.max(1);
        self
    }

    /// Looks whether the bucket is there.
    ///
    /// # Errors
    ///
    /// [`LogError::NotFound`] if it is not, or cannot be because no bucket can have such a name;
    /// [`LogError::Unavailable`] if nobody answers, [`LogError::Refused`] if the server says no.
    pub async fn open(self) -> Result<KvLog, LogError> {
        let stream = subject::stream_of(&self.bucket);
        if !subject::is_bucket(&self.bucket) {
            return Err(LogError::NotFound { log: stream });
        }
        let log = KvLog {
            api: Arc::new(Api::new(self.client, stream, self.prefix, self.timeout)),
            bucket: self.bucket.into(),
            budget: self.budget,
        };
        log.api.info().await?;
        Ok(log)
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
        KvLogBuilder {
            client,
            bucket: bucket.into(),
            prefix: "$JS.API".to_owned(),
            timeout: Duration::from_secs(5),
            budget: Budget {
                messages: 16_384,
                bytes: 8 << 20,
            },
        }
    }

    /// The bucket's name.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    async fn start(
        &self,
        info: &stream::Info,
        purpose: Purpose,
        from: Sequence,
        scope: &Scope,
    ) -> Result<Reader, LogError> {
        let course = Course {
            purpose,
            bucket: Arc::clone(&self.bucket),
            scope: scope.clone(),
            log: self.api.identity(info),
            position: from.previous(),
            seen: None,
        };
        let open = consumer::open(&self.api, &course, info).await?;
        Ok(Reader::new(Arc::clone(&self.api), course, self.budget, open))
    }

    async fn list(&self, scope: &Scope, headers_only: bool) -> Result<Reader, LogError> {
        let info = self.api.info().await?;
        let purpose = Purpose::List {
            headers_only,
            every: false,
        };
        self.start(&info, purpose, Sequence::FIRST, scope).await
    }

    fn bounds_of(&self, info: &stream::Info) -> Bounds {
        let last = Sequence::new(info.state.last_sequence);
        Bounds {
            log: self.api.identity(info),
            // The server says 0, or what was the first one once.
            first: if info.state.messages == 0 {
                last.next()
            } else {
                Sequence::new(info.state.first_sequence)
            },
            last,
            messages: info.state.messages,
            bytes: info.state.bytes,
            retention: retention(&info.config),
        }
    }
}

fn retention(config: &stream::Config) -> Retention {
    let limit = |limit: i64| u64::try_from(limit).ok().filter(|limit| *limit > 0);
    Retention {
        max_age: Some(config.max_age).filter(|age| !age.is_zero()),
        max_bytes: limit(config.max_bytes),
        max_messages: limit(config.max_messages),
        history: limit(config.max_messages_per_subject),
        message_ttl: config.allow_message_ttl,
    }
}

#[async_trait]
impl Log for KvLog {
    fn name(&self) -> &str {
        &self.api.stream
    }

    async fn bounds(&self) -> Result<Bounds, LogError> {
        let info = self.api.info().await?;
        Ok(self.bounds_of(&info))
    }

    async fn read(&self, from: Sequence, scope: &Scope) -> Result<LogStream, LogError> {
        let info = self.api.info().await?;
        let bounds = self.bounds_of(&info);
        if from > bounds.last.next() {
            return Err(LogError::BeyondEnd {
                log: self.api.stream.clone(),
                from,
                last: bounds.last,
            });
        }
        let from = from.max(bounds.first);
        let reader = self.start(&info, Purpose::Follow, from, scope).await?;
        Ok(Box::pin(reader))
    }

    /// As the trait says. A key that is overwritten while the listing runs moves to the end of the log, and so of the
    /// listing: it may come twice, and the later one is the latest. None is missing. That holds also when the consumer
    /// is lost on the way and the listing goes on with another one: what that one has at or below the last sequence
    /// given has been given, for a message that was overwritten is no longer there, and one that is there was there
    /// when the listing passed.
    async fn current(&self, scope: &Scope) -> Result<LogStream, LogError> {
        Ok(Box::pin(self.list(scope, false).await?))
    }

    /// As the trait says. A key that is overwritten meanwhile may come twice.
    async fn keys(&self, scope: &Scope) -> Result<KeyStream, LogError> {
        let keys = self.list(scope, true).await?.filter_map(|event| {
            std::future::ready(match event {
                Ok(LogEvent::Change(change)) => Some(Ok(change.key)),
                Ok(LogEvent::CaughtUp(_)) => None,
                Err(error) => Some(Err(error)),
            })
        });
        Ok(Box::pin(keys))
    }

    async fn message_at(&self, sequence: Sequence) -> Result<Option<Change>, LogError> {
        self.api.change_at(sequence).await
    }
}
