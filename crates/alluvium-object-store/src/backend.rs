//! A [`StateBackend`] on any object store that has create-only and compare-and-swap.
//!
//! # What is stored
//!
//! ```text
//! <prefix>/control.json                      one mutable object, JSON   vnode count, fence, adopted seals, floor
//! <prefix>/epochs/<epoch>/partials-<attempt>-<writer>-<index length>-<instance>
//!                                            immutable                  an index, then the bytes of partials
//! <prefix>/epochs/<epoch>/seal-<fence>       create-only                who sealed it, and every partial of it
//! ```
//!
//! Epochs, attempts and fences are written with 20 digits, index lengths with 10. Indexes and seals are MessagePack in a
//! frame with a checksum. Objects with other names are nobody's: they are neither read nor removed.
//!
//! **One write is one PUT.** The length of the index is in the name, so exactly the index can be read, without the bytes. An
//! index is cumulative: it has what its writer has written before in the epoch, too, and in which object that is. So
//! who seals reads the index of each writer's newest object and no more. A *writer* is a run of writes of one handle in one
//! epoch, each begun after the one before had succeeded. A write beside another one, or after one that failed or was
//! given up, begins a new writer: nothing that may be stored is ever left out because a later index did not know of it.
//!
//! **Order.** Attempts are a Lamport clock: higher than every attempt that the handle has made, and that any of its LISTs
//! has shown, the one at open included. No wall clock orders anything. Handles that are open at the same time and write the
//! same vnode and epoch with the same assignment version, without looking, are ordered the same way for everybody, but not
//! by time; assignments are there so that they do not.
//!
//! **Before the first write** nothing is stored. `control.json` is made by the first that writes, fences or prunes.
//!
//! # The fence
//!
//! A seal is one PUT, and the zombie may stop right before it and go on after years: no check that it makes beforehand
//! can help. What helps is that its seal has no force. Seals carry the fence that was stored when they were made, and
//! a seal is **in force** if and only if
//!
//! - its fence is the one that is stored now, or
//! - it is among the *adopted* seals that are stored beside the fence.
//!
//! The fence is raised in three steps: (a) compare-and-swap the control object to the new fence, *undecided*; (b) list
//! the seals; (c) compare-and-swap it to *decided*, with those adopted that were in force before and are there. Whoever
//! meets an undecided control object does (b) and (c) before anything else. The compare-and-swap of (c) has one winner,
//! so whether a seal is in force is one answer for all and for ever:
//!
//! - A seal that was there before (a) is in the listing of (b), and stays in force.
//! - One that comes between (a) and (c) is in force or not, by who wins; until then nobody has been told either.
//! - One that comes after (c) carries a fence that is not stored any more, and is not adopted. It is void: nobody reads
//!   it, nobody keeps to it, and a prune removes it. Whoever made it finds out by reading the control object *after* its
//!   PUT, and before it tells anybody that the epoch is sealed.
//!
//! Partials below the stored fence do not count for anyone. At most one seal of an epoch is in force: under one fence it is
//! create-only, and nobody seals under a new fence without having looked for one that was adopted.
//!
//! The first that a handle reads of a sealed epoch is checked against a control object that was read after the seal was
//! found: with an older one a void seal could seem to be in force. After that the seal cannot change, and is kept.
//!
//! Raising the fence thus costs three requests, and sealing not one more than a fence in the memory of a process would,
//! beside the look at the control object afterwards: LIST, a GET of every other writer's index, PUT, GET. With the PUT of its
//! partials these are four requests for one node.
//!
//! # Pruning
//!
//! The floor rises first, by compare-and-swap; then what is below it goes. Readers that miss an object look at the floor
//! before they call it [`Missing`](BackendError::Missing); one that has read a seal before may go on to read what is
//! not yet removed. A seal below the floor has no force, whenever it was made.
//!
//! # Answers that get lost
//!
//! Control object and seals are written on conditions, and what an ambiguous answer means is settled by reading back; see
//! `pointer.rs`. Of partials the name is new for each write, so their PUT can be repeated.

mod cache;
mod choice;
mod control;
mod frame;
mod handle;
mod listing;
mod names;
mod options;
mod prune;
mod read;
mod record;
mod seal;
mod versions;
mod write;

use std::sync::Arc;

use alluvium_core::{
    AssignmentVersion, BackendError, Epoch, InstanceId, StateBackend, Table, Vnode, VnodeCount,
    check_partials, check_vnodes,
};
use async_trait::async_trait;
use bytes::Bytes;
use object_store::ObjectStore;
use object_store::path::Path;

use self::handle::Handle;
use crate::store::Store;

pub use self::options::ObjectStoreOptions;

/// A [`StateBackend`] on an object store. Any number of processes share what is below one prefix; nothing else need they
/// have in common.
///
/// Its methods are to be awaited within a tokio runtime that has time. Dropping one half-way does no harm: what it was
/// doing may be done or not.
///
/// ```
/// use std::sync::Arc;
/// use alluvium_core::{AssignmentVersion, Epoch, StateBackend, Vnode};
/// use alluvium_object_store::{ObjectStoreBackend, ObjectStoreOptions, StoreOptions, open_store};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (store, prefix) = open_store("memory:", &StoreOptions::default())?;
/// let backend = ObjectStoreBackend::open(store, prefix, ObjectStoreOptions::default()).await?;
/// let backend: Arc<dyn StateBackend> = Arc::new(backend);
/// let (epoch, vnode) = (Epoch::FIRST, Vnode::new(7));
/// backend.write_partial(vnode, epoch, AssignmentVersion::OFF, "counts".into()).await?;
/// assert!(backend.epoch_complete(epoch, &[vnode]).await?);
/// assert_eq!(backend.latest_complete().await?, Some(epoch));
/// assert_eq!(backend.read_partial(vnode, epoch).await?.as_deref(), Some(&b"counts"[..]));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ObjectStoreBackend(Handle);

impl ObjectStoreBackend {
    /// Opens the backend that lives below a prefix, an empty one if there is none yet. Reads, and writes nothing.
    ///
    /// # Errors
    ///
    /// [`BackendError::Storage`] for a bucket that does not exist ([`NotFound`](alluvium_core::ErrorKind::NotFound)),
    /// credentials that are refused ([`Unavailable`](alluvium_core::ErrorKind::Unavailable)), a store that does not answer
    /// ([`Transient`](alluvium_core::ErrorKind::Transient)); [`BackendError::Corrupt`] for a control object that is
    /// damaged, gone or none of ours; [`BackendError::Invalid`] for one that a newer Alluvium wrote.
    pub async fn open(
        store: Arc<dyn ObjectStore>,
        prefix: Path,
        options: ObjectStoreOptions,
    ) -> Result<Self, BackendError> {
        let store = Store::new(store, options.request_timeout);
        let handle = Handle::open(store, prefix, options).await?;
        Ok(Self(handle))
    }
}

#[async_trait]
impl StateBackend for ObjectStoreBackend {
    fn instance(&self) -> &InstanceId {
        &self.0.instance
    }

    fn vnode_count(&self) -> VnodeCount {
        self.0.vnodes
    }

    async fn write_partials(
        &self,
        epoch: Epoch,
        version: AssignmentVersion,
        partials: Vec<(Vnode, Bytes)>,
    ) -> Result<(), BackendError> {
        self.0.check_open()?;
        check_partials(self.0.vnodes, &partials)?;
        self.0.write(epoch, version, partials).await
    }

    async fn read_partial(&self, vnode: Vnode, epoch: Epoch) -> Result<Option<Bytes>, BackendError> {
        self.0.check_open()?;
        check_vnodes(self.0.vnodes, [vnode])?;
        self.0.read(vnode, epoch).await
    }

    async fn epoch_complete(&self, epoch: Epoch, vnodes: &[Vnode]) -> Result<bool, BackendError> {
        self.0.check_open()?;
        check_vnodes(self.0.vnodes, vnodes.iter().copied())?;
        let mut vnodes = vnodes.to_vec();
        vnodes.sort_unstable();
        vnodes.dedup();
        self.0.seal_if_complete(epoch, &vnodes).await
    }

    async fn prune_before(&self, epoch: Epoch) -> Result<u64, BackendError> {
        self.0.check_open()?;
        self.0.prune(epoch).await
    }

    fn set_authoritative_version(&self, version: AssignmentVersion) {
        self.0.control.versions.told(version);
    }

    fn authoritative_version(&self) -> AssignmentVersion {
        self.0.control.versions.authoritative()
    }

    async fn fence(&self, version: AssignmentVersion) -> Result<(), BackendError> {
        self.0.check_open()?;
        self.0.control.raise(version).await?;
        self.0.control.versions.told(version);
        Ok(())
    }

    async fn latest_complete(&self) -> Result<Option<Epoch>, BackendError> {
        self.0.check_open()?;
        self.0.latest_complete().await
    }

    async fn open_table(&self, _name: &str) -> Result<Arc<dyn Table>, BackendError> {
        Err(BackendError::Unsupported {
            what: "live tables",
            backend: "an object store",
        })
    }

    async fn close(&self) -> Result<(), BackendError> {
        self.0.close();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
