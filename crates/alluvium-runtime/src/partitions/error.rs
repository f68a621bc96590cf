//! What can go wrong with partitions, with all of them and with one.

use std::sync::Arc;

use alluvium_core::{BoxError, CursorStoreError, ErrorKind, LeaseError};

use crate::{LogCursorError, WorkerError};

/// Why partitions were not shared, or are not any more.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PartitionsError {
    /// The configuration makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// The leases cannot be asked for in this way, or be read.
    #[error("the leases of the partitions cannot be used")]
    Lease(#[source] Arc<LeaseError>),
    /// The cursors cannot be read.
    #[error("the cursors of the partitions cannot be read")]
    Cursor(#[source] Arc<CursorStoreError>),
    /// The task was cancelled: its runtime is gone.
    #[error("the sharing of partitions was cancelled with its runtime")]
    Cancelled,
}

impl PartitionsError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Invalid(_) => ErrorKind::Invalid,
            Self::Lease(error) => error.kind(),
            Self::Cursor(error) => error.kind(),
            Self::Cancelled => ErrorKind::Unavailable,
        }
    }
}

/// Why the work on one partition failed. The partition is given back, so that another process can try, and this one does after a
/// pause.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PartitionError {
    /// The function that starts the worker returned an error.
    #[error("the worker of the partition was not started")]
    Start(#[source] BoxError),
    /// The function that starts the worker panicked.
    #[error("the function that starts the worker of the partition panicked: {0}")]
    Panicked(String),
    /// The worker stopped with an error.
    #[error("the worker of the partition stopped")]
    Worker(#[source] WorkerError),
}

impl PartitionError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Start(source) => start_kind(source),
            Self::Panicked(_) => ErrorKind::Unavailable,
            Self::Worker(error) => error.kind(),
        }
    }
}

/// What is told by those errors that are ours.
fn start_kind(source: &BoxError) -> ErrorKind {
    if let Some(error) = source.downcast_ref::<WorkerError>() {
        return error.kind();
    }
    if let Some(error) = source.downcast_ref::<LogCursorError>() {
        return error.kind();
    }
    ErrorKind::Unavailable
}
