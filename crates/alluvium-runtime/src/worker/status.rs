//! How a worker is doing.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use alluvium_core::{Cursor, Evidence};

use super::{HandlerError, WorkerError};

/// What a worker is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WorkerState {
    /// Waiting for messages.
    Idle,
    /// The handler is at a delivery.
    Working,
    /// The handler failed; it is restarted after a pause.
    Restarting,
    /// The log does not answer. The worker keeps trying.
    Stalled,
    /// Stopped, as it was told to, by its handle or its handler.
    Stopped,
    /// Stopped by an error.
    Failed,
}

impl WorkerState {
    /// Whether the worker has stopped for good.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Stopped | Self::Failed)
    }

    /// The name in one word, for people and for JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Working => "working",
            Self::Restarting => "restarting",
            Self::Stalled => "stalled",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for WorkerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a worker is doing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WorkerStatus {
    /// What it is at.
    pub state: WorkerState,
    /// Since when.
    pub since: Instant,
    /// Up to where the work is done, and stored as done.
    pub committed: Cursor,
    /// Which delivery the handler is at, or was at last.
    pub delivery: Option<Evidence>,
    /// Messages whose work is committed, since the start. Those that were parked are not among them.
    pub handled: u64,
    /// Messages that were parked, since the start.
    pub parked: u64,
    /// Commits since the start.
    pub commits: u64,
    /// How often the handler was restarted, since the start.
    pub restarts: u64,
    /// How the handler failed at last. It stays when it goes well again.
    pub last_failure: Option<Arc<HandlerError>>,
    /// Why the worker failed.
    pub error: Option<WorkerError>,
}

impl WorkerStatus {
    pub(super) fn starting(committed: Cursor) -> Self {
        Self {
            state: WorkerState::Idle,
            since: Instant::now(),
            committed,
            delivery: None,
            handled: 0,
            parked: 0,
            commits: 0,
            restarts: 0,
            last_failure: None,
            error: None,
        }
    }

    pub(super) fn enter(&mut self, state: WorkerState) {
        if self.state != state {
            self.state = state;
            self.since = Instant::now();
        }
    }
}
