//! How a replica is doing.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use alluvium_core::{Cursor, Plan, ReconcileReason, RefuseReason, RestoreReason, Sequence};

use crate::error::Chain;
use crate::{BootstrapError, BootstrapProgress, Bootstrapped, ExportStatus, ReplicaError};

/// What a replica is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// The table is being filled from an artifact, or waits for one, to begin with or because it is far behind. Reads show what it
    /// held before.
    Bootstrapping,
    /// The table cannot go on from its log, and is being replaced by an artifact that can, or waits for the store that may have
    /// one. Reads show what it held before.
    Restoring,
    /// The table is compared with what the log holds. Reads show what it held before, and ever more of what the log holds now.
    Reconciling,
    /// On its way to the end of the log: the first fill, or a resume.
    Filling,
    /// At the end of the log, waiting for the next change.
    Live,
    /// Nothing has been heard from the log for a while. Reads go on; the replica keeps trying.
    Stalled,
    /// There is no correct way from the table to the log. Reads go on as
    /// [`serve_when_refused`](crate::ReplicaBuilder::serve_when_refused) asked for; the replica looks again and again whether there
    /// is one now.
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
            Self::Restoring => "restoring",
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

/// How far a reconcile has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReconcileProgress {
    /// Keys that the log has listed so far.
    pub listed: u64,
    /// Messages that the log held when it was decided: no more keys than that are listed, and fewer where it keeps several of a
    /// key, or the scope is not all of it. What is written meanwhile comes on top.
    pub of: u64,
}

/// How a replica is doing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// What it is at.
    pub state: State,
    /// Since when; for [`State::Stalled`], since when nothing was heard. [`why`](Self::why) tells the reason.
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
    /// Messages received since the start, and keys that a reconcile listed, whether they changed anything or not.
    pub received: u64,
    /// Changes applied since the start.
    pub changes: u64,
    /// Bytes of keys and values among them.
    pub bytes: u64,
    /// Changes applied per second, over the last second.
    pub rate: f64,
    /// How often the log had to be read anew since the start: it failed, or had changed under the replica.
    pub restarts: u64,
    /// Why it failed or is refused, or what keeps it stalled.
    pub error: Option<ReplicaError>,
    /// How far a reconcile has come, while one goes on.
    pub reconcile: Option<ReconcileProgress>,
    /// How its rounds of exports do; `None` for a replica without a schedule.
    pub exports: Option<ExportStatus>,
    /// What has become of its bootstrap; `None` for a replica without one.
    pub bootstrap: Option<BootstrapStatus>,
    /// Messages in the log when it was decided last.
    pub(super) log_messages: u64,
    /// What is wrong with the table, while a store of artifacts is asked whether it can put that right.
    pub(super) asks_about: Option<ReconcileReason>,
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
            reconcile: None,
            exports: None,
            bootstrap: None,
            log_messages: 0,
            asks_about: None,
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

    /// Why it is in its state, in words for people; `None` for a state that needs no reason. What a refusal says tells what to
    /// do.
    ///
    /// While it reconciles or restores, that is what is wrong with the table, and after it what went wrong with the artifact at
    /// last, if something did. While it is stalled, what the last attempt to hear of the log ended with; and when it has failed,
    /// the error.
    ///
    /// ```
    /// # fn tell(replica: &alluvium_runtime::Replica) {
    /// let status = replica.status();
    /// if let Some(why) = status.why() {
    ///     println!("{} for {} s: {why}", status.state, status.since.elapsed().as_secs());
    /// }
    /// # }
    /// ```
    pub fn why(&self) -> Option<String> {
        match self.state {
            State::Bootstrapping | State::Restoring => Some(self.why_an_artifact()),
            State::Reconciling => match &self.plan {
                Some(Plan::Reconcile(reason)) => Some(reason.to_string()),
                _ => None,
            },
            State::Refused => match &self.plan {
                Some(Plan::Refuse(reason)) => Some(reason.to_string()),
                _ => self.error_line(),
            },
            State::Stalled | State::Failed => self.error_line(),
            State::Filling | State::Live | State::Stopped => None,
        }
    }

    fn why_an_artifact(&self) -> String {
        let reason = match (&self.asks_about, &self.plan) {
            (Some(wrong), _) => wrong.to_string(),
            (None, Some(Plan::Restore { reason, .. })) => reason.to_string(),
            (None, Some(Plan::Resume { .. })) => "the table is far behind an artifact".to_owned(),
            (None, _) => "the table is empty".to_owned(),
        };
        match self.bootstrap.as_ref().and_then(|at| at.error.as_deref()) {
            Some(error) => format!("{reason}; {}", Chain(error)),
            None => reason,
        }
    }

    fn error_line(&self) -> Option<String> {
        self.error.as_ref().map(|error| Chain(error).to_string())
    }

    /// What is decided rests on a store of artifacts: what of the table it may put right.
    pub(super) fn asks_a_store(&mut self, without: &Plan) {
        self.asks_about = match without {
            Plan::Reconcile(wrong) | Plan::Refuse(RefuseReason::Archive { cause: wrong, .. }) => Some(*wrong),
            Plan::Resume { .. } | Plan::Restore { .. } | Plan::Refuse(_) => None,
        };
    }

    pub(super) fn decided(&mut self, plan: Plan, log_messages: u64) {
        self.plan = Some(plan);
        self.log_messages = log_messages;
        self.asks_about = None;
    }

    /// The table is filled from an artifact, or it is tried to.
    pub(super) fn fills_from_an_artifact(&mut self) {
        let is_broken = match &self.plan {
            Some(Plan::Restore { reason, .. }) => *reason != RestoreReason::Empty,
            _ => false,
        };
        self.enter(if self.asks_about.is_some() || is_broken {
            State::Restoring
        } else {
            State::Bootstrapping
        });
    }

    /// A course begins: the log is read, or listed first. A reconcile that begins again has gone on all the time.
    pub(super) fn takes(&mut self, plan: &Plan) {
        if matches!(plan, Plan::Reconcile(_)) {
            self.reconcile = Some(ReconcileProgress {
                listed: 0,
                of: self.log_messages,
            });
            self.enter(State::Reconciling);
        } else {
            self.enter(State::Filling);
        }
    }

    /// The log has been heard from. If it had not been, the replica goes on with what it was at, `or_else` with reading.
    pub(super) fn heard(&mut self, or_else: State) {
        if self.state != State::Stalled {
            return;
        }
        let is_bootstrapping = self.bootstrap.as_ref().is_some_and(|at| at.progress.is_some());
        match &self.plan {
            _ if is_bootstrapping => self.fills_from_an_artifact(),
            Some(Plan::Refuse(_)) => self.enter(State::Refused),
            Some(Plan::Reconcile(_)) if self.reconcile.is_some() => self.enter(State::Reconciling),
            _ => self.enter(or_else),
        }
    }

    /// Nothing has been heard from the log for some time.
    pub(super) fn not_heard_since(&mut self, heard: Instant, error: ReplicaError) {
        if self.state.is_over() {
            return;
        }
        if self.state != State::Stalled {
            // It was in the state before until then.
            let since = self.since.max(heard);
            self.enter(State::Stalled);
            self.since = since;
        }
        self.error = Some(error);
    }

    /// The table is of another history from here on: how far it had come in the one before tells nothing.
    pub(super) fn goes_back_to(&mut self, sequence: Sequence) {
        self.caught_up = self.caught_up.map(|caught_up| caught_up.min(sequence));
    }

    pub(super) fn enter(&mut self, state: State) {
        if self.state == state || self.state.is_over() {
            return;
        }
        if matches!(self.state, State::Stalled | State::Refused) && !state.is_over() {
            // That is what it was held up by.
            self.error = None;
        }
        if !matches!(state, State::Reconciling | State::Stalled) {
            self.reconcile = None;
        }
        self.state = state;
        self.since = Instant::now();
    }
}

#[cfg(test)]
mod tests;
