//! What happens to a worker beside its work.

use std::sync::Arc;
use std::time::Duration;

use alluvium_core::Evidence;

use super::{HandlerError, Parked};
use crate::error::Chain;
use crate::events::Listener;
use crate::{Gaps, LogCursorError};

/// What happens to a worker beside its work.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum WorkerEvent {
    /// The handler failed on a delivery. After the pause it is called again, from the last commit on.
    Restarting {
        /// The delivery.
        on: Evidence,
        /// How it failed.
        error: Arc<HandlerError>,
        /// How long until then.
        pause: Duration,
    },
    /// The handler failed once more than the policy allows. The worker stops.
    BudgetExhausted {
        /// The delivery.
        on: Evidence,
        /// How it failed at last.
        error: Arc<HandlerError>,
    },
    /// A message was parked, and the cursor moves behind it.
    Parked(Parked),
    /// The cursor could not be saved. The worker stops, its cursor rolled back.
    SaveFailed {
        /// The delivery that was to be committed.
        at: Evidence,
        /// Why.
        error: Arc<LogCursorError>,
    },
    /// The log went away. The worker tries again after the pause.
    Stalled {
        /// Why.
        error: Arc<LogCursorError>,
        /// How long until then.
        pause: Duration,
    },
    /// Messages went before they were given.
    Gaps(Gaps),
}

/// Whoever is told of events: the log of the program, and what the worker was built with.
pub(super) struct Events {
    pub(super) worker: String,
    pub(super) listener: Listener<WorkerEvent>,
}

impl Events {
    pub(super) fn tell(&self, event: &WorkerEvent) {
        let worker = self.worker.as_str();
        match event {
            WorkerEvent::Parked(parked) => {
                tracing::warn!(worker, message = %parked.message.sequence, error = %Chain(&parked.error), "parked");
            }
            WorkerEvent::Restarting { on, error, pause } => {
                tracing::warn!(worker, %on, error = %Chain(error), ?pause, "the handler failed");
            }
            WorkerEvent::BudgetExhausted { on, error } => {
                tracing::error!(worker, %on, error = %Chain(error), "the handler failed too often");
            }
            WorkerEvent::SaveFailed { at, error } => {
                tracing::error!(worker, %at, error = %Chain(error), "the cursor is not saved");
            }
            WorkerEvent::Stalled { error, pause } => {
                tracing::warn!(worker, error = %Chain(error), ?pause, "the log does not answer");
            }
            WorkerEvent::Gaps(gaps) => {
                for gap in &gaps.gaps {
                    tracing::warn!(worker, %gap, "messages are missing");
                }
                if gaps.dropped > 0 {
                    tracing::warn!(worker, dropped = gaps.dropped, "more messages are missing");
                }
            }
        }
        self.listener.tell(worker, event);
    }
}
