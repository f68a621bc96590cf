//! [`ObjectStoreLeaseStore`]: leases on any object store that has create-only and compare-and-swap.
//!
//! # What is stored
//!
//! ```text
//! <prefix>/<name>.lease.json       JSON  a LeaseRecord; created and replaced by compare-and-swap, never removed
//! ```
//!
//! The name is percent-encoded: [`lease_key`]. To try costs a GET, to acquire, renew or give back a GET and a PUT.
//! A put whose answer was lost is settled by reading back, for no two records are the same: `pointer.rs`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use alluvium_core::lease::{Cell, CellSwap, LeaseCells, MAX_RECORD_BYTES, lease_key};
use alluvium_core::{Clock, LeaseError, SystemClock};
use async_trait::async_trait;
use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, UpdateVersion};

use crate::pointer::{Pointer, Swap};
use crate::store::{Object, Store, StoreError};

/// How an [`ObjectStoreLeaseStore`] uses its store. Everything has a default.
#[derive(Clone)]
#[non_exhaustive]
pub struct LeaseStoreOptions {
    /// How long a request may take until it is given up: 30 s by default.
    pub request_timeout: Duration,
    /// The clock that expiry goes by: that of the machine by default.
    pub clock: Arc<dyn Clock>,
}

impl LeaseStoreOptions {
    /// The same options, with this time limit for requests.
    #[must_use]
    pub fn request_timeout(mut self, limit: Duration) -> Self {
        self.request_timeout = limit;
        self
    }

    /// The same options, with this clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }
}

impl Default for LeaseStoreOptions {
    fn default() -> Self {
        Self {
            request_timeout: Duration::from_secs(30),
            clock: Arc::new(SystemClock),
        }
    }
}

impl fmt::Debug for LeaseStoreOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeaseStoreOptions")
            .field("request_timeout", &self.request_timeout)
            .finish_non_exhaustive()
    }
}

/// Leases on an object store. Any number of processes share what is below one prefix.
///
/// It is a [`LeaseStore`](alluvium_core::LeaseStore), by way of [`LeaseCells`]. Its methods are to be awaited within a tokio
/// runtime that has time.
///
/// ```
/// use std::time::Duration;
/// use alluvium_core::LeaseStore;
/// use alluvium_object_store::{LeaseStoreOptions, ObjectStoreLeaseStore, StoreOptions, open_store};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (store, prefix) = open_store("memory:", &StoreOptions::default())?;
/// let leases = ObjectStoreLeaseStore::new(store, prefix, LeaseStoreOptions::default());
/// let acquired = leases.try_acquire("export routes", "node-1", Duration::from_secs(30)).await?;
/// if let Some(lease) = acquired.lease() {
///     leases.complete(lease, "at 42", Duration::from_secs(60)).await?;
/// }
///
/// let record = leases.read("export routes").await?.ok_or("no record")?;
/// assert_eq!(record.last.map(|last| last.note).as_deref(), Some("at 42"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ObjectStoreLeaseStore {
    prefix: Path,
    /// Of no lease: it knows how the service takes etags, and gives the others.
    pointer: Pointer,
    options: LeaseStoreOptions,
}

impl ObjectStoreLeaseStore {
    /// The leases below a prefix. Makes no request.
    pub fn new(store: Arc<dyn ObjectStore>, prefix: Path, options: LeaseStoreOptions) -> Self {
        let store = Store::new(store, options.request_timeout);
        Self {
            pointer: Pointer::new(store, prefix.clone(), MAX_RECORD_BYTES),
            prefix,
            options,
        }
    }

    fn cell(&self, name: &str) -> Result<Pointer, LeaseError> {
        let key = lease_key(name, '%')?;
        let whole = if self.prefix.is_root() {
            format!("{key}.lease.json")
        } else {
            format!("{}/{key}.lease.json", self.prefix)
        };
        // The name is encoded already: taken as it is, and not encoded once more.
        let path = Path::parse(whole).map_err(|error| LeaseError::Invalid(error.to_string()))?;
        Ok(self.pointer.at(path))
    }
}

#[async_trait]
impl LeaseCells for ObjectStoreLeaseStore {
    /// The object's; none where there is no object.
    type Version = Option<UpdateVersion>;

    fn clock(&self) -> &dyn Clock {
        self.options.clock.as_ref()
    }

    fn location(&self, name: &str) -> String {
        self.cell(name)
            .map_or_else(|_| format!("the lease {name:?}"), |cell| cell.location())
    }

    async fn read_cell(&self, name: &str) -> Result<Cell<Self::Version>, LeaseError> {
        Ok(content(self.cell(name)?.read_anything().await?))
    }

    async fn swap_cell(
        &self,
        name: &str,
        over: &Self::Version,
        bytes: Bytes,
    ) -> Result<CellSwap<Self::Version>, LeaseError> {
        let cell = self.cell(name)?;
        match cell.swap(over.as_ref(), bytes).await {
            Ok(Swap::Done(_)) => Ok(CellSwap::Done),
            Ok(Swap::Lost(now)) => Ok(CellSwap::Lost(content(now))),
            // What is there now is longer than a record: somebody else has put it there.
            Err(StoreError::Corrupt { .. }) => Ok(CellSwap::Lost(content(cell.read_anything().await?))),
            Err(error) => Err(error.into()),
        }
    }
}

fn content(object: Option<Object>) -> Cell<Option<UpdateVersion>> {
    match object {
        Some(Object { bytes, version }) => Cell {
            content: Some(bytes),
            version: Some(version),
        },
        None => Cell {
            content: None,
            version: None,
        },
    }
}
