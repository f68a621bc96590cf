//! What can go wrong with checkpoints.

use super::CheckpointId;
use crate::{BoxError, Digest, Epoch, ErrorKind};

/// What can go wrong with checkpoints.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The call or its configuration makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// There is no such checkpoint, or it was never completed.
    #[error("there is no checkpoint {id}: list those that there are")]
    NotFound {
        /// The checkpoint asked for.
        id: CheckpointId,
    },
    /// What a manifest names is not there.
    #[error("{path} is gone, which a checkpoint needs: restore it, or start from another checkpoint")]
    Missing {
        /// The object.
        path: String,
    },
    /// The bytes are not those that the manifest names.
    #[error(
        "{path} is not what was saved: its SHA-256 is {actual}, not {expected}; restore it, or start from another checkpoint"
    )]
    IntegrityMismatch {
        /// The object.
        path: String,
        /// What the manifest says.
        expected: Digest,
        /// What was found.
        actual: Digest,
    },
    /// Something stored is damaged, or not ours.
    #[error("{path} is damaged: restore it, or start from another checkpoint")]
    Corrupt {
        /// The object.
        path: String,
        /// What was found.
        source: BoxError,
    },
    /// Written by a newer Alluvium.
    #[error(
        "{path} has version {found}, this Alluvium reads up to {supported}: use the newer Alluvium that wrote it"
    )]
    Newer {
        /// The object.
        path: String,
        /// The version found.
        found: u32,
        /// The newest version that can be read.
        supported: u32,
    },
    /// Another checkpoint, or `_latest`, needs it.
    #[error("checkpoint {id} is needed by {by}: delete that first")]
    InUse {
        /// What was to be deleted.
        id: CheckpointId,
        /// What needs it.
        by: String,
    },
    /// The newest checkpoint is another one, of this epoch or a later one.
    #[error(
        "epoch {epoch} does not come after epoch {latest}, which {by} has completed: start over from there"
    )]
    Stale {
        /// The epoch of the checkpoint that was to be the newest.
        epoch: Epoch,
        /// The epoch of the newest.
        latest: Epoch,
        /// Which one that is.
        by: CheckpointId,
    },
    /// The checkpoint was given up by a prune, which took its writer for dead.
    #[error(
        "checkpoint {id} was pruned while it was written: begin a new one, and prune with a longer grace period"
    )]
    Abandoned {
        /// The checkpoint.
        id: CheckpointId,
    },
    /// Not everything could be removed.
    #[error("{failed} of {found} objects could not be removed: prune again later")]
    PruneIncomplete {
        /// How many objects could not be removed.
        failed: u64,
        /// How many there were to remove.
        found: u64,
        /// Why not, of the first.
        source: Box<CheckpointError>,
    },
    /// The storage failed.
    #[error("cannot {doing} {location}")]
    Storage {
        /// What was being done.
        doing: &'static str,
        /// To which object.
        location: String,
        /// What the caller should do.
        kind: ErrorKind,
        /// Why not.
        source: BoxError,
    },
}

impl CheckpointError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Invalid(_) | Self::InUse { .. } | Self::Newer { .. } => ErrorKind::Invalid,
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Missing { .. } | Self::IntegrityMismatch { .. } | Self::Corrupt { .. } => {
                ErrorKind::Corrupt
            }
            Self::Stale { .. } | Self::Abandoned { .. } => ErrorKind::Fenced,
            Self::PruneIncomplete { source, .. } => source.kind(),
            Self::Storage { kind, .. } => *kind,
        }
    }
}
