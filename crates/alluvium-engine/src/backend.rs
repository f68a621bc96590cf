//! One [`StateBackend`] over any [`Engine`].
//!
//! # What is stored
//!
//! The bytes of partials lie in spaces `partials.<epoch>`, each a run of epochs from that one to the next such space.
//! All else lies in the space `partials`, newest epoch first, for which the number of an epoch is stored inverted:
//!
//! ```text
//! partials            00 "head"                          Head, MessagePack      vnode count, fence, floor of pruning
//!                     01 <!epoch u64>                    Seal, MessagePack      who sealed it, and every partial of it
//!                     02 <!epoch u64> <vnode u32>        Partial, MessagePack   version, run, slot, length, SHA-256
//! partials.<epoch>    <epoch u64> <vnode u32> <slot u8>  the bytes of a partial
//! ```
//!
//! Numbers in keys are big-endian. Bytes are committed before their records or with them, and one commit makes all records
//! of a write. So a record never speaks of bytes that are not there, and bytes that no record speaks of are not a partial:
//! those that replace others go to the other one of two slots. Head and records are replaced, the records of an epoch
//! until it is sealed; a seal is written once.
//!
//! Neither of the spaces exists before the first write, so who keeps nothing but tables pays nothing.
//!
//! Pruning raises the floor, removes records and seals below it, and drops the runs that end below it. What a kill
//! leaves of that is finished by the next open. The bytes of a pruned epoch stay where they are for as long as its run
//! has younger ones; a run takes four epochs, more if they are small (up to 8 MiB), fewer if they are large (from 64 MiB).
//!
//! # Who may write
//!
//! An engine has one owner, so a seal needs no more than a lock to be the only one. The owner calls itself `local`
//! unless it is given a name; under another name it is another instance to what the first one sealed. A partial is never
//! replaced by one of a lower assignment version, fence or not: that is
//! [`StaleVersion`](BackendError::StaleVersion) too. Only version 0, of a writer who has no fence, replaces anything.

mod digest;
mod layout;
mod report;
mod runs;
mod store;
mod versions;
mod view;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use alluvium_core::{
    AssignmentVersion, BackendError, BackendOptions, Epoch, ErrorKind, InstanceId, StateBackend, Table,
    Vnode, VnodeCount, check_partials, check_vnodes,
};
use async_trait::async_trait;
use bytes::Bytes;

use self::store::{Store, Writing};
use crate::{Engine, EngineTable};

/// A [`StateBackend`] in the spaces of an [`Engine`].
///
/// Its methods are to be awaited within a tokio runtime: they do their work on its threads for blocking calls, and it
/// goes on to its end there even if nobody waits for it any more.
///
/// ```
/// use std::sync::Arc;
/// use alluvium_core::{AssignmentVersion, BackendOptions, Epoch, StateBackend, Vnode};
/// use alluvium_engine::EngineBackend;
/// use alluvium_memory::MemoryEngine;
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let engine = Arc::new(MemoryEngine::in_memory());
/// let backend: Arc<dyn StateBackend> = Arc::new(EngineBackend::open(engine, BackendOptions::default())?);
/// let (epoch, vnode) = (Epoch::FIRST, Vnode::new(7));
/// backend.write_partial(vnode, epoch, AssignmentVersion::OFF, "counts".into()).await?;
/// assert!(backend.epoch_complete(epoch, &[vnode]).await?);
/// assert_eq!(backend.latest_complete().await?, Some(epoch));
/// assert_eq!(backend.read_partial(vnode, epoch).await?.as_deref(), Some(&b"counts"[..]));
/// # Ok::<(), alluvium_core::BackendError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct EngineBackend(Arc<Inner>);

struct Inner {
    store: Store,
    /// The tables that are open: two handles of one table would each miss what the other wrote.
    tables: Mutex<HashMap<String, Weak<EngineTable>>>,
}

impl EngineBackend {
    /// Opens the backend that lives in an engine, an empty one if there is none yet. Reads from the disk, and finishes
    /// a prune that a kill cut short: not for an async runtime.
    ///
    /// One at a time in an engine, and no [`EngineTable`] beside it: what excludes writers from one another is in the
    /// handle.
    ///
    /// # Errors
    ///
    /// [`BackendError::Corrupt`] for a state that cannot be read, [`BackendError::Invalid`] for one that a newer
    /// Alluvium wrote; storage errors.
    pub fn open(engine: Arc<dyn Engine>, options: BackendOptions) -> Result<Self, BackendError> {
        let inner = Inner {
            store: Store::open(engine, options)?,
            tables: Mutex::default(),
        };
        Ok(Self(Arc::new(inner)))
    }

    /// Does something on a thread that may block.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, BackendError> + Send + 'static,
    ) -> Result<T, BackendError> {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return Err(BackendError::Invalid(
                "there is no tokio runtime: await the methods of this backend in one".to_owned(),
            ));
        };
        let inner = Arc::clone(&self.0);
        match runtime.spawn_blocking(move || work(&inner)).await {
            Ok(outcome) => outcome,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(error) => Err(BackendError::Storage {
                doing: "wait for",
                location: format!("the {} engine", self.0.store.engine().name()),
                kind: ErrorKind::Unavailable,
                source: error.into(),
            }),
        }
    }
}

impl Inner {
    fn open_table(&self, name: &str) -> Result<Arc<EngineTable>, BackendError> {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = tables.get(name).and_then(Weak::upgrade) {
            return Ok(table);
        }
        let table = Arc::new(EngineTable::open(Arc::clone(self.store.engine()), name)?);
        tables.retain(|_, table| table.strong_count() > 0);
        tables.insert(name.to_owned(), Arc::downgrade(&table));
        Ok(table)
    }

    fn close(&self) -> Result<(), BackendError> {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        // So that who asks for a table afterwards asks the engine.
        tables.clear();
        self.store.close()
    }
}

#[async_trait]
impl StateBackend for EngineBackend {
    fn instance(&self) -> &InstanceId {
        &self.0.store.instance
    }

    fn vnode_count(&self) -> VnodeCount {
        self.0.store.vnodes
    }

    async fn write_partials(
        &self,
        epoch: Epoch,
        version: AssignmentVersion,
        partials: Vec<(Vnode, Bytes)>,
    ) -> Result<(), BackendError> {
        check_partials(self.vnode_count(), &partials)?;
        let writing = Writing {
            epoch,
            version,
            partials,
        };
        self.blocking(move |inner| inner.store.write(&writing)).await
    }

    async fn read_partial(&self, vnode: Vnode, epoch: Epoch) -> Result<Option<Bytes>, BackendError> {
        check_vnodes(self.vnode_count(), [vnode])?;
        self.blocking(move |inner| inner.store.read(vnode, epoch)).await
    }

    async fn epoch_complete(&self, epoch: Epoch, vnodes: &[Vnode]) -> Result<bool, BackendError> {
        check_vnodes(self.vnode_count(), vnodes.iter().copied())?;
        let vnodes = vnodes.to_vec();
        self.blocking(move |inner| inner.store.seal_if_complete(epoch, vnodes))
            .await
    }

    async fn prune_before(&self, epoch: Epoch) -> Result<u64, BackendError> {
        self.blocking(move |inner| inner.store.prune_before(epoch)).await
    }

    fn set_authoritative_version(&self, version: AssignmentVersion) {
        self.0.store.versions.told(version);
    }

    fn authoritative_version(&self) -> AssignmentVersion {
        self.0.store.versions.authoritative()
    }

    async fn fence(&self, version: AssignmentVersion) -> Result<(), BackendError> {
        self.blocking(move |inner| inner.store.fence(version)).await
    }

    async fn latest_complete(&self) -> Result<Option<Epoch>, BackendError> {
        self.blocking(|inner| inner.store.latest_complete()).await
    }

    async fn open_table(&self, name: &str) -> Result<Arc<dyn Table>, BackendError> {
        let name = name.to_owned();
        let table = self.blocking(move |inner| inner.open_table(&name)).await?;
        Ok(table)
    }

    async fn close(&self) -> Result<(), BackendError> {
        self.blocking(Inner::close).await
    }
}
