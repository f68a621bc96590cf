//! What can go wrong with segments.

use alluvium_core::{BoxError, ErrorKind};

/// What can go wrong with segments.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SegmentError {
    /// The rows to write make no segment.
    #[error("{0}")]
    Invalid(String),
    /// The bytes are damaged, or no segment.
    #[error("the segment is damaged: take another artifact of the history, or export again")]
    Corrupt(#[source] BoxError),
    /// Written by a newer Alluvium.
    #[error(
        "the segment has format {found}, this Alluvium reads up to {supported}: use the newer Alluvium that wrote it"
    )]
    Newer {
        /// The format found.
        found: u32,
        /// The newest format that can be read.
        supported: u32,
    },
    /// The file or the network failed.
    #[error("the segment cannot be read or written")]
    Io(#[from] std::io::Error),
}

impl SegmentError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Invalid(_) | Self::Newer { .. } => ErrorKind::Invalid,
            Self::Corrupt(_) => ErrorKind::Corrupt,
            Self::Io(_) => ErrorKind::Unavailable,
        }
    }

    pub(crate) fn corrupt(found: impl Into<BoxError>) -> Self {
        Self::Corrupt(found.into())
    }
}
