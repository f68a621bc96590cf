//! Why there is no artifact.

use alluvium_core::artifact::Unfit;
use alluvium_core::{
    ArtifactKey, BoxError, ErrorKind, LeaseError, LogError, Sequence, TableError, TransportError,
};
use alluvium_segment::SegmentError;

/// Why an export did not succeed. Nothing is published, unless a storage error left open whether it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The table is exact at no position of its log.
    #[error(
        "the table {table} has no cursor, for nothing was applied to it yet or it is being repaired: export when it has caught up"
    )]
    NoCursor {
        /// The table.
        table: String,
    },
    /// The key holds artifacts of something else.
    #[error("nothing can be exported under {key}")]
    Refused {
        /// The key.
        key: ArtifactKey,
        /// What is in the way.
        source: Unfit,
    },
    /// The newest artifact is of an archive that has seen what this one has not: it would be lost.
    #[error(
        "the artifact at {newest} of {key} keeps what the log had evicted when the table {table} began: start the replica on an \
         empty table with that artifact as its bootstrap, or export under another key"
    )]
    KeepsMore {
        /// The key.
        key: ArtifactKey,
        /// The table.
        table: String,
        /// Where the newest artifact is at.
        newest: Sequence,
    },
    /// The table could not be read.
    #[error("cannot read the table that is to be exported")]
    Table(#[source] TableError),
    /// The log could not be asked whether the newest artifact is one of it.
    #[error("cannot ask the log what the newest artifact was made of")]
    Log(#[source] LogError),
    /// Rows could not be made a segment.
    #[error("cannot make a segment of rows")]
    Segment(#[source] SegmentError),
    /// The store of artifacts failed.
    #[error("cannot store the artifact")]
    Transport(#[source] TransportError),
    /// The lease of a round could not be asked for.
    #[error("cannot ask for the lease of a round")]
    Lease(#[source] LeaseError),
    /// The artifact was published, and older ones could not be pruned.
    #[error("the artifact is published, but older ones could not be pruned")]
    Prune(#[source] TransportError),
    /// The replica was not given a schedule.
    #[error("the replica exports nothing: give its builder an export schedule")]
    NotScheduled,
    /// The replica stopped before the round was done.
    #[error("the replica stopped before the export was done")]
    Stopped,
    /// A thread of the export panicked.
    #[error("the export was stopped in the middle: {0}")]
    Interrupted(String),
}

impl ExportError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoCursor { .. } => ErrorKind::Transient,
            Self::Refused { .. } | Self::KeepsMore { .. } | Self::NotScheduled => ErrorKind::Invalid,
            Self::Table(error) => error.kind(),
            Self::Log(error) => error.kind(),
            Self::Segment(error) => error.kind(),
            Self::Lease(error) => error.kind(),
            Self::Transport(error) | Self::Prune(error) => error.kind(),
            Self::Stopped | Self::Interrupted(_) => ErrorKind::Unavailable,
        }
    }

    /// What an upload ended with. Where the segments failed, it is told why they did.
    pub(super) fn of_upload(error: TransportError) -> Self {
        let TransportError::Segments(source) = error else {
            return Self::Transport(error);
        };
        match source.downcast::<Self>() {
            Ok(error) => *error,
            Err(source) => Self::Transport(TransportError::Segments(source)),
        }
    }
}

impl From<TableError> for ExportError {
    fn from(error: TableError) -> Self {
        Self::Table(error)
    }
}

impl From<SegmentError> for ExportError {
    fn from(error: SegmentError) -> Self {
        Self::Segment(error)
    }
}

impl From<tokio::task::JoinError> for ExportError {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::Interrupted(error.to_string())
    }
}

const _: fn(ExportError) -> BoxError = |error| error.into();
