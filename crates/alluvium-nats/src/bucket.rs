//! A KV bucket that records are kept in: found or created, read, and written by compare-and-swap.

use std::time::Duration;

use alluvium_core::{BoxError, ErrorKind};
use async_nats::jetstream::context::{CreateKeyValueErrorKind, KeyValueErrorKind, PublishError};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use async_nats::jetstream::{self, Context, kv};
use async_nats::{Client, HeaderMap};
use bytes::Bytes;

use crate::reach::Reach;
use crate::{headers, kind, subject};

/// How often a write is tried where nothing shows whether it was done.
const TRIES: u32 = 4;
/// What is waited before the second try; longer before later ones.
const PAUSE: Duration = Duration::from_millis(50);

/// How a bucket is reached.
#[derive(Clone)]
pub(crate) struct Options {
    pub(crate) reach: Reach,
    pub(crate) bucket: String,
    /// Creates the bucket if there is none, on so many servers.
    pub(crate) create: Option<usize>,
    pub(crate) description: &'static str,
}

impl Options {
    pub(crate) fn new(client: Client, bucket: String, description: &'static str) -> Self {
        Self {
            reach: Reach::new(client),
            bucket,
            create: None,
            description,
        }
    }
}

/// What went wrong.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) doing: &'static str,
    /// Of what, below the bucket; empty for the bucket.
    pub(crate) key: String,
    pub(crate) kind: ErrorKind,
    pub(crate) source: BoxError,
}

impl Failure {
    fn new(doing: &'static str, key: &str, kind: ErrorKind, source: impl Into<BoxError>) -> Self {
        Self {
            doing,
            key: key.to_owned(),
            kind,
            source: source.into(),
        }
    }
}

/// What a key holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cell {
    /// `None` where there is none, or was none since it was deleted.
    pub(crate) content: Option<Bytes>,
    pub(crate) headers: HeaderMap,
    /// 0 where there never was any.
    pub(crate) revision: u64,
}

impl Cell {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(async_nats::HeaderValue::as_str)
    }
}

/// What came of a swap.
#[derive(Debug)]
pub(crate) enum Swap {
    /// It was done, and made this revision.
    Done(u64),
    /// Somebody else was there first; this is what is there now.
    Lost(Cell),
}

/// A bucket that is there.
#[derive(Clone)]
pub(crate) struct Bucket {
    store: kv::Store,
    context: Context,
    /// What stands before the verbs of the API.
    prefix: String,
}

impl Bucket {
    /// Looks for the bucket, and creates it where that was asked for.
    pub(crate) async fn open(options: Options) -> Result<Self, Failure> {
        let Options { bucket, .. } = &options;
        if !subject::is_bucket(bucket) {
            let problem = format!("{bucket:?} cannot name a bucket: use A-Z a-z 0-9 _ -");
            return Err(Failure::new("open", "", ErrorKind::Invalid, problem));
        }
        let context = jetstream::ContextBuilder::new()
            .timeout(options.reach.timeout)
            .api_prefix(&options.reach.prefix)
            .build(options.reach.client.clone());
        let store = match (find(&context, bucket).await, options.create) {
            (Err(error), Some(replicas)) if error.kind == ErrorKind::NotFound => {
                let created = create(&context, &options, replicas).await;
                // Somebody else may have been there first, or the answer was lost: then it is there.
                match (find(&context, bucket).await, created) {
                    (Err(_), Err(error)) => Err(error),
                    (found, _) => found,
                }
            }
            (found, _) => found,
        }?;
        Ok(Self {
            store,
            context,
            prefix: options.reach.prefix,
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.store.name
    }

    /// What a key holds, by the stream's leader: any replica may answer a direct get, with what was there before.
    pub(crate) async fn read(&self, key: &str) -> Result<Cell, Failure> {
        let subject = format!("{}{key}", self.store.prefix);
        match self.store.stream.get_last_raw_message_by_subject(&subject).await {
            Ok(message) => Ok(Cell {
                content: headers::deleted(&message.headers)
                    .is_none()
                    .then_some(message.payload),
                headers: message.headers,
                revision: message.sequence,
            }),
            Err(error) => {
                let kind = match error.kind() {
                    LastRawMessageErrorKind::NoMessageFound => return Ok(Cell::default()),
                    LastRawMessageErrorKind::InvalidSubject => ErrorKind::Invalid,
                    LastRawMessageErrorKind::JetStream(error) => kind::of_api(&error),
                    LastRawMessageErrorKind::Other => ErrorKind::Transient,
                };
                Err(Failure::new("read", key, kind, error))
            }
        }
    }

    /// Writes a key if it is still at a revision. `is_own` tells one's own write from any other: what was written without
    /// an answer is found by reading back.
    pub(crate) async fn swap(
        &self,
        key: &str,
        over: u64,
        (headers, content): (&HeaderMap, &Bytes),
        is_own: impl Fn(&Cell) -> bool,
    ) -> Result<Swap, Failure> {
        let mut tries = 0;
        loop {
            let error = match self.write(key, over, headers.clone(), content.clone()).await {
                Ok(revision) => return Ok(Swap::Done(revision)),
                Err(error) => error,
            };
            let kind = match kind::of_publish(&error) {
                // That nobody takes it is all that is known: nobody does while a bucket of several replicas has no leader, and
                // one that is gone is found to be gone as it is read.
                ErrorKind::NotFound => ErrorKind::Transient,
                kind => kind,
            };
            if kind != ErrorKind::Transient {
                return Err(Failure::new("write", key, kind, error));
            }
            // It may have been done; and what was sent again may be refused because the first time it was.
            let now = self.read(key).await?;
            if is_own(&now) {
                return Ok(Swap::Done(now.revision));
            }
            if now.revision != over {
                return Ok(Swap::Lost(now));
            }
            tries += 1;
            if tries == TRIES {
                return Err(Failure::new("write", key, kind, error));
            }
            tracing::debug!(key, %error, "a write is tried again");
            tokio::time::sleep(PAUSE * tries).await;
        }
    }

    async fn write(
        &self,
        key: &str,
        over: u64,
        headers: HeaderMap,
        content: Bytes,
    ) -> Result<u64, PublishError> {
        let publish = PublishMessage::build()
            .headers(headers)
            .payload(content)
            .expected_last_subject_sequence(over);
        let subject = self.put_subject(key);
        let ack = self.context.send_publish(subject, publish).await?.await?;
        Ok(ack.sequence)
    }

    /// Where the client itself puts a key: below the API prefix where the bucket is in another domain.
    fn put_subject(&self, key: &str) -> String {
        let api = if self.store.use_jetstream_prefix {
            format!("{}.", self.prefix)
        } else {
            String::new()
        };
        let prefix = self.store.put_prefix.as_ref().unwrap_or(&self.store.prefix);
        format!("{api}{prefix}{key}")
    }

    /// Deletes a key, whatever it holds.
    pub(crate) async fn delete(&self, key: &str) -> Result<(), Failure> {
        let mut tries = 0;
        while let Err(error) = self.store.delete(key).await {
            tries += 1;
            if tries == TRIES {
                return Err(Failure::new("remove", key, ErrorKind::Transient, error));
            }
            tokio::time::sleep(PAUSE * tries).await;
        }
        Ok(())
    }

    /// The keys that are not deleted.
    pub(crate) async fn keys(&self) -> Result<Vec<String>, Failure> {
        use futures_util::TryStreamExt as _;
        let failed = |error: BoxError| Failure::new("list", "", ErrorKind::Transient, error);
        let keys = self.store.keys().await.map_err(|error| failed(error.into()))?;
        keys.try_collect().await.map_err(|error| failed(error.into()))
    }
}

async fn find(context: &Context, bucket: &str) -> Result<kv::Store, Failure> {
    context.get_key_value(bucket).await.map_err(|error| {
        let kind = match error.kind() {
            KeyValueErrorKind::InvalidStoreName => ErrorKind::Invalid,
            KeyValueErrorKind::GetBucket | KeyValueErrorKind::JetStream => kind::of_get_stream(&error),
        };
        Failure::new("open", "", kind, error)
    })
}

async fn create(context: &Context, options: &Options, replicas: usize) -> Result<(), Failure> {
    let config = kv::Config {
        bucket: options.bucket.clone(),
        description: options.description.to_owned(),
        history: 1,
        num_replicas: replicas,
        ..kv::Config::default()
    };
    context.create_key_value(config).await.map(drop).map_err(|error| {
        let kind = match error.kind() {
            CreateKeyValueErrorKind::TimedOut | CreateKeyValueErrorKind::JetStream => ErrorKind::Transient,
            CreateKeyValueErrorKind::BucketCreate => ErrorKind::Unavailable,
            _ => ErrorKind::Invalid,
        };
        Failure::new("create", "", kind, error)
    })
}
