//! Durable partials, sealed in epochs and fenced against zombies.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    AssignmentVersion, BoxError, Epoch, ErrorKind, InstanceId, Table, TableError, Vnode, VnodeCount,
};

/// The most bytes that one [`write_partials`](StateBackend::write_partials) takes: 1 GiB.
pub const MAX_WRITE_BYTES: u64 = 1 << 30;

/// Who a backend is opened by, and over how many vnodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackendOptions {
    /// The name of this participant. Without one, a backend that several processes share makes up a new name whenever
    /// it is opened, so that no two are ever taken for one; one that has a single owner calls its owner `local`.
    pub instance: Option<InstanceId>,
    /// How many vnodes there are. What is stored remembers it from the first write on.
    pub vnodes: VnodeCount,
}

impl BackendOptions {
    /// The same options, for the participant of this name.
    #[must_use]
    pub fn instance(mut self, instance: InstanceId) -> Self {
        self.instance = Some(instance);
        self
    }

    /// The same options, over this many vnodes.
    #[must_use]
    pub fn vnodes(mut self, vnodes: VnodeCount) -> Self {
        self.vnodes = vnodes;
        self
    }
}

/// Storage of stateful operators: partials per vnode and epoch, a seal that decides when sinks may commit, and a fence
/// against the writer that does not know that it has been replaced. `Arc<dyn StateBackend>` is the one place where a
/// user swaps storage.
///
/// A round goes like this: every participant writes the partials of its vnodes for the epoch
/// ([`write_partials`](StateBackend::write_partials)); somebody asks whether it is complete
/// ([`epoch_complete`](StateBackend::epoch_complete)), which seals it; once that was true, sinks commit, and epochs
/// that nobody will go back to are pruned ([`prune_before`](StateBackend::prune_before)). Whoever takes over after a
/// failure raises the fence to its new assignment version ([`fence`](StateBackend::fence)) and reads the partials of
/// the [latest complete epoch](StateBackend::latest_complete).
///
/// Obligations:
///
/// 1. **Durable.** A partial is durable when the write returns: a kill right after loses nothing, and under
///    [`Durability::Fsync`](crate::Durability::Fsync) power loss loses nothing either.
/// 2. **Last write wins, until the seal.** Before the seal the last write of a vnode and epoch counts (recovery writes
///    again). After it the same bytes are accepted and anything else is [`BackendError::Sealed`]; a process that has not
///    seen another's seal learns of it at its own [`epoch_complete`](StateBackend::epoch_complete) at the latest.
/// 3. **Sealed once, for ever.** [`epoch_complete`](StateBackend::epoch_complete) is true only if every named vnode
///    has a durable partial, and of all that ask, in whatever process, one instance seals. Asking again as that
///    instance is true again; another instance gets [`BackendError::SplitBrainCommit`].
/// 4. **The seal names what it commits**: vnode, assignment version, location, length, SHA-256. Reads of a sealed epoch
///    go by the seal, so the late write of a zombie is never seen; what the seal names and is not there or not the same
///    is [`BackendError::Missing`] or [`BackendError::Corrupt`], never `None`.
/// 5. **The fence is stored.** A caller below the authoritative version gets [`BackendError::StaleVersion`]. The version
///    only rises. A process that was never told, sharing nothing but the store, is refused at the latest at the seal,
///    and no partial below the stored fence is ever sealed after it was raised. Version 0 turns the fence off.
/// 6. **Pruning is safe.** [`prune_before`](StateBackend::prune_before) removes partials and seals of epochs below the
///    given one and keeps everything else, goes on past what it cannot remove and reports it, and may run beside
///    writers and readers.
/// 7. **A vnode out of range** is [`BackendError::VnodeOutOfRange`]; nothing is written.
/// 8. **Cheap on an object store.** One node's `write_partials` is one PUT, whatever the number of vnodes; a seal is at
///    most one LIST, one small ranged GET a node and one PUT.
#[async_trait]
pub trait StateBackend: Send + Sync + 'static {
    /// Who this backend was opened by.
    fn instance(&self) -> &InstanceId;

    /// How many vnodes there are.
    fn vnode_count(&self) -> VnodeCount;

    /// Writes the partial of one vnode: [`write_partials`](StateBackend::write_partials) of one.
    ///
    /// # Errors
    ///
    /// As [`write_partials`](StateBackend::write_partials).
    async fn write_partial(
        &self,
        vnode: Vnode,
        epoch: Epoch,
        version: AssignmentVersion,
        bytes: Bytes,
    ) -> Result<(), BackendError> {
        self.write_partials(epoch, version, vec![(vnode, bytes)]).await
    }

    /// Writes partials of one epoch, all of them or none. Durable, and visible to every reader, when it returns.
    /// Idempotent. A partial may be empty; that is not the same as none.
    ///
    /// # Errors
    ///
    /// [`BackendError::StaleVersion`] if `version` is below the authoritative version as far as it is known here,
    /// [`BackendError::Sealed`] if the epoch is sealed with other bytes or without a vnode, [`BackendError::Pruned`],
    /// [`BackendError::VnodeOutOfRange`], [`BackendError::TooLarge`], [`BackendError::Invalid`] for no partials, for a
    /// vnode named twice, or where the state is of another number of vnodes: nothing is written. Storage errors: the
    /// write may have happened, and may be repeated.
    async fn write_partials(
        &self,
        epoch: Epoch,
        version: AssignmentVersion,
        partials: Vec<(Vnode, Bytes)>,
    ) -> Result<(), BackendError>;

    /// The partial of a vnode: of a sealed epoch what the seal names, before the seal the last one written that is not
    /// below the fence. `None` if there is none, and for epochs that were pruned.
    ///
    /// # Errors
    ///
    /// [`BackendError::VnodeOutOfRange`]; [`BackendError::Missing`] or [`BackendError::Corrupt`] for what is not as the
    /// seal says; storage errors.
    async fn read_partial(&self, vnode: Vnode, epoch: Epoch) -> Result<Option<Bytes>, BackendError>;

    /// Whether every named vnode has a durable partial. If so the epoch is sealed when it returns: exactly these vnodes
    /// belong to it, and the answer stays. If not, nothing has changed.
    ///
    /// A caller speaks for the highest of these versions: the one that was stored when the backend was opened, what
    /// [`set_authoritative_version`](StateBackend::set_authoritative_version) told it, and what it wrote with.
    ///
    /// # Errors
    ///
    /// [`BackendError::StaleVersion`] if the stored version is higher than the caller's,
    /// [`BackendError::SplitBrainCommit`] if another instance has sealed the epoch, [`BackendError::Sealed`] if this one
    /// has, without one of the vnodes, [`BackendError::Pruned`], [`BackendError::VnodeOutOfRange`],
    /// [`BackendError::Invalid`] for no vnodes; storage errors: the epoch may be sealed or not, ask again.
    async fn epoch_complete(&self, epoch: Epoch, vnodes: &[Vnode]) -> Result<bool, BackendError>;

    /// Removes partials and seals of every epoch below the given one, whoever wrote them. From then on those epochs are
    /// [`BackendError::Pruned`] to writers and empty to readers. Gives how many epochs of which something was left were
    /// removed. Idempotent.
    ///
    /// # Errors
    ///
    /// [`BackendError::PruneIncomplete`] if something could not be removed: everything else was; ask again.
    /// Storage errors.
    async fn prune_before(&self, epoch: Epoch) -> Result<u64, BackendError>;

    /// Tells this handle, in memory only, of an assignment version. A lower one than it knows changes nothing.
    fn set_authoritative_version(&self, version: AssignmentVersion);

    /// The highest assignment version that this handle was told of or has found stored.
    fn authoritative_version(&self) -> AssignmentVersion;

    /// Raises the stored fence to a version, for every process and for ever. Durable when it returns; whatever a lower
    /// version has not sealed by then, it never will. Raising it to what it is changes nothing.
    ///
    /// # Errors
    ///
    /// [`BackendError::StaleVersion`] if the stored version is higher; storage errors: the fence may be raised or not,
    /// ask again.
    async fn fence(&self, version: AssignmentVersion) -> Result<(), BackendError>;

    /// The highest sealed epoch, `None` if none is.
    ///
    /// # Errors
    ///
    /// Storage errors.
    async fn latest_complete(&self) -> Result<Option<Epoch>, BackendError>;

    /// Opens the table of this name, an empty one if there is none yet; the same table again while it is open.
    /// Names are 1 to 100 characters of `A-Z a-z 0-9 . _ -`.
    ///
    /// # Errors
    ///
    /// [`BackendError::Unsupported`] where the backend keeps no live tables; [`BackendError::Table`].
    async fn open_table(&self, name: &str) -> Result<Arc<dyn Table>, BackendError>;

    /// Makes everything durable and lets go of what the backend holds, so that it can be opened again at once. Whatever
    /// is called afterwards fails, but for another close.
    ///
    /// # Errors
    ///
    /// Storage errors of the last sync; everything is let go of all the same.
    async fn close(&self) -> Result<(), BackendError>;
}

const _: fn(&dyn StateBackend) = |_| (); // object-safe

/// What can go wrong with a state backend.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackendError {
    /// There is no such vnode.
    #[error("there is no vnode {vnode}: there are {count}, counted from 0")]
    VnodeOutOfRange {
        /// The vnode asked for.
        vnode: Vnode,
        /// How many there are.
        count: VnodeCount,
    },
    /// The call or its configuration makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// More than one call can write.
    #[error("{bytes} bytes are too many for one write: write at most {limit} at a time")]
    TooLarge {
        /// The bytes given.
        bytes: u64,
        /// The most there may be.
        limit: u64,
    },
    /// Somebody with a newer assignment has taken over.
    #[error(
        "assignment version {caller} was replaced by {authoritative}: stop, take the new assignment, start over"
    )]
    StaleVersion {
        /// The version that the caller speaks for.
        caller: AssignmentVersion,
        /// The version in force.
        authoritative: AssignmentVersion,
    },
    /// Another instance has sealed the epoch.
    #[error("epoch {epoch} was sealed by {committer}, not by {self_id}: {self_id} must not commit it")]
    SplitBrainCommit {
        /// The epoch.
        epoch: Epoch,
        /// Who sealed it.
        committer: InstanceId,
        /// Who asked.
        self_id: InstanceId,
    },
    /// The epoch is sealed, and this is not what it was sealed with.
    #[error(
        "epoch {epoch} is sealed, and not with this partial of vnode {vnode}: start over from what is sealed"
    )]
    Sealed {
        /// The epoch.
        epoch: Epoch,
        /// The vnode whose partial is another one, or that has none.
        vnode: Vnode,
    },
    /// The epoch was pruned.
    #[error(
        "epoch {epoch} was pruned, as everything before {floor}: start over from the latest complete epoch"
    )]
    Pruned {
        /// The epoch asked for.
        epoch: Epoch,
        /// The first epoch that was kept.
        floor: Epoch,
    },
    /// What the seal of an epoch names is not there.
    #[error(
        "{location} is gone, which epoch {epoch} was sealed with: restore it, or start from another epoch"
    )]
    Missing {
        /// The sealed epoch.
        epoch: Epoch,
        /// The file or object.
        location: String,
    },
    /// Something stored is damaged, or not ours.
    #[error("{location} is damaged: restore it, or start from another epoch")]
    Corrupt {
        /// The file or object.
        location: String,
        /// What was found.
        source: BoxError,
    },
    /// Not everything below an epoch could be removed.
    #[error("{failed} of {found} could not be removed: prune again later")]
    PruneIncomplete {
        /// How many things could not be removed.
        failed: u64,
        /// How many there were to remove.
        found: u64,
        /// Why not, of the first.
        source: Box<BackendError>,
    },
    /// This backend cannot do that.
    #[error("{backend} keeps no {what}: use another backend for that")]
    Unsupported {
        /// What was asked for.
        what: &'static str,
        /// The backend.
        backend: &'static str,
    },
    /// A table could not be opened.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The storage failed.
    #[error("cannot {doing} {location}")]
    Storage {
        /// What was being done.
        doing: &'static str,
        /// To which file or object.
        location: String,
        /// What the caller should do.
        kind: ErrorKind,
        /// Why not.
        source: BoxError,
    },
}

impl BackendError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::VnodeOutOfRange { .. }
            | Self::Invalid(_)
            | Self::TooLarge { .. }
            | Self::Unsupported { .. } => ErrorKind::Invalid,
            Self::StaleVersion { .. }
            | Self::SplitBrainCommit { .. }
            | Self::Sealed { .. }
            | Self::Pruned { .. } => ErrorKind::Fenced,
            Self::Missing { .. } | Self::Corrupt { .. } => ErrorKind::Corrupt,
            Self::PruneIncomplete { source, .. } => source.kind(),
            Self::Table(error) => error.kind(),
            Self::Storage { kind, .. } => *kind,
        }
    }
}

/// Checks what can be told of a write before anything is stored; every backend calls it first.
///
/// # Errors
///
/// [`BackendError::Invalid`] for no partials or a vnode named twice, [`BackendError::VnodeOutOfRange`],
/// [`BackendError::TooLarge`].
pub fn check_partials(count: VnodeCount, partials: &[(Vnode, Bytes)]) -> Result<(), BackendError> {
    check_vnodes(count, partials.iter().map(|(vnode, _)| *vnode))?;
    let mut vnodes: Vec<Vnode> = partials.iter().map(|(vnode, _)| *vnode).collect();
    vnodes.sort_unstable();
    if let Some([vnode, _]) = vnodes.array_windows().find(|[one, next]| one == next) {
        return Err(BackendError::Invalid(format!(
            "vnode {vnode} is named twice in one write: give one partial a vnode"
        )));
    }
    let bytes = partials.iter().map(|(_, bytes)| bytes.len() as u64).sum();
    if bytes > MAX_WRITE_BYTES {
        return Err(BackendError::TooLarge {
            bytes,
            limit: MAX_WRITE_BYTES,
        });
    }
    Ok(())
}

/// Checks that vnodes are named and that they exist; every backend calls it first.
///
/// # Errors
///
/// [`BackendError::Invalid`] for none, [`BackendError::VnodeOutOfRange`].
pub fn check_vnodes(count: VnodeCount, vnodes: impl IntoIterator<Item = Vnode>) -> Result<(), BackendError> {
    let mut any = false;
    for vnode in vnodes {
        count.check(vnode)?;
        any = true;
    }
    if any {
        Ok(())
    } else {
        Err(BackendError::Invalid(
            "no vnode is named: name at least one".to_owned(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partials(vnodes: &[u32]) -> Vec<(Vnode, Bytes)> {
        vnodes
            .iter()
            .map(|vnode| (Vnode::new(*vnode), Bytes::new()))
            .collect()
    }

    #[test]
    fn a_write_names_each_vnode_once_and_in_range() {
        let count = VnodeCount::new(4).unwrap();
        assert!(check_partials(count, &partials(&[3, 0, 1])).is_ok());
        for wrong in [&[][..], &[0, 1, 0]] {
            let error = check_partials(count, &partials(wrong)).unwrap_err();
            assert!(matches!(error, BackendError::Invalid(_)), "{error}");
        }
        let error = check_partials(count, &partials(&[0, 4])).unwrap_err();
        assert!(matches!(error, BackendError::VnodeOutOfRange { .. }), "{error}");
    }

    #[test]
    fn a_write_is_bounded() {
        let count = VnodeCount::default();
        let half = Bytes::from(vec![0; (MAX_WRITE_BYTES / 2) as usize]);
        let mut fine = vec![(Vnode::new(0), half.clone()), (Vnode::new(1), half)];
        assert!(check_partials(count, &fine).is_ok());
        fine.push((Vnode::new(2), Bytes::from_static(b"x")));
        let error = check_partials(count, &fine).unwrap_err();
        assert!(matches!(error, BackendError::TooLarge { .. }), "{error}");
    }
}
