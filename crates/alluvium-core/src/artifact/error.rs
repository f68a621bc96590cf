//! What can go wrong with artifacts.

use super::Unfit;
use crate::{BoxError, Digest, ErrorKind};

/// What can go wrong with artifacts.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The call or its configuration makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// There is no such artifact.
    #[error("there is no artifact {what}: list those that there are")]
    NotFound {
        /// What was asked for.
        what: String,
    },
    /// The key holds artifacts of another table.
    #[error("the artifacts of {key} are of another table: use another key")]
    Mismatch {
        /// The key.
        key: String,
        /// In what they differ.
        source: Unfit,
    },
    /// What a manifest names is not there.
    #[error("{path} is gone, which an artifact needs: take another artifact of the history, or export again")]
    Missing {
        /// The object.
        path: String,
    },
    /// The bytes are not those that the manifest names.
    #[error(
        "{path} is not what was exported: its SHA-256 is {actual}, not {expected}; take another artifact of the history, or export again"
    )]
    IntegrityMismatch {
        /// The object, and which part of it.
        path: String,
        /// What the manifest says.
        expected: Digest,
        /// What was found.
        actual: Digest,
    },
    /// Something stored is damaged, or not ours.
    #[error("{path} is damaged: take another artifact of the history, or export again")]
    Corrupt {
        /// The object.
        path: String,
        /// What was found.
        source: BoxError,
    },
    /// Written by a newer Alluvium.
    #[error(
        "{path} has format {found}, this Alluvium reads up to {supported}: use the newer Alluvium that wrote it"
    )]
    Newer {
        /// The object.
        path: String,
        /// The format found.
        found: u32,
        /// The newest format that can be read.
        supported: u32,
    },
    /// The segments to upload could not be made. Nothing is published.
    #[error("the segments to upload could not be made")]
    Segments(#[source] BoxError),
    /// Not everything could be removed.
    #[error("{failed} of {found} objects could not be removed: prune again later")]
    PruneIncomplete {
        /// How many objects could not be removed.
        failed: u64,
        /// How many there were to remove.
        found: u64,
        /// Why not, of the first.
        source: Box<TransportError>,
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

impl TransportError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Invalid(_) | Self::Mismatch { .. } | Self::Newer { .. } | Self::Segments(_) => {
                ErrorKind::Invalid
            }
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Missing { .. } | Self::IntegrityMismatch { .. } | Self::Corrupt { .. } => {
                ErrorKind::Corrupt
            }
            Self::PruneIncomplete { source, .. } => source.kind(),
            Self::Storage { kind, .. } => *kind,
        }
    }
}
