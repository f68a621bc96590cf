//! Why a cursor did not open, or does not go on.

use alluvium_core::{Cursor, CursorStoreError, ErrorKind, LogError, ReconcileReason, RefuseReason};

/// Why a [`LogCursor`](super::LogCursor) did not open, or does not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogCursorError {
    /// The log failed.
    #[error("the cursor cannot read its log")]
    Log(#[from] LogError),
    /// The cursor store failed, or says no.
    #[error("the cursor cannot use its store")]
    Store(#[from] CursorStoreError),
    /// The position means nothing in the log any more.
    #[error(
        "{reason}, so what comes after {position} cannot be told: reset the cursor, or let it continue in such a case"
    )]
    Lost {
        /// The position that is lost. Stored, it stays as it is.
        position: Cursor,
        /// What has become of the log.
        reason: ReconcileReason,
    },
    /// The position is one of another log.
    #[error("{0}")]
    Refused(RefuseReason),
    /// Rows were to be saved with a cursor that is held nowhere.
    #[error("rows cannot be saved with a cursor that no store holds: hold it in the table that they go into")]
    RowsWithoutStore,
}

impl LogCursorError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Log(error) => error.kind(),
            Self::Store(error) => error.kind(),
            Self::Lost { .. } => ErrorKind::Unavailable,
            Self::Refused(_) | Self::RowsWithoutStore => ErrorKind::Invalid,
        }
    }
}
