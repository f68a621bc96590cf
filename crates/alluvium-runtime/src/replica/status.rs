//! How a replica is doing.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use alluvium_core::{Cursor, Plan, Sequence};

use crate::{BootstrapError, BootstrapProgress, Bootstrapped, ExportStatus, ReplicaError};

/// What a replica is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// The table is being filled from an artifact, or waits for one for the reason that [`BootstrapStatus::error`] gives. Reads show
    /// what it held before.
    Bootstrapping,
    /// The table is compared with what the log holds, for the reason that [`Status::plan`] gives. Reads show what it held before,
    /// and ever more of what the log holds now.
    Reconciling,
    /// On its way to the end of the log: the first fill, or a resume.
    Filling,
    /// At the end of the log, waiting for the next change.
    Live,
    /// Nothing has been heard from the log for a while. Reads go on; the replica keeps trying.
    Stalled,
    /// There is no correct way from the table to the log, for the reason that [`Status::plan`] and [`Status::error`] give. Reads go
    /// on as [`serve_when_refused`](crate::ReplicaBuilder::serve_when_refused) asked for; the replica looks again and again
    /// whether there is one now.
    Refused,
    /// Stopped by an error.
    Failed,
    /// Shut down.
    Stopped,
}

impl State {
    /// Whether the replica has stopped for good.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Failed | Self::Stopped)
    }

    /// The name in one word, for people and for JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bootstrapping => "bootstrapping",
            Self::Reconciling => "reconciling",
            Self::Filling => "filling",
            Self::Live => "live",
            Self::Stalled => "stalled",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What has become of the bootstrap of a replica. None of it is set if the table needed none.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct BootstrapStatus {
    /// How far it has come, while it goes on.
    pub progress: Option<BootstrapProgress>,
    /// What it did, once it is done.
    pub done: Option<Bootstrapped>,
    /// What went wrong at last: it is tried again, or an older artifact is taken, or the log is read without one.
    pub error: Option<Arc<BootstrapError>>,
}

/// How a replica is doing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// What it is at.
    pub state: State,
    /// Since when.
    pub since: Instant,
    /// How the table was found to go on from the log: at the start, and whenever the log was read anew.
    pub plan: Option<Plan>,
    /// The cursor that the table had when the replica was started.
    pub started_at: Option<Cursor>,
    /// Where the table is exact at; `None` before the first commit and during a reconcile.
    pub cursor: Option<Cursor>,
    /// Up to where the log was once found to hold nothing more in scope; `None` until then.
    pub caught_up: Option<Sequence>,
    /// The last sequence of the log, as last heard: every few seconds, and with every change.
    pub log_last: Sequence,
    /// Messages received since the start, whether they changed anything or not.
    pub received: u64,
    /// Changes applied since the start.
    pub changes: u64,
    /// Bytes of keys and values among them.
    pub bytes: u64,
    /// Changes applied per second, over the last second.
    pub rate: f64,
    /// How often the log had to be read anew since the start: it failed, or had changed under the replica.
    pub restarts: u64,
    /// Why it failed, or what keeps it stalled.
    pub error: Option<ReplicaError>,
    /// How its rounds of exports do; `None` for a replica without a schedule.
    pub exports: Option<ExportStatus>,
    /// What has become of its bootstrap; `None` for a replica without one.
    pub bootstrap: Option<BootstrapStatus>,
}

impl Status {
    pub(super) fn starting(cursor: Option<Cursor>) -> Self {
        Self {
            state: State::Filling,
            since: Instant::now(),
            plan: None,
            started_at: cursor.clone(),
            cursor,
            caught_up: None,
            log_last: Sequence::ZERO,
            received: 0,
            changes: 0,
            bytes: 0,
            rate: 0.0,
            restarts: 0,
            error: None,
            exports: None,
            bootstrap: None,
        }
    }

    /// Up to where everything in scope is applied: the cursor, or further if nothing in scope came after it.
    pub fn position(&self) -> Sequence {
        match (&self.cursor, self.caught_up) {
            (Some(cursor), Some(caught_up)) => cursor.sequence.max(caught_up),
            (Some(cursor), None) => cursor.sequence,
            (None, _) => Sequence::ZERO,
        }
    }

    /// How many sequences of the log lie after the position. An upper bound of the changes still to come: messages out
    /// of scope, and sequences that were replaced or deleted, count too.
    pub fn lag(&self) -> u64 {
        self.log_last.distance_from(self.position())
    }

    /// Whether reads may lack something that the log is known to hold: until the replica has caught up, and whenever it is
    /// behind or does not hear from its log.
    pub fn is_stale(&self) -> bool {
        self.state != State::Live || self.lag() > 0
    }

    pub(super) fn is_bootstrapping(&self) -> bool {
        self.bootstrap
            .as_ref()
            .is_some_and(|bootstrap| bootstrap.progress.is_some())
    }

    pub(super) fn enter(&mut self, state: State) {
        if self.state != state && !self.state.is_over() {
            self.state = state;
            self.since = Instant::now();
        }
    }
}
