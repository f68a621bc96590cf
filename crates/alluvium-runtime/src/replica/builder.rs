//! How a replica is put together.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use alluvium_core::{Batch, Binding, BoxError, Durability, Log, Mode, Scope, Sequence, Table};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::applier::{Applier, Hook};
use super::bootstrap::ReplicaBootstrap;
use super::driver::Driver;
use super::queue;
use super::status::{BootstrapStatus, Status};
use super::{Replica, TableHandle};
use crate::artifact::Rounds;
use crate::{Bootstrap, ExportSchedule, ReplicaError};

/// Batches that a slow subscriber may lie behind before it misses some.
const SUBSCRIPTION_BATCHES: usize = 16;
/// Exports that may have been asked for before whoever asks for one more waits to be heard.
const EXPORT_REQUESTS: usize = 16;
/// How far behind an artifact a table has to be.
const BOOTSTRAP_WHEN_BEHIND: u64 = 100_000;

/// A replica that is not started yet.
#[must_use = "a replica does nothing before it is started"]
pub struct ReplicaBuilder {
    log: Arc<dyn Log>,
    table: Arc<dyn Table>,
    scope: Scope,
    mode: Mode,
    durability: Durability,
    hook: Option<Hook>,
    track_changes: bool,
    queue_bytes: usize,
    stalled_after: Duration,
    bounds_every: Duration,
    serve_when_refused: bool,
    missing_for: Duration,
    exports: Option<ExportSchedule>,
    bootstrap: Option<Bootstrap>,
    bootstrap_when_behind: u64,
}

impl Replica {
    /// A replica of this log into this table.
    pub fn builder(log: Arc<dyn Log>, table: Arc<dyn Table>) -> ReplicaBuilder {
        ReplicaBuilder {
            log,
            table,
            scope: Scope::all(),
            mode: Mode::default(),
            durability: Durability::Buffered,
            hook: None,
            track_changes: false,
            queue_bytes: 16 << 20,
            stalled_after: Duration::from_secs(10),
            bounds_every: Duration::from_secs(5),
            serve_when_refused: false,
            missing_for: Duration::from_secs(5),
            exports: None,
            bootstrap: None,
            bootstrap_when_behind: BOOTSTRAP_WHEN_BEHIND,
        }
    }
}

impl ReplicaBuilder {
    /// The keys to hold. Everything by default. A table keeps the scope it was first used with.
    pub fn scope(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// What the table keeps of what its log forgets. [`Mode::Mirror`] by default: nothing. In [`Mode::Archive`] what the log
    /// merely evicted stays: only who deletes a key deletes its row. A table keeps the mode it was first used with.
    ///
    /// An archive whose log may have evicted cannot be put right by listing that log. When the log has overrun it, was created
    /// again or lost its tail, it goes on from an artifact or is refused, with what to do. It remembers that the log
    /// could evict, also when that was switched off again; what is switched on and off between two looks at the log
    /// ([`bounds_every`](Self::bounds_every)) is not seen.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// What a position must have survived before it is told to anyone. [`Durability::Buffered`] leaves it to the
    /// table's engine; [`Durability::Fsync`] syncs the table after every batch, whatever the engine was opened with.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// A hook that is given every batch before it is committed, on the applying thread. When the table's cursor says
    /// C, the hook has returned `Ok` for every change up to C; after a crash it may be given the changes after C
    /// again. An error or a panic stops the replica and leaves the batch unapplied.
    pub fn on_batch(mut self, hook: impl FnMut(&Batch) -> Result<(), BoxError> + Send + 'static) -> Self {
        self.hook = Some(Box::new(hook));
        self
    }

    /// Whether the table keeps the change index behind
    /// [`changes_since`](alluvium_core::TableSnapshot::changes_since). Off by default; it is not kept during the first
    /// fill, and reaches back to its end.
    pub fn track_changes(mut self, on: bool) -> Self {
        self.track_changes = on;
        self
    }

    /// How many bytes of received changes may wait to be applied, 16 MiB by default. Each change counts 128 bytes
    /// beside its key and value, so this bounds their number too.
    pub fn queue_bytes(mut self, bytes: usize) -> Self {
        self.queue_bytes = bytes;
        self
    }

    /// For how long nothing may be heard from the log before the replica says that it is stalled; 10 s by default.
    pub fn stalled_after(mut self, pause: Duration) -> Self {
        self.stalled_after = pause;
        self
    }

    /// How often the log is asked what it holds, 5 s by default: what lag and stalling are told by, and how soon a mirror
    /// forgets what its log forgot without leaving a marker. So does an [archive](Self::mode) while its log never evicts: what is
    /// gone was purged then.
    ///
    /// Rows of messages that the log evicted from its front go at the next look. What else is gone is told from the log's count of
    /// keys, if the log keeps one message of each key, the table holds all keys, and a few thousand changes at most come at a time.
    /// Where that cannot tell, the log is asked which messages it holds, or listed without values where it does not say: once after the
    /// start, and then when the numbers leave it open, for at most a twentieth of the time. For a replica of a part of a log, or of a log
    /// with a history, they do whenever anything was written.
    ///
    /// So a row goes after this interval at the latest, or after this interval and 22 times what asking or listing takes: it may go missing
    /// right after that was done, which rests 20 times as long as it took. Of more than 65,536 that are gone and not from the front, each
    /// interval and listing takes as many. All of that counts from when the table has come to the end that the log had at a look: a
    /// newer message of the key may be on its way. A table that never comes there, because more is written than it can apply, forgets
    /// only what has a marker.
    pub fn bounds_every(mut self, interval: Duration) -> Self {
        self.bounds_every = interval;
        self
    }

    /// Whether a replica whose table cannot go on from its log in any correct way goes on serving what the table holds: its
    /// state is [`State::Refused`](crate::State::Refused) then, and its reads are [stale](Status::is_stale). It looks every few
    /// seconds whether there is a way, and takes it. Off by default: [`start`](Self::start) fails, or the replica stops.
    pub fn serve_when_refused(mut self, on: bool) -> Self {
        self.serve_when_refused = on;
        self
    }

    /// For how long the log may be gone before a running replica stops with [`LogError::NotFound`](alluvium_core::LogError::NotFound),
    /// 5 s by default: a stream that is made again, or restored from a backup, is deleted first. The replica says that it is stalled
    /// meanwhile, and decides anew when there is a log again.
    pub fn missing_for(mut self, patience: Duration) -> Self {
        self.missing_for = patience;
        self
    }

    /// Exports the table by this schedule, which [switches the change index on](Self::track_changes).
    pub fn export(mut self, schedule: ExportSchedule) -> Self {
        self.exports = Some(schedule);
        self
    }

    /// Fills the table from an artifact when that is worth it or the only way: at a start, when the table is empty or [far
    /// behind](Self::bootstrap_when_behind) the artifact; and then and later, when the log has overrun the table and not the
    /// artifact, and whenever an [archive](Self::mode) cannot be put right by its log. The log and the scope of the bootstrap are
    /// those of the replica.
    ///
    /// It goes on in the background, and [`Status::bootstrap`] tells how far it has come. Reads show the old content until it is
    /// done; after that they are [stale](Status::is_stale) until the replica has caught up. The [hook](Self::on_batch) and
    /// subscribers are given only what comes after the artifact. It is checked once more, when everything is fetched, that the log
    /// goes on from the artifact and that it is still what is wanted.
    ///
    /// A mirror reads or lists its log without an artifact if there is no use for one: if there is none, if the log was created
    /// again since, lost its tail or has overrun it, if it and those before it are damaged, if it cannot be fetched for a minute. An
    /// archive does so where [`plan`](alluvium_core::plan) says that it may, and is refused where not; it waits for a store that
    /// does not answer, as long as it takes, and stops at what does not pass. A table that can go on anyway does not even wait for a
    /// store that does not say what there is. An artifact of another log, of a narrower scope or of another mode stops a replica
    /// that starts: the key is a wrong one.
    ///
    /// The scratch directory belongs to the replica: what it holds of an artifact is removed as soon as it is not needed.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use alluvium_core::{Log, Table, Transport};
    /// use alluvium_runtime::{Bootstrap, Replica};
    ///
    /// # async fn start(log: Arc<dyn Log>, table: Arc<dyn Table>, transport: Arc<dyn Transport>)
    /// # -> Result<(), Box<dyn std::error::Error>> {
    /// let bootstrap = Bootstrap::new(transport, "routes".parse()?, "state/bootstrap");
    /// let replica = Replica::builder(log, table).bootstrap_from(bootstrap).start().await?;
    /// replica.caught_up().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn bootstrap_from(mut self, bootstrap: Bootstrap) -> Self {
        self.bootstrap = Some(bootstrap);
        self
    }

    /// A table so many sequences behind an artifact is filled from it, and not from the log; 100,000 by default.
    pub fn bootstrap_when_behind(mut self, sequences: u64) -> Self {
        self.bootstrap_when_behind = sequences;
        self
    }

    /// Binds the table, decides how it goes on from the log, and starts.
    ///
    /// # Errors
    ///
    /// [`ReplicaError::Table`] for a table of another log, scope or mode, [`ReplicaError::Log`] for a log that does not exist
    /// or cannot be reached, [`ReplicaError::Refused`] where there is no correct way, and [`ReplicaError::Bootstrap`] where only an
    /// artifact would help and its store cannot be used. Nothing has changed then.
    pub async fn start(mut self) -> Result<Replica, ReplicaError> {
        let table = Arc::clone(&self.table);
        let binding = Binding {
            log: self.log.name().to_owned(),
            scope: self.scope.clone(),
            mode: self.mode,
        };
        let of_artifacts = binding.clone();
        // Before anything is bound: a log that cannot be read must not leave its name in a new table.
        let bounds = self.log.bounds().await?;
        let bind = move || {
            table.bind(&binding)?;
            Ok::<_, ReplicaError>(table.cursor())
        };
        let cursor = tokio::task::spawn_blocking(bind)
            .await
            .map_err(|_| ReplicaError::ShutDown)??;

        let mut status = Status::starting(cursor);
        status.log_last = bounds.last;
        status.bootstrap = self.bootstrap.as_ref().map(|_| BootstrapStatus::default());
        let status = watch::Sender::new(status);
        let batches = broadcast::Sender::new(SUBSCRIPTION_BATCHES);
        let (queue, arrivals) = queue::bounded(self.queue_bytes);
        let (applier_over, applier_ended) = oneshot::channel();
        Applier {
            table: Arc::clone(&self.table),
            hook: self.hook.take(),
            mode: self.mode,
            durability: self.durability,
            track_changes: self.track_changes || self.exports.is_some(),
            status: status.clone(),
            batches: batches.clone(),
            reached: Sequence::ZERO,
            holds_all_keys: self.scope.is_all(),
            newcomers: None,
        }
        .spawn(arrivals, applier_over)?;

        let stop = watch::Sender::new(false);
        let (requests, asked) = mpsc::channel(EXPORT_REQUESTS);
        let rounds = self.exports.take().map(|schedule| {
            let (table, log) = (Arc::clone(&self.table), Arc::clone(&self.log));
            Rounds::new(schedule, table, log, status.clone())
        });
        let replica = Replica {
            table: TableHandle(Arc::clone(&self.table)),
            status: status.subscribe(),
            batches,
            stop: stop.clone(),
            exports: rounds.as_ref().map(|_| requests),
        };
        let bootstrap = self.bootstrap.map(|bootstrap| {
            let log = Arc::clone(&self.log);
            let bootstrap = bootstrap.of_replica(log, &of_artifacts, self.track_changes || rounds.is_some());
            ReplicaBootstrap::new(bootstrap, self.bootstrap_when_behind, status.clone())
        });
        let driver = Driver {
            log: self.log,
            table: self.table,
            scope: self.scope,
            mode: self.mode,
            queue,
            status,
            stalled_after: self.stalled_after,
            bounds_every: self.bounds_every,
            following: Mutex::default(),
            surveys: watch::Sender::new(None),
            vanished: watch::Sender::new(false),
            serve_when_refused: self.serve_when_refused,
            missing_for: self.missing_for,
            missing: Mutex::default(),
            bootstrap,
        };
        let course = match driver.decide_at_start(bounds).await {
            Err(error) if !driver.serves(&error) => return Err(error),
            course => course,
        };
        let rounds = rounds.map(|rounds| rounds.spawn(asked));
        tokio::spawn(driver.run(course, stop.subscribe(), applier_ended, rounds));
        Ok(replica)
    }
}
