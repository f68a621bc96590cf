//! A log that is not there: it may come back, and is waited for, but not for long.
//!
//! Whoever makes a stream again or restores it from a backup deletes it first. Which log it is that comes back is decided as at
//! any other time.

use std::sync::{MutexGuard, PoisonError};

use alluvium_core::LogError;
use tokio::time::Instant;

use super::driver::Driver;
use super::status::State;
use crate::ReplicaError;

impl Driver {
    /// Whether it is an error that the log is not there, and too early to take that for good. The status tells of it.
    pub(super) fn may_come_back(&self, error: &ReplicaError) -> bool {
        let ReplicaError::Log(cause) = error else {
            return false;
        };
        if !matches!(**cause, LogError::NotFound { .. }) {
            return false;
        }
        let since = *self.missing().get_or_insert_with(Instant::now);
        if since.elapsed() >= self.missing_for {
            return false;
        }
        self.status.send_modify(|status| {
            status.enter(State::Stalled);
            status.error = Some(error.clone());
        });
        true
    }

    /// The log is there.
    pub(super) fn is_there(&self) {
        self.missing().take();
    }

    fn missing(&self) -> MutexGuard<'_, Option<Instant>> {
        self.missing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
