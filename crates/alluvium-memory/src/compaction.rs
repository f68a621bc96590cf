//! Keeps the files from growing without end, in a thread of its own.
//!
//! A compaction goes on in a new journal, writes the state of that instant as a snapshot and deletes what is older.
//! Commits go on all the while; only the change of journals happens between two of them. At every instant the files
//! on disk make up the whole state, whatever a kill leaves undone. When a compaction fails, the files just stay longer:
//! the failure is logged and the next attempt is made once they have grown further.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, TryLockError};
use std::time::Duration;

use alluvium_engine::EngineError;

use crate::MemoryOptions;
use crate::engine::Shared;
use crate::journal::files::{AppendFile, Files};
use crate::journal::format::FileKind;
use crate::journal::writer::FileWriter;
use crate::state::State;

/// How long to leave the change of journals to the next commit before looking whether there is one.
const PATIENCE: Duration = Duration::from_millis(5);
/// How many rows are written between two looks whether the engine is being closed.
const ROWS_BETWEEN_LOOKS: usize = 1024;

/// What the writer tells the compacting thread.
pub(crate) enum Event {
    /// The files are worth compacting.
    Due,
    /// The change of journals that the thread had asked for has been made, or not.
    Rotated(Result<Rotation, EngineError>),
}

/// A change of journals.
pub(crate) struct Rotation {
    /// The new journal.
    pub(crate) number: u64,
    pub(crate) file: Arc<dyn AppendFile>,
    /// All that the journals before it hold.
    pub(crate) state: Arc<State>,
    /// The ingested files that only the journals before it name.
    pub(crate) ingests: Vec<u64>,
}

/// Where writer and compacting thread meet without waiting for each other.
#[derive(Debug)]
pub(crate) struct Progress {
    /// Bytes of all files before the newest journal.
    pub(crate) older: AtomicU64,
    /// Bytes of the newest journal and the ingested files that it names.
    pub(crate) newest: AtomicU64,
    /// Whether a compaction is under way or about to be.
    pub(crate) busy: AtomicBool,
    /// Whether the thread waits for a change of journals.
    pub(crate) wants_rotation: AtomicBool,
    /// After a failure: from how many bytes on to try again.
    not_before: AtomicU64,
}

impl Progress {
    pub(crate) fn new(older: u64) -> Self {
        Self {
            older: AtomicU64::new(older),
            newest: AtomicU64::new(0),
            busy: AtomicBool::new(false),
            wants_rotation: AtomicBool::new(false),
            not_before: AtomicU64::new(0),
        }
    }

    /// Whether a compaction should begin now. Whoever is told so begins it.
    pub(crate) fn claim(&self, options: &MemoryOptions, live: impl FnOnce() -> u64) -> bool {
        let bytes = self.bytes();
        bytes >= options.compaction_due_at(0)
            && bytes >= self.not_before.load(Ordering::Relaxed)
            && !self.busy.load(Ordering::Relaxed)
            && bytes >= options.compaction_due_at(live())
            && !self.busy.swap(true, Ordering::AcqRel)
    }

    fn bytes(&self) -> u64 {
        self.older.load(Ordering::Relaxed) + self.newest.load(Ordering::Relaxed)
    }
}

/// Why a compaction did not come to its end.
enum Cut {
    /// The engine is being closed.
    Closing,
    Failed(EngineError),
}

impl From<EngineError> for Cut {
    fn from(error: EngineError) -> Self {
        Self::Failed(error)
    }
}

/// The compacting thread.
pub(crate) struct Compactor {
    pub(crate) shared: Arc<Shared>,
    pub(crate) files: Files,
    pub(crate) options: MemoryOptions,
    pub(crate) progress: Arc<Progress>,
    pub(crate) events: Receiver<Event>,
    /// The newest journal.
    pub(crate) file: Arc<dyn AppendFile>,
    /// Ingested files to delete with the next compaction that succeeds.
    pub(crate) ingests: Vec<u64>,
}

impl Compactor {
    /// Compacts whenever it is due, until the engine lets go of its end of the events.
    pub(crate) fn run(mut self) {
        while let Ok(event) = self.events.recv() {
            if matches!(event, Event::Rotated(_)) {
                // Only ever an answer, and answers are taken where they are asked for.
                continue;
            }
            loop {
                match self.compact() {
                    Ok(()) => self.progress.not_before.store(0, Ordering::Relaxed),
                    Err(Cut::Closing) => return,
                    Err(Cut::Failed(error)) => {
                        let retry_at = self.progress.bytes() + self.options.compaction_due_at(0) / 2;
                        self.progress.not_before.store(retry_at, Ordering::Relaxed);
                        tracing::warn!(
                            dir = %self.files.dir().display(),
                            error = %Chain(&error),
                            "the journal could not be compacted and grows on"
                        );
                    }
                }
                self.progress.busy.store(false, Ordering::Release);
                // What became due meanwhile was refused as long as this was under way.
                let state = &self.shared.state;
                if !self.progress.claim(&self.options, || state.load().bytes()) {
                    break;
                }
            }
        }
    }

    fn compact(&mut self) -> Result<(), Cut> {
        // Most of the journal gets to the disk here, so that the change of journals has little left to wait for.
        if let Err(error) = self.file.sync() {
            return Err(Cut::Failed(self.shared.fail(error)));
        }
        let rotation = self.rotation()?;
        self.file = rotation.file;
        self.ingests.extend(rotation.ingests);
        let length = match self.snapshot(rotation.number, &rotation.state) {
            Ok(length) => length,
            Err(cut) => {
                let _ = self.files.delete(FileKind::Snapshot, rotation.number);
                return Err(cut);
            }
        };
        // From here on nothing older is needed. What cannot be deleted now is deleted at the next open.
        self.progress.older.store(length, Ordering::Relaxed);
        self.delete_before(rotation.number)?;
        Ok(())
    }

    /// Has the journal changed: by the next commit, or here if there is none. Taking the writer's lock would have to
    /// wait for a gap between commits, and a busy writer may leave none.
    fn rotation(&self) -> Result<Rotation, Cut> {
        self.progress.wants_rotation.store(true, Ordering::Release);
        loop {
            match self.events.recv_timeout(PATIENCE) {
                Ok(Event::Rotated(rotation)) => return Ok(rotation?),
                Ok(Event::Due) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(Cut::Closing),
                Err(RecvTimeoutError::Timeout) => match self.shared.writer.try_lock() {
                    Ok(mut writer) => {
                        if self.progress.wants_rotation.swap(false, Ordering::AcqRel) {
                            let rotation = self.shared.rotate(&mut writer);
                            return Ok(rotation.ok_or(Cut::Closing)??);
                        }
                    }
                    Err(TryLockError::WouldBlock) => {}
                    // A writer panicked: no commit is taken any more, so there is nothing to compact.
                    Err(TryLockError::Poisoned(_)) => return Err(Cut::Closing),
                },
            }
        }
    }

    fn snapshot(&self, number: u64, state: &State) -> Result<u64, Cut> {
        let mut file = FileWriter::begin(&self.files, FileKind::Snapshot, number)?;
        for (space, state) in state.spaces() {
            file.space(space, state.name())?;
            for (at, (key, value)) in state.rows().iter().enumerate() {
                if at % ROWS_BETWEEN_LOOKS == 0 && self.shared.is_closed() {
                    return Err(Cut::Closing);
                }
                file.pair(key, value)?;
            }
        }
        Ok(file.finish()?)
    }

    /// Deletes what the snapshot of this number stands for.
    fn delete_before(&mut self, number: u64) -> Result<(), EngineError> {
        let listing = self.files.list()?;
        let before = |numbers: Vec<u64>| numbers.into_iter().filter(move |other| *other < number);
        let mut older: Vec<_> = before(listing.journals)
            .map(|number| (FileKind::Journal, number))
            .collect();
        older.extend(before(listing.snapshots).map(|number| (FileKind::Snapshot, number)));
        older.extend(self.ingests.drain(..).map(|number| (FileKind::Ingest, number)));
        for (kind, number) in older {
            if let Err(error) = self.files.delete(kind, number) {
                let path = self.files.path(kind, number);
                tracing::warn!(file = %path.display(), %error, "cannot delete what was compacted");
            }
        }
        Ok(())
    }
}

/// An error with what caused it.
struct Chain<'a>(&'a dyn std::error::Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
