//! Why a worker did not start, or stopped, and why its handler failed.

use std::sync::Arc;
use std::time::Duration;

use alluvium_core::{BoxError, ErrorKind, Evidence};

use crate::LogCursorError;

/// Why a worker did not start, or stopped. Cheap to clone. In every case the last committed position stands.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// The cursor did not open, or the log failed in a way that trying again does not mend.
    #[error("the worker cannot go on from its cursor")]
    Cursor(#[source] Arc<LogCursorError>),
    /// The cursor could not be saved. What the handler did for the last delivery is done again after a restart.
    #[error(
        "the worker cannot save its cursor at {at}; its work since the last commit is done again after a restart"
    )]
    Save {
        /// The delivery that was to be committed.
        at: Evidence,
        /// Why.
        source: Arc<LogCursorError>,
    },
    /// The handler failed more often than the [`RestartPolicy`](super::RestartPolicy) allows.
    #[error(
        "the handler failed on {on} after {restarts} restarts: mend it, park such messages, or allow more restarts"
    )]
    Handler {
        /// The delivery.
        on: Evidence,
        /// How often the worker has restarted it in its life.
        restarts: u64,
        /// How it failed at last.
        source: Arc<HandlerError>,
    },
    /// A blocking handler did not return in time. It cannot be stopped from outside: its thread goes on until it returns.
    #[error("the handler has been at {on} for {waited:?} and does not return: nothing of it is committed")]
    Stuck {
        /// The delivery.
        on: Evidence,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The task of the worker was cancelled: its runtime is gone.
    #[error("the worker was cancelled with its runtime")]
    Cancelled,
}

impl WorkerError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Cursor(error) | Self::Save { source: error, .. } => error.kind(),
            Self::Handler { .. } | Self::Stuck { .. } | Self::Cancelled => ErrorKind::Unavailable,
        }
    }
}

impl From<LogCursorError> for WorkerError {
    fn from(error: LogCursorError) -> Self {
        Self::Cursor(Arc::new(error))
    }
}

/// How a handler failed on a delivery.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandlerError {
    /// It returned an error.
    #[error("the handler returned an error")]
    Failed(#[source] BoxError),
    /// It panicked.
    #[error("the handler panicked: {message}")]
    Panicked {
        /// What it panicked with.
        message: String,
    },
    /// It took longer than it may, and was cancelled.
    #[error("the handler was cancelled after {0:?}")]
    TimedOut(Duration),
    /// What was to be parked could not be.
    #[error("the message could not be parked")]
    NotParked(#[source] BoxError),
}
