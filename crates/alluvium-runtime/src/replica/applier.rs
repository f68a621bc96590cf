//! The applying thread: takes what has arrived, gives it to the hook, commits it, tells of it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use alluvium_core::{
    Batch, BoxError, Change, Cursor, DeleteReason, Durability, LogIdentity, Mode, Operation, Sequence, Table,
};
use tokio::sync::{OwnedSemaphorePermit, broadcast, mpsc, oneshot, watch};

use super::forget::RowAt;
use super::newcomers::Newcomers;
use super::queue::{Arrival, Work};
use super::reconcile::{Ending, Reconcile, gone};
use super::status::{State, Status};
use crate::ReplicaError;
use crate::error::panic_message;

/// What is given every batch before it is committed.
pub(super) type Hook = Box<dyn FnMut(&Batch) -> Result<(), BoxError> + Send>;

/// How many changes one commit takes at most. The more there are, the more of them are neighbours in the engine's order
/// and share the way there; the queue's bound keeps what a batch allocates a small part of the process.
const MAX_BATCH: usize = 65_536;

pub(super) struct Applier {
    pub(super) table: Arc<dyn Table>,
    pub(super) hook: Option<Hook>,
    pub(super) mode: Mode,
    pub(super) durability: Durability,
    pub(super) track_changes: bool,
    pub(super) status: watch::Sender<Status>,
    pub(super) batches: broadcast::Sender<Arc<Batch>>,
    /// Everything in scope up to here is applied.
    pub(super) reached: Sequence,
    /// Whether the table holds every key of its log, so that it is of use to know how many changes bring.
    pub(super) holds_all_keys: bool,
    /// The keys that changes bring, once the log was caught up with; nothing before.
    pub(super) newcomers: Option<Newcomers>,
}

/// How many rows that the log forgot one commit takes at most.
const FORGOTTEN_AT_ONCE: usize = 4_096;

/// Changes that wait to be one batch, with their share of the queue.
#[derive(Default)]
struct Gathered {
    changes: Vec<Change>,
    shares: Vec<OwnedSemaphorePermit>,
}

impl Applier {
    /// Starts the thread. It ends when the queue's filling end is dropped, after everything in the queue is done, or
    /// with the first error; `over` is told which.
    pub(super) fn spawn(
        self,
        arrivals: mpsc::UnboundedReceiver<Arrival>,
        over: oneshot::Sender<Result<(), ReplicaError>>,
    ) -> Result<(), ReplicaError> {
        let run = move || {
            let result = self.run(arrivals);
            // Nobody listens if the replica never started.
            let _ = over.send(result);
        };
        thread::Builder::new()
            .name("alluvium-apply".to_owned())
            .spawn(run)
            .map(drop)
            .map_err(|error| ReplicaError::Thread(Arc::new(error)))
    }

    fn run(mut self, mut arrivals: mpsc::UnboundedReceiver<Arrival>) -> Result<(), ReplicaError> {
        let mut reconcile = None;
        let mut log = None;
        let mut next = arrivals.blocking_recv();
        while let Some(Arrival { work, mut share }) = next.take() {
            match work {
                Work::Follow(identity) => {
                    let cursor = self.table.cursor();
                    self.reached = cursor.map_or(Sequence::ZERO, |cursor| cursor.sequence);
                    self.newcomers = None;
                    // One that was cut short begins anew, if that is the course.
                    reconcile = None;
                    log = Some(identity);
                }
                Work::Apply(changes) => {
                    let mut gathered = Gathered {
                        changes,
                        shares: share.take().into_iter().collect(),
                    };
                    next = gather(&mut gathered, &mut arrivals);
                    if let Some(log) = &log {
                        self.apply(log, gathered)?;
                    }
                }
                Work::CaughtUp(sequence, cursor) => self.caught_up(sequence, cursor)?,
                Work::HoldStill => reconcile = Some(Reconcile::new(self.mode)),
                Work::BeginReconcile => reconcile = Some(self.begin_reconcile()?),
                Work::Reconcile(changes) => {
                    if let Some(reconcile) = &mut reconcile {
                        let differing = reconcile.differing(self.table.as_ref(), changes)?;
                        self.amend(differing)?;
                    }
                }
                Work::Compare(listed, tell) => {
                    if let Some(reconcile) = &mut reconcile {
                        // Whoever asked may have stopped waiting.
                        drop(tell.send(reconcile.compare(self.table.as_ref(), listed)?));
                    }
                }
                Work::Amend(changes) => self.amend(changes)?,
                Work::Spare(keys) => {
                    if let Some(reconcile) = &mut reconcile {
                        for key in keys {
                            reconcile.spare(&key);
                        }
                    }
                }
                Work::EndReconcile(cursor, delete, tell) => {
                    if let Some(reconcile) = reconcile.take() {
                        if reconcile.has_evicted() {
                            self.remember_eviction()?;
                        }
                        let _ = tell.send(self.end_reconcile(reconcile, &cursor, delete)?);
                    }
                }
                Work::Mended(cursor) if reconcile.take().is_some() => self.finish_reconcile(&cursor)?,
                Work::Mended(_) => {}
                Work::Reached(sequence, tell) => {
                    // Whoever asked may have stopped waiting, here and below.
                    let _ = tell.send(reconcile.is_none() && self.reached >= sequence);
                }
                Work::Forget(rows, tell) => {
                    let may_forget = reconcile.is_none() && self.forgets();
                    let count = may_forget.then(|| self.forget(rows)).transpose()?;
                    let _ = tell.send(count);
                }
                Work::Newcomers {
                    after,
                    upto,
                    first,
                    tell,
                } => {
                    let known = self.newcomers.as_mut();
                    let told = known.map(|known| (known.between(after, upto), known.evict_before(first)));
                    let _ = tell.send(told.unwrap_or((None, 0)));
                }
                Work::LearnMarkers(markers, complete) => {
                    if let Some(known) = &mut self.newcomers {
                        known.learn(self.table.as_ref(), markers, complete)?;
                    }
                }
                Work::RememberEviction => self.remember_eviction()?,
                Work::KeepMarkers(held) => self.newcomers.iter_mut().for_each(|known| known.keep(&held)),
                Work::Load(load) => {
                    if let Some(cursor) = load(self.table.as_ref()) {
                        self.make_durable()?;
                        self.status.send_modify(|status| {
                            status.goes_back_to(cursor.sequence);
                            status.cursor = Some(cursor);
                        });
                    }
                }
                // Whoever asked may have stopped waiting.
                Work::Settle(done) => drop(done.send(())),
            }
            // What comes next may wait for this room.
            drop(share);
            if next.is_none() {
                next = arrivals.blocking_recv();
            }
        }
        Ok(self.table.sync()?)
    }

    /// Commits a run of the log.
    fn apply(&mut self, log: &LogIdentity, mut gathered: Gathered) -> Result<(), ReplicaError> {
        let Some(last) = gathered.changes.last() else {
            return Ok(());
        };
        let cursor = Cursor {
            log: log.clone(),
            sequence: last.sequence,
            timestamp: last.timestamp,
        };
        // Every key that they bring to the log, also those of markers that do nothing to the table.
        if let Some(newcomers) = &mut self.newcomers {
            newcomers.note(self.table.as_ref(), &gathered.changes)?;
        }
        if self.mode == Mode::Archive {
            gathered.changes.retain(|change| !is_eviction(change));
        }
        let batch = Batch::new(gathered.changes, Some(cursor.clone()));
        self.call_hook(&batch)?;
        self.table.apply(&batch.changes, &cursor)?;
        self.make_durable()?;
        drop(gathered.shares);
        self.reached = self.reached.max(cursor.sequence);
        self.tell(batch);
        Ok(())
    }

    /// Commits a step of a reconcile.
    fn amend(&mut self, changes: Vec<Change>) -> Result<(), ReplicaError> {
        if changes.is_empty() {
            return Ok(());
        }
        let batch = Batch::new(changes, None);
        self.call_hook(&batch)?;
        self.table.amend(&batch.changes)?;
        self.tell(batch);
        Ok(())
    }

    fn remember_eviction(&mut self) -> Result<(), ReplicaError> {
        self.table.remember_eviction()?;
        self.table.sync()?;
        if !self.forgets() {
            self.newcomers = None;
        }
        Ok(())
    }

    /// Whether what the log holds no more is to be forgotten. An archive remembers when that no longer is so.
    fn forgets(&self) -> bool {
        self.mode == Mode::Mirror || !self.table.has_evicted()
    }

    /// Deletes rows that still are of these messages.
    fn forget(&mut self, rows: Vec<RowAt>) -> Result<u64, ReplicaError> {
        let Some(cursor) = self.table.cursor() else {
            return Ok(0);
        };
        let (mut count, mut rows) = (0, rows.into_iter().peekable());
        while rows.peek().is_some() {
            let (mut keys, mut changes) = (Vec::new(), Vec::new());
            for row in rows.by_ref().take(FORGOTTEN_AT_ONCE) {
                let entry = self.table.get(&row.key)?;
                if entry
                    .is_some_and(|entry| (entry.sequence, entry.timestamp) == (row.sequence, row.timestamp))
                {
                    keys.push(row.key.clone());
                    changes.push(gone(row.key, &cursor));
                }
            }
            if changes.is_empty() {
                continue;
            }
            let batch = Batch::new(changes, Some(cursor.clone()));
            self.call_hook(&batch)?;
            self.table.forget(&keys)?;
            self.make_durable()?;
            count += keys.len() as u64;
            self.tell(batch);
        }
        Ok(count)
    }

    fn begin_reconcile(&mut self) -> Result<Reconcile, ReplicaError> {
        self.table.amend(&[])?;
        self.status.send_modify(|status| status.cursor = None);
        Ok(Reconcile::new(self.mode))
    }

    /// Gives the table a cursor, unless it is not what was listed.
    fn end_reconcile(
        &mut self,
        reconcile: Reconcile,
        cursor: &Cursor,
        delete: bool,
    ) -> Result<Ending, ReplicaError> {
        let table = Arc::clone(&self.table);
        let delete = delete && self.forgets();
        let ending = reconcile.end(table.as_ref(), cursor, delete, |vanished| self.amend(vanished))?;
        if ending == Ending::Whole {
            self.finish_reconcile(cursor)?;
        }
        Ok(ending)
    }

    fn finish_reconcile(&mut self, cursor: &Cursor) -> Result<(), ReplicaError> {
        let batch = Batch::new(Vec::new(), Some(cursor.clone()));
        self.call_hook(&batch)?;
        self.table.apply(&[], cursor)?;
        self.make_durable()?;
        self.reached = cursor.sequence;
        self.status
            .send_modify(|status| status.goes_back_to(cursor.sequence));
        self.tell(batch);
        Ok(())
    }

    fn caught_up(&mut self, sequence: Sequence, cursor: Option<Cursor>) -> Result<(), ReplicaError> {
        if let Some(cursor) = cursor {
            self.table.apply(&[], &cursor)?;
            self.make_durable()?;
            self.status.send_modify(|status| status.cursor = Some(cursor));
        }
        self.reached = self.reached.max(sequence);
        if self.holds_all_keys && self.forgets() && self.newcomers.is_none() {
            self.newcomers = Some(Newcomers::after(self.reached));
        }
        let first_time = self.status.borrow().caught_up.is_none();
        if first_time {
            self.table.track_changes(self.track_changes)?;
        }
        self.status.send_modify(|status| {
            status.caught_up = status.caught_up.max(Some(sequence));
            status.log_last = status.log_last.max(sequence);
            status.enter(State::Live);
        });
        Ok(())
    }

    fn make_durable(&self) -> Result<(), ReplicaError> {
        match self.durability {
            Durability::Buffered => Ok(()),
            Durability::Fsync => Ok(self.table.sync()?),
        }
    }

    fn call_hook(&mut self, batch: &Batch) -> Result<(), ReplicaError> {
        let Some(hook) = &mut self.hook else { return Ok(()) };
        let span = || {
            let sequences = batch.changes.iter().map(|change| change.sequence);
            let cursor = batch
                .cursor
                .as_ref()
                .map_or(Sequence::ZERO, |cursor| cursor.sequence);
            (
                sequences.clone().min().unwrap_or(cursor),
                sequences.max().unwrap_or(cursor),
            )
        };
        // The hook is not called again after a panic, so nothing can see what it left half done.
        match catch_unwind(AssertUnwindSafe(|| hook(batch))) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                let (first, last) = span();
                Err(ReplicaError::Hook {
                    first,
                    last,
                    source: Arc::new(error),
                })
            }
            Err(panic) => {
                let (first, last) = span();
                Err(ReplicaError::HookPanicked {
                    first,
                    last,
                    message: panic_message(panic.as_ref()),
                })
            }
        }
    }

    /// Publishes a batch that is committed.
    fn tell(&self, batch: Batch) {
        let bytes: usize = batch.changes.iter().map(Change::len_bytes).sum();
        self.status.send_modify(|status| {
            if let Some(cursor) = &batch.cursor {
                status.log_last = status.log_last.max(cursor.sequence);
            }
            status.cursor = self.table.cursor();
            status.changes += batch.changes.len() as u64;
            status.bytes += bytes as u64;
            status.heard(State::Filling);
        });
        if self.batches.receiver_count() > 0 {
            // The last receiver may have gone in between.
            let _ = self.batches.send(Arc::new(batch));
        }
    }
}

/// Whether a change is the marker of what the log evicted by itself: to an archive, no change at all.
fn is_eviction(change: &Change) -> bool {
    change.operation == Operation::Delete(DeleteReason::Expired)
}

/// Adds what else has arrived to a batch. Returns the first piece of work that is not part of it.
fn gather(batch: &mut Gathered, arrivals: &mut mpsc::UnboundedReceiver<Arrival>) -> Option<Arrival> {
    while batch.changes.len() < MAX_BATCH {
        match arrivals.try_recv() {
            Ok(Arrival {
                work: Work::Apply(changes),
                share,
            }) => {
                batch.shares.extend(share);
                if batch.changes.is_empty() {
                    batch.changes = changes;
                } else {
                    batch.changes.extend(changes);
                }
            }
            Ok(other) => return Some(other),
            Err(_) => break,
        }
    }
    None
}
