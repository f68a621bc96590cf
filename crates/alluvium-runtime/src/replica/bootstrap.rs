//! Whether a replica begins with an artifact, and what becomes of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use alluvium_core::artifact::Unfit;
use alluvium_core::{Cursor, ErrorKind, Plan, ReconcileReason, Table};
use backoff::backoff::Backoff as _;
use tokio::sync::watch;
use tokio::time::Instant;

use super::driver::{Course, LONGEST_PAUSE, pauses};
use super::queue::Queue;
use super::status::{BootstrapStatus, State, Status};
use crate::error::Chain;
use crate::{Bootstrap, BootstrapError, BootstrapProgress, Bootstrapped, ReplicaError};

/// For how long an artifact that cannot be fetched is tried again before the log is read without it.
const PATIENCE: Duration = Duration::from_mins(1);

/// The bootstrap of a replica.
pub(super) struct ReplicaBootstrap {
    bootstrap: Bootstrap,
    when_behind: u64,
    status: watch::Sender<Status>,
}

impl ReplicaBootstrap {
    pub(super) fn new(bootstrap: Bootstrap, when_behind: u64, status: watch::Sender<Status>) -> Self {
        let told = status.clone();
        Self {
            bootstrap: bootstrap
                .telling(move |progress| tell(&told, |status| status.progress = Some(progress))),
            when_behind,
            status,
        }
    }

    /// Fills the table if that is wanted and possible. Whether what was known of table and log is out of date now.
    ///
    /// # Errors
    ///
    /// [`ReplicaError::Bootstrap`] for an artifact of something else.
    pub(super) async fn run(
        &self,
        course: &Course,
        table: &Arc<dyn Table>,
        queue: &Queue,
    ) -> Result<bool, ReplicaError> {
        if !may_be_wanted(&course.plan) {
            self.bootstrap.discard().await;
            return Ok(false);
        }
        let place = |load| queue.push_load(load).map_err(|_| BootstrapError::Stopped);
        // A table that can go on from where it is does not wait for a store that may have nothing better.
        let is_needed = AtomicBool::new(!can_go_on(course));
        let wanted = |artifact: &Cursor| {
            let wanted = is_wanted(course, artifact, self.when_behind);
            if wanted {
                is_needed.store(true, Ordering::Relaxed);
                self.begin(artifact);
            }
            wanted
        };
        let (mut pauses, since) = (pauses(), Instant::now());
        loop {
            let error = match self.bootstrap.run_on(table, &place, &wanted).await {
                Ok(Some(done)) => {
                    self.done(done);
                    return Ok(true);
                }
                Ok(None) => {
                    self.bootstrap.discard().await;
                    return Ok(false);
                }
                Err(error) => Arc::new(error),
            };
            let again = error.kind() == ErrorKind::Transient
                && is_needed.load(Ordering::Relaxed)
                && since.elapsed() < PATIENCE;
            tracing::warn!(table = table.name(), again, error = %Chain(&*error), "the artifact cannot be used");
            self.end(State::Filling, |status| status.error = Some(Arc::clone(&error)));
            if is_of_something_else(&error) {
                return Err(ReplicaError::Bootstrap(error));
            }
            if !again {
                self.bootstrap.discard().await;
                return Ok(true);
            }
            tokio::time::sleep(pauses.next_backoff().unwrap_or(LONGEST_PAUSE)).await;
        }
    }

    fn begin(&self, artifact: &Cursor) {
        tracing::info!(%artifact, "filling the table from an artifact");
        tell(&self.status, |status| {
            status.progress = Some(BootstrapProgress::default());
        });
        self.status
            .send_modify(|status| status.enter(State::Bootstrapping));
    }

    fn done(&self, done: Bootstrapped) {
        tracing::info!(cursor = %done.cursor, rows = done.rows, "the table is filled from an artifact");
        self.end(State::Filling, |status| {
            status.error = done.skipped.first().map(|skipped| Arc::clone(&skipped.error));
            status.done = Some(done);
        });
    }

    fn end(&self, state: State, change: impl FnOnce(&mut BootstrapStatus)) {
        tell(&self.status, |status| {
            status.progress = None;
            change(status);
        });
        self.status.send_modify(|status| status.enter(state));
    }
}

fn tell(status: &watch::Sender<Status>, change: impl FnOnce(&mut BootstrapStatus)) {
    status.send_modify(|status| change(status.bootstrap.get_or_insert_default()));
}

/// Whether a table that goes on like this may be better off with an artifact.
fn may_be_wanted(plan: &Plan) -> bool {
    match plan {
        Plan::Resume { .. } | Plan::Restore { .. } => true,
        // For these it has to list what the log holds, unless an artifact is ahead of what is lost.
        Plan::Reconcile(reason) => matches!(reason, ReconcileReason::Overrun | ReconcileReason::Interrupted),
        Plan::Refuse(_) => false,
    }
}

/// Whether a table is somewhere, and the log goes on from there.
fn can_go_on(course: &Course) -> bool {
    course.cursor.is_some() && matches!(course.plan, Plan::Resume { .. })
}

/// Whether a table is better off with an artifact at this cursor. What the log thinks of the artifact is not asked here.
fn is_wanted(course: &Course, artifact: &Cursor, when_behind: u64) -> bool {
    if !may_be_wanted(&course.plan) {
        return false;
    }
    let Some(cursor) = &course.cursor else {
        return true;
    };
    let ahead = artifact.sequence.distance_from(cursor.sequence);
    match course.plan {
        // The log is the table's, and one of another log does not fit: that is to be told.
        _ if artifact.log != cursor.log => true,
        Plan::Resume { .. } => ahead > when_behind,
        _ => ahead > 0,
    }
}

/// Whether an artifact is none of this replica's: somebody has to mend a name.
fn is_of_something_else(error: &BootstrapError) -> bool {
    let BootstrapError::Unfit { source, .. } = error else {
        return false;
    };
    matches!(
        source,
        Unfit::OtherLog { .. } | Unfit::Scope { .. } | Unfit::Mode { .. }
    )
}

#[cfg(test)]
mod tests {
    use alluvium_core::{LogIdentity, Sequence, Timestamp};

    use super::*;

    #[test]
    fn an_artifact_is_wanted_by_who_has_nothing_is_far_behind_or_has_been_overrun() {
        let log = LogIdentity::new("KV_routes", Timestamp::from_nanos(1));
        let at =
            |sequence| Cursor::start_of(log.clone()).at(Sequence::new(sequence), Timestamp::from_nanos(2));
        let resume = Plan::Resume {
            from: Sequence::FIRST,
        };
        let overrun = Plan::Reconcile(ReconcileReason::Overrun);
        let interrupted = Plan::Reconcile(ReconcileReason::Interrupted);
        let replaced = Plan::Reconcile(ReconcileReason::LogReplaced);
        for (plan, cursor, expected) in [
            (&resume, None, true),
            (&resume, Some(499), true),
            (&resume, Some(500), false),
            (&resume, Some(2_000), false),
            (&overrun, Some(999), true),
            (&overrun, Some(1_000), false),
            (&interrupted, None, true),
            (&replaced, Some(1), false),
        ] {
            let course = Course {
                log: log.clone(),
                plan: plan.clone(),
                cursor: cursor.map(at),
            };
            assert_eq!(
                is_wanted(&course, &at(1_000), 500),
                expected,
                "{plan:?} at {cursor:?}"
            );
        }
    }
}
