//! [`KvLeaseStore`]: leases in a KV bucket.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use alluvium_core::lease::{Cell, CellSwap, LeaseCells, lease_key};
use alluvium_core::{BoxError, Clock, ErrorKind, LeaseError, SystemClock};
use async_nats::Client;
use async_nats::jetstream::context::{
    CreateKeyValueErrorKind, GetStreamErrorKind, KeyValueErrorKind, PublishErrorKind,
};
use async_nats::jetstream::kv::{self, UpdateError, UpdateErrorKind};
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use async_nats::jetstream::{self, Context, ErrorCode};
use async_trait::async_trait;
use bytes::Bytes;

use crate::headers;
use crate::subject;

/// How often an update is tried where nothing shows whether it was done.
const TRIES: u32 = 4;
/// What is waited before the second try; longer before later ones.
const PAUSE: Duration = Duration::from_millis(50);

/// Leases in a KV bucket: key `lease.<name>`, where the name is encoded by [`lease_key`] with `=`.
///
/// Any number of processes share a bucket. Records are read from the stream's leader and written by their revision, so a
/// bucket of three replicas keeps its leases when a server is lost. A key that somebody deleted is a lease that
/// was never acquired, and whoever held it has lost it. It is a [`LeaseStore`](alluvium_core::LeaseStore), by way of
/// [`LeaseCells`].
///
/// It needs permission to publish to `$KV.<bucket>.lease.*`, `$JS.API.STREAM.INFO.KV_<bucket>` and
/// `$JS.API.STREAM.MSG.GET.KV_<bucket>`; to create the bucket, to `$JS.API.INFO` and `$JS.API.STREAM.CREATE.KV_<bucket>`, too.
///
/// ```
/// use std::time::Duration;
/// use alluvium_core::{Acquired, LeaseStore};
/// use alluvium_nats::KvLeaseStore;
///
/// async fn round(client: async_nats::Client) -> Result<(), Box<dyn std::error::Error>> {
///     let leases = KvLeaseStore::builder(client, "leases").create(3).open().await?;
///     match leases.try_acquire("export routes", "node-1", Duration::from_secs(30)).await? {
///         Acquired::Yes(lease) => leases.complete(lease, "at 42", Duration::from_secs(60)).await?,
///         Acquired::Held { by, .. } => println!("{by} does it"),
///         Acquired::Resting { until, .. } => println!("it is done, until {:?}", until.to_system_time()),
///     }
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct KvLeaseStore {
    bucket: kv::Store,
    clock: Arc<dyn Clock>,
}

/// How a [`KvLeaseStore`] reaches its bucket.
#[derive(Clone)]
#[must_use = "a builder does nothing until `open`"]
pub struct KvLeaseStoreBuilder {
    client: Client,
    bucket: String,
    prefix: String,
    timeout: Duration,
    create: Option<usize>,
    clock: Arc<dyn Clock>,
}

impl KvLeaseStoreBuilder {
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

    /// Creates the bucket if there is none, on so many servers.
    pub fn create(mut self, replicas: usize) -> Self {
        self.create = Some(replicas);
        self
    }

    /// The clock that expiry goes by: that of the machine by default.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Looks for the bucket, and creates it where that was asked for.
    ///
    /// # Errors
    ///
    /// [`LeaseError::Invalid`] for a name that no bucket can have; [`LeaseError::Storage`] of kind
    /// [`NotFound`](ErrorKind::NotFound) if there is no such bucket, and others if nobody answers, or the server says no.
    pub async fn open(self) -> Result<KvLeaseStore, LeaseError> {
        if !subject::is_bucket(&self.bucket) {
            return Err(LeaseError::Invalid(format!(
                "{:?} cannot name a bucket: use A-Z a-z 0-9 _ -",
                self.bucket
            )));
        }
        let context = jetstream::ContextBuilder::new()
            .timeout(self.timeout)
            .api_prefix(&self.prefix)
            .build(self.client);
        let bucket = match find(&context, &self.bucket).await {
            Err(error) if error.kind() == ErrorKind::NotFound && self.create.is_some() => {
                let replicas = self.create.unwrap_or(1);
                match create(&context, &self.bucket, replicas).await {
                    Ok(()) => {}
                    // Somebody else may have been there first, or the answer was lost: then it is there.
                    Err(error) => match find(&context, &self.bucket).await {
                        Ok(_) => {}
                        Err(_) => return Err(error),
                    },
                }
                find(&context, &self.bucket).await?
            }
            found => found?,
        };
        Ok(KvLeaseStore {
            bucket,
            clock: self.clock,
        })
    }
}

async fn find(context: &Context, bucket: &str) -> Result<kv::Store, LeaseError> {
    context.get_key_value(bucket).await.map_err(|error| {
        let kind = match error.kind() {
            KeyValueErrorKind::InvalidStoreName => ErrorKind::Invalid,
            KeyValueErrorKind::GetBucket | KeyValueErrorKind::JetStream => stream_error(&error),
        };
        storage("open", format!("the bucket {bucket}"), kind, error)
    })
}

async fn create(context: &Context, bucket: &str, replicas: usize) -> Result<(), LeaseError> {
    let config = kv::Config {
        bucket: bucket.to_owned(),
        description: "Alluvium's leases".to_owned(),
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
        storage("create", format!("the bucket {bucket}"), kind, error)
    })
}

/// What to do about a stream that could not be got.
fn stream_error(error: &(dyn std::error::Error + 'static)) -> ErrorKind {
    let chain = std::iter::successors(Some(error), |error| error.source());
    for error in chain {
        let Some(error) = error.downcast_ref::<jetstream::context::GetStreamError>() else {
            continue;
        };
        return match error.kind() {
            GetStreamErrorKind::JetStream(error) => api_error(&error),
            GetStreamErrorKind::Request => ErrorKind::Transient,
            _ => ErrorKind::Invalid,
        };
    }
    ErrorKind::Transient
}

fn api_error(error: &jetstream::Error) -> ErrorKind {
    match error.error_code() {
        ErrorCode::STREAM_NOT_FOUND => ErrorKind::NotFound,
        // The 500s are a server that starts, a cluster without a leader, resources that are short just now.
        _ if error.code() >= 500 => ErrorKind::Transient,
        _ => ErrorKind::Invalid,
    }
}

fn storage(
    doing: &'static str,
    location: String,
    kind: ErrorKind,
    source: impl Into<BoxError>,
) -> LeaseError {
    LeaseError::Storage {
        doing,
        location,
        kind,
        source: source.into(),
    }
}

impl KvLeaseStore {
    /// The leases in a bucket, by way of this client.
    ///
    /// # Errors
    ///
    /// As [`KvLeaseStoreBuilder::open`].
    pub async fn open(client: Client, bucket: impl Into<String>) -> Result<Self, LeaseError> {
        Self::builder(client, bucket).open().await
    }

    /// The same, with more to say.
    pub fn builder(client: Client, bucket: impl Into<String>) -> KvLeaseStoreBuilder {
        KvLeaseStoreBuilder {
            client,
            bucket: bucket.into(),
            prefix: "$JS.API".to_owned(),
            timeout: Duration::from_secs(5),
            create: None,
            clock: Arc::new(SystemClock),
        }
    }

    fn key(name: &str) -> Result<String, LeaseError> {
        Ok(format!("lease.{}", lease_key(name, '=')?))
    }

    async fn cell(&self, name: &str, key: &str) -> Result<Cell<u64>, LeaseError> {
        let subject = format!("{}{key}", self.bucket.prefix);
        // Not a direct get: any replica may answer that, with what was there before.
        match self.bucket.stream.get_last_raw_message_by_subject(&subject).await {
            Ok(message) => Ok(Cell {
                content: headers::deleted(&message.headers)
                    .is_none()
                    .then_some(message.payload),
                version: message.sequence,
            }),
            Err(error) => {
                let kind = match error.kind() {
                    LastRawMessageErrorKind::NoMessageFound => {
                        return Ok(Cell {
                            content: None,
                            version: 0,
                        });
                    }
                    LastRawMessageErrorKind::InvalidSubject => ErrorKind::Invalid,
                    LastRawMessageErrorKind::JetStream(error) => api_error(&error),
                    LastRawMessageErrorKind::Other => ErrorKind::Transient,
                };
                Err(storage("read", self.location(name), kind, error))
            }
        }
    }
}

impl fmt::Debug for KvLeaseStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KvLeaseStore")
            .field("bucket", &self.bucket.name)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for KvLeaseStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KvLeaseStoreBuilder")
            .field("bucket", &self.bucket)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl LeaseCells for KvLeaseStore {
    /// The revision of the key; 0 where there is none.
    type Version = u64;

    fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }

    fn location(&self, name: &str) -> String {
        format!("the lease {name:?} in the bucket {}", self.bucket.name)
    }

    async fn read_cell(&self, name: &str) -> Result<Cell<u64>, LeaseError> {
        self.cell(name, &Self::key(name)?).await
    }

    async fn swap_cell(&self, name: &str, over: &u64, content: Bytes) -> Result<CellSwap<u64>, LeaseError> {
        let key = Self::key(name)?;
        let mut tries = 0;
        loop {
            let Err(error) = self.bucket.update(&key, content.clone(), *over).await else {
                return Ok(CellSwap::Done);
            };
            let kind = update_error(&error);
            if kind != ErrorKind::Transient {
                return Err(storage("write", self.location(name), kind, error));
            }
            // It may have been done; and what was sent again may be refused because the first time it was.
            let now = self.cell(name, &key).await?;
            if now.content.as_ref() == Some(&content) {
                return Ok(CellSwap::Done);
            }
            if now.version != *over {
                return Ok(CellSwap::Lost(now));
            }
            tries += 1;
            if tries == TRIES {
                return Err(storage("write", self.location(name), kind, error));
            }
            tracing::debug!(lease = name, %error, "an update is tried again");
            tokio::time::sleep(PAUSE * tries).await;
        }
    }
}

/// What an update that failed asks for; transient is, too, what may have been done.
fn update_error(error: &UpdateError) -> ErrorKind {
    match error.kind() {
        UpdateErrorKind::InvalidKey => ErrorKind::Invalid,
        UpdateErrorKind::TimedOut | UpdateErrorKind::WrongLastRevision => ErrorKind::Transient,
        UpdateErrorKind::Other => {
            let publish = std::error::Error::source(error)
                .and_then(|source| source.downcast_ref::<jetstream::context::PublishError>());
            let refused = publish
                .and_then(std::error::Error::source)
                .and_then(|source| source.downcast_ref::<jetstream::Error>());
            match (publish.map(jetstream::context::PublishError::kind), refused) {
                (Some(PublishErrorKind::StreamNotFound), _) => ErrorKind::NotFound,
                (Some(PublishErrorKind::MaxPayloadExceeded), _) => ErrorKind::Invalid,
                // A bucket that is full or closed, a sealed stream: an operator has to act.
                (_, Some(error)) if error.code() < 500 => ErrorKind::Unavailable,
                _ => ErrorKind::Transient,
            }
        }
    }
}
