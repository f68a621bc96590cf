//! [`KvLeaseStore`]: leases in a KV bucket.

use std::fmt;
use std::sync::Arc;

use alluvium_core::lease::{Cell, CellSwap, LeaseCells, lease_key};
use alluvium_core::{Clock, LeaseError, SystemClock};
use async_nats::{Client, HeaderMap};
use async_trait::async_trait;
use bytes::Bytes;

use crate::bucket::{self, Bucket, Failure, Options, Swap};
use crate::reach::reach_methods;
use crate::subject;

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
    bucket: Bucket,
    clock: Arc<dyn Clock>,
}

/// How a [`KvLeaseStore`] reaches its bucket.
#[derive(Clone)]
#[must_use = "a builder does nothing until `open`"]
pub struct KvLeaseStoreBuilder {
    options: Options,
    clock: Arc<dyn Clock>,
}

impl KvLeaseStoreBuilder {
    reach_methods!(options.reach);

    /// Creates the bucket if there is none, on so many servers.
    pub fn create(mut self, replicas: usize) -> Self {
        self.options.create = Some(replicas);
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
    /// [`NotFound`](alluvium_core::ErrorKind::NotFound) if there is no such bucket, and others if nobody answers, or the server says no.
    pub async fn open(self) -> Result<KvLeaseStore, LeaseError> {
        let name = self.options.bucket.clone();
        if !subject::is_bucket(&name) {
            return Err(LeaseError::Invalid(format!(
                "{name:?} cannot name a bucket: use A-Z a-z 0-9 _ -"
            )));
        }
        let opened = Bucket::open(self.options).await;
        Ok(KvLeaseStore {
            bucket: opened.map_err(|failure| storage(format!("the bucket {name}"), failure))?,
            clock: self.clock,
        })
    }
}

fn storage(location: String, failure: Failure) -> LeaseError {
    LeaseError::Storage {
        doing: failure.doing,
        location,
        kind: failure.kind,
        source: failure.source,
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
            options: Options::new(client, bucket.into(), "Alluvium's leases"),
            clock: Arc::new(SystemClock),
        }
    }

    fn key(name: &str) -> Result<String, LeaseError> {
        Ok(format!("lease.{}", lease_key(name, '=')?))
    }

    fn failed(&self, name: &str, failure: Failure) -> LeaseError {
        storage(self.location(name), failure)
    }
}

fn cell(found: bucket::Cell) -> Cell<u64> {
    Cell {
        content: found.content,
        version: found.revision,
    }
}

impl fmt::Debug for KvLeaseStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KvLeaseStore")
            .field("bucket", &self.bucket.name())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for KvLeaseStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KvLeaseStoreBuilder")
            .field("bucket", &self.options.bucket)
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
        format!("the lease {name:?} in the bucket {}", self.bucket.name())
    }

    async fn read_cell(&self, name: &str) -> Result<Cell<u64>, LeaseError> {
        let found = self.bucket.read(&Self::key(name)?).await;
        found.map(cell).map_err(|failure| self.failed(name, failure))
    }

    async fn swap_cell(&self, name: &str, over: &u64, content: Bytes) -> Result<CellSwap<u64>, LeaseError> {
        let key = Self::key(name)?;
        // No two records are the same, so what is there and is this one was written by this call.
        let is_own = |cell: &bucket::Cell| cell.content.as_ref() == Some(&content);
        let headers = HeaderMap::new();
        let swapped = self.bucket.swap(&key, *over, (&headers, &content), is_own);
        match swapped.await {
            Ok(Swap::Done(_)) => Ok(CellSwap::Done),
            Ok(Swap::Lost(now)) => Ok(CellSwap::Lost(cell(now))),
            Err(failure) => Err(self.failed(name, failure)),
        }
    }
}
