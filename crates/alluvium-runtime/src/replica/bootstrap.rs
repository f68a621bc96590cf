//! What artifacts there are for a replica, and what becomes of them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alluvium_core::artifact::Unfit;
use alluvium_core::{Cursor, ErrorKind, Mode, Plan, Table};
use tokio::sync::watch;
use tokio::time::Instant;

use super::driver::{Course, pauses};
use super::queue::Queue;
use super::status::{BootstrapStatus, State, Status};
use crate::artifact::{Chosen, Place};
use crate::error::Chain;
use crate::{Bootstrap, BootstrapError, BootstrapProgress, Bootstrapped, ReplicaError, SkippedArtifact};

/// For how long an artifact that cannot be fetched is tried again before a mirror does without.
const PATIENCE: Duration = Duration::from_mins(1);

/// The bootstrap of a replica: what artifacts there are for it, and what has become of them.
pub(super) struct ReplicaBootstrap {
    bootstrap: Bootstrap,
    when_behind: u64,
    status: watch::Sender<Status>,
    attempts: Mutex<Attempts>,
}

/// What has been tried since the log was followed last.
#[derive(Default)]
struct Attempts {
    /// Whether the log has been followed.
    has_begun: bool,
    /// Since when it fails.
    since: Option<Instant>,
    /// It is done without.
    given_up: bool,
    /// What is damaged.
    skipped: Vec<SkippedArtifact>,
}

impl ReplicaBootstrap {
    pub(super) fn new(bootstrap: Bootstrap, when_behind: u64, status: watch::Sender<Status>) -> Self {
        let told = status.clone();
        Self {
            bootstrap: bootstrap
                .telling(move |progress| tell(&told, |status| status.progress = Some(progress))),
            when_behind,
            status,
            attempts: Mutex::default(),
        }
    }

    /// The newest artifact that is not known to be damaged; nothing if there is none, or a mirror is to do without.
    ///
    /// # Errors
    ///
    /// [`ReplicaError::Bootstrap`] if there is no saying what there is: now, if that [may pass](BootstrapError::may_pass), or at
    /// all.
    pub(super) async fn newest(&self, mode: Mode) -> Result<Option<Chosen>, ReplicaError> {
        let mut skipped = {
            let mut attempts = self.attempts();
            if attempts.given_up {
                return Ok(None);
            }
            std::mem::take(&mut attempts.skipped)
        };
        let newest = self.bootstrap.newest(&mut skipped).await;
        self.attempts().skipped = skipped;
        match newest {
            Ok(newest) => {
                tell(&self.status, |status| {
                    let was_none = matches!(status.error.as_deref(), Some(BootstrapError::NoArtifact { .. }));
                    status.error.take_if(|_| was_none);
                });
                Ok(Some(newest))
            }
            Err(error @ BootstrapError::NoArtifact { .. }) => {
                tell(&self.status, |status| status.error = Some(Arc::new(error)));
                Ok(None)
            }
            Err(error) => self.failed(error, mode).map(|()| None),
        }
    }

    /// Fills the table from this artifact, if that is `confirmed` once everything is fetched. Nothing is done about an artifact that
    /// is damaged, but it is not the newest any more.
    pub(super) async fn fill(
        &self,
        artifact: &Chosen,
        table: &Arc<dyn Table>,
        place: &Place<'_>,
        confirmed: impl Future<Output = Result<(), BootstrapError>> + Send,
    ) -> Result<(), BootstrapError> {
        self.begin(&artifact.manifest.cursor);
        match self.bootstrap.fill_from(artifact, table, place, confirmed).await {
            Ok(done) => {
                let skipped = std::mem::take(&mut self.attempts().skipped);
                self.done(Bootstrapped { skipped, ..done });
                Ok(())
            }
            // It was found to fit before: the log has changed.
            Err(BootstrapError::Unfit { .. }) => Err(self.outdated()),
            Err(error) => {
                let skipped = &mut self.attempts().skipped;
                self.bootstrap.pass_over(skipped, artifact, error)
            }
        }
    }

    /// What becomes of an artifact that cannot be had: it is tried again, or a mirror does without.
    ///
    /// # Errors
    ///
    /// [`ReplicaError::Bootstrap`], for both modes as long as it is to be tried again, and then for an archive.
    pub(super) fn failed(&self, error: BootstrapError, mode: Mode) -> Result<(), ReplicaError> {
        let error = Arc::new(error);
        let again = {
            let mut attempts = self.attempts();
            let since = *attempts.since.get_or_insert_with(Instant::now);
            let again = error.may_pass() && (mode == Mode::Archive || since.elapsed() < PATIENCE);
            attempts.given_up = !again;
            again
        };
        tracing::warn!(again, error = %Chain(&*error), "the artifact cannot be used");
        tell(&self.status, |status| {
            status.error = Some(Arc::clone(&error));
            status.progress = again.then(|| status.progress.unwrap_or_default());
        });
        if again {
            self.status.send_modify(Status::fills_from_an_artifact);
        } else if mode == Mode::Mirror {
            return Ok(());
        }
        Err(ReplicaError::Bootstrap(error))
    }

    /// Tells of the newest artifact that it is of no use, which leads to this plan.
    ///
    /// # Errors
    ///
    /// [`ReplicaError::Bootstrap`] for an artifact of something else, before the log is followed for the first time.
    pub(super) fn does_not_fit(&self, unfit: Unfit, plan: &Plan) -> Result<(), ReplicaError> {
        let error = Arc::new(self.bootstrap.unfit(unfit));
        tracing::warn!(error = %Chain(&*error), "the artifact cannot be used");
        tell(&self.status, |status| status.error = Some(Arc::clone(&error)));
        let is_first = !self.attempts().has_begun && !matches!(plan, Plan::Refuse(_));
        if is_first && is_of_something_else(&error) {
            return Err(ReplicaError::Bootstrap(error));
        }
        Ok(())
    }

    pub(super) fn outdated(&self) -> BootstrapError {
        self.bootstrap.outdated()
    }

    /// Nothing more is to be had of artifacts before the log is followed.
    pub(super) async fn over(&self) {
        *self.attempts() = Attempts {
            has_begun: true,
            ..Attempts::default()
        };
        tell(&self.status, |status| status.progress = None);
        self.bootstrap.discard().await;
    }

    fn attempts(&self) -> MutexGuard<'_, Attempts> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fills a table that can go on if it is far behind an artifact. Whether what was known of table and log is out of date now.
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
        let (Plan::Resume { .. }, Some(cursor)) = (&course.plan, &course.cursor) else {
            return Ok(false);
        };
        let place = |load| queue.push_load(load).map_err(|_| BootstrapError::Stopped);
        // It does not wait for a store that may have nothing better.
        let is_needed = AtomicBool::new(false);
        let wanted = |artifact: &Cursor| {
            let wanted = is_wanted(cursor, artifact, self.when_behind);
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
                Ok(None) => return Ok(false),
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
                return Ok(true);
            }
            tokio::time::sleep(pauses.next()).await;
        }
    }

    fn begin(&self, artifact: &Cursor) {
        tracing::info!(%artifact, "filling the table from an artifact");
        tell(&self.status, |status| {
            status.progress = Some(BootstrapProgress::default());
        });
        self.status.send_modify(Status::fills_from_an_artifact);
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

/// Whether a table that can go on is better off with an artifact at this cursor.
fn is_wanted(cursor: &Cursor, artifact: &Cursor, when_behind: u64) -> bool {
    // The log is the table's, and one of another log does not fit: that is to be told.
    artifact.log != cursor.log || artifact.sequence.distance_from(cursor.sequence) > when_behind
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
    fn an_artifact_is_wanted_by_who_is_far_behind() {
        let log = LogIdentity::new("KV_routes", Timestamp::from_nanos(1));
        let at =
            |sequence| Cursor::start_of(log.clone()).at(Sequence::new(sequence), Timestamp::from_nanos(2));
        for (cursor, expected) in [(499, true), (500, false), (2_000, false)] {
            assert_eq!(is_wanted(&at(cursor), &at(1_000), 500), expected, "at {cursor}");
        }
    }
}
