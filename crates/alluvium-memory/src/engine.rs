//! The engine: readers take the state that was published last, writers build the next one and publish it whole.
//!
//! A commit goes to the journal before it is published, so nobody ever sees what a kill could take back. One lock
//! orders the writers. No reader takes it, and it is never held while pairs come in or files are compacted.

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::{io, mem};

use alluvium_engine::{
    Engine, EngineError, EngineSnapshot, EngineStats, PairSource, Space, StateDir, WriteBatch,
    check_space_name,
};
use arc_swap::ArcSwap;
use bytes::Bytes;

use crate::MemoryOptions;
use crate::compaction::{Compactor, Event, Progress, Rotation};
use crate::error::io_error;
use crate::journal::files::{Files, Hooks};
use crate::journal::format::FileKind;
use crate::journal::recovery::{Recovered, recover};
use crate::journal::writer::{AppendError, FileWriter, Journal};
use crate::row::{Key, Value};
use crate::snapshot::MemorySnapshot;
use crate::state::{Prepared, SpaceState, State};

/// The name under which state directories record this engine.
const NAME: &str = "memory";

/// An [`Engine`] that keeps everything in RAM, with or without a journal on disk.
///
/// ```
/// use alluvium_core::KeyRange;
/// use alluvium_engine::{Engine, WriteBatch};
/// use alluvium_memory::{MemoryEngine, MemoryOptions};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path();
/// let engine = MemoryEngine::open(path, MemoryOptions::default())?;
/// let routes = engine.space("routes")?;
/// let mut batch = WriteBatch::default();
/// batch.put(routes, "eu", "10.0.0.1");
/// batch.put(routes, "us", "10.0.0.2");
/// engine.commit(batch)?;
/// engine.close()?;
///
/// let engine = MemoryEngine::open_existing(path, MemoryOptions::default())?;
/// let routes = engine.space("routes")?;
/// assert_eq!(engine.get(routes, b"eu")?.as_deref(), Some(&b"10.0.0.1"[..]));
/// assert_eq!(engine.snapshot()?.scan(routes, &KeyRange::all())?.count(), 2);
/// # Ok(())
/// # }
/// ```
pub struct MemoryEngine {
    shared: Arc<Shared>,
    /// The compacting thread. Locked for as long as the engine is being closed.
    compactor: Mutex<Option<JoinHandle<()>>>,
}

/// What the engine shares with its compacting thread.
pub(crate) struct Shared {
    pub(crate) state: ArcSwap<State>,
    pub(crate) writer: Mutex<Writer>,
    closed: AtomicBool,
    disk: Option<Disk>,
}

/// What never changes about an engine on disk, and what needs no lock.
struct Disk {
    files: Files,
    options: MemoryOptions,
    progress: Arc<Progress>,
    next_ingest: AtomicU64,
}

/// What belongs to the one writer.
pub(crate) struct Writer {
    /// The number of the next space: no number is given twice, so a handle never comes to mean another space.
    next_space: u32,
    open: Option<OpenJournal>,
    /// The state to change next.
    spare: Option<Spare>,
    /// Why no write is taken any more.
    failed: Option<Arc<io::Error>>,
}

/// The state that was published before the current one.
struct Spare {
    state: Arc<State>,
    /// The writes that the current one has and this has not.
    lacks: Vec<Prepared>,
}

struct OpenJournal {
    journal: Journal,
    /// Locked for as long as it lives.
    dir: Arc<StateDir>,
    /// The compacting thread ends when this is dropped.
    events: mpsc::Sender<Event>,
    /// The ingested files that the journal names, and their bytes.
    ingests: Vec<u64>,
    ingest_bytes: u64,
}

impl MemoryEngine {
    /// An empty engine that lives in RAM only.
    ///
    /// ```
    /// use alluvium_engine::Engine;
    ///
    /// let engine = alluvium_memory::MemoryEngine::in_memory();
    /// assert!(engine.spaces()?.is_empty());
    /// # Ok::<(), alluvium_engine::EngineError>(())
    /// ```
    pub fn in_memory() -> Self {
        Self {
            shared: Arc::new(Shared {
                state: ArcSwap::default(),
                writer: Mutex::new(Writer {
                    next_space: 0,
                    open: None,
                    spare: None,
                    failed: None,
                }),
                closed: AtomicBool::new(false),
                disk: None,
            }),
            compactor: Mutex::new(None),
        }
    }

    /// Opens the engine of a state directory, made if there is nothing or an empty directory. Reads all that it holds
    /// into RAM.
    ///
    /// # Errors
    ///
    /// [`EngineError::StateDir`] if the directory cannot be used, [`EngineError::Corrupt`] naming a damaged file,
    /// [`EngineError::Io`]. After damage the directory is as it was.
    pub fn open(path: impl AsRef<Path>, options: MemoryOptions) -> Result<Self, EngineError> {
        let dir = StateDir::open_or_create(path.as_ref(), NAME)?;
        Self::open_dir(dir, options, Hooks::default())
    }

    /// Opens the engine of a state directory that exists already. Reads all that it holds into RAM.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open); [`StateDirError::Missing`](alluvium_engine::StateDirError::Missing) if there is none.
    pub fn open_existing(path: impl AsRef<Path>, options: MemoryOptions) -> Result<Self, EngineError> {
        let dir = StateDir::open(path.as_ref(), NAME)?;
        Self::open_dir(dir, options, Hooks::default())
    }

    pub(crate) fn open_dir(dir: StateDir, options: MemoryOptions, hooks: Hooks) -> Result<Self, EngineError> {
        let files = Files::new(dir.data(), hooks);
        let Recovered {
            state,
            journal,
            older_bytes,
            ingests,
            next_ingest,
        } = recover(&files, options.durability)?;
        let file = Arc::clone(journal.file());
        let progress = Arc::new(Progress::new(older_bytes));
        let (sender, events) = mpsc::channel();
        let shared = Arc::new(Shared {
            writer: Mutex::new(Writer {
                next_space: state.next_space(),
                open: Some(OpenJournal {
                    journal,
                    dir: Arc::new(dir),
                    events: sender,
                    ingests,
                    ingest_bytes: 0,
                }),
                spare: None,
                failed: None,
            }),
            state: ArcSwap::from_pointee(state),
            closed: AtomicBool::new(false),
            disk: Some(Disk {
                files: files.clone(),
                options: options.clone(),
                progress: Arc::clone(&progress),
                next_ingest: AtomicU64::new(next_ingest),
            }),
        });
        let compactor = Compactor {
            shared: Arc::clone(&shared),
            files: files.clone(),
            options,
            progress,
            events,
            file,
            ingests: Vec::new(),
        };
        let thread = thread::Builder::new()
            .name("alluvium-memory".to_owned())
            .spawn(move || compactor.run())
            .map_err(io_error("start the compacting thread of", files.dir()))?;
        shared.after_write(&mut *shared.writer()?);
        Ok(Self {
            shared,
            compactor: Mutex::new(Some(thread)),
        })
    }

    #[cfg(test)]
    pub(crate) fn is_compacting(&self) -> bool {
        let disk = self.shared.disk.as_ref();
        disk.is_some_and(|disk| disk.progress.busy.load(Ordering::Acquire))
    }

    /// Reads pairs into a space that nobody knows of yet, and into a file if there is one. Gives how many there were.
    fn fill(
        &self,
        space: &mut SpaceState,
        mut file: Option<FileWriter>,
        pairs: &mut PairSource<'_>,
    ) -> Result<Filled, EngineError> {
        let mut last: Option<Key> = None;
        let mut count = 0;
        for pair in pairs {
            self.shared.check_open()?;
            let (key, value) = pair.map_err(EngineError::Pairs)?;
            let rises = last.as_ref().is_none_or(|last| last.as_slice() < key.as_ref());
            if key.is_empty() || !rises {
                return Err(EngineError::Invalid(
                    "pairs to ingest need keys that are not empty and rise strictly".to_owned(),
                ));
            }
            let (key, value) = (Key::new(&key), Value::new(&value));
            if let Some(file) = &mut file {
                file.pair(&key, &value)?;
            }
            space.insert(key.clone(), value);
            last = Some(key);
            count += 1;
        }
        let bytes = file.map_or(Ok(0), FileWriter::finish)?;
        Ok(Filled { pairs: count, bytes })
    }

    /// Makes a filled space known.
    fn ingested(
        &self,
        name: &str,
        space: SpaceState,
        file: u64,
        filled: &Filled,
    ) -> Result<Space, (EngineError, Undone)> {
        let mut writer = self.shared.writer().map_err(|error| (error, Undone::Surely))?;
        let mut next = State::clone(&self.shared.state.load());
        if next.by_name(name).is_some() {
            return Err((exists(name), Undone::Surely));
        }
        let number = writer.take_number().map_err(|error| (error, Undone::Surely))?;
        let record = |journal: &mut Journal| journal.ingested(number, file, filled.pairs, name);
        self.shared
            .record(&mut writer, record)
            .map_err(|error| match error {
                EngineError::Poisoned { .. } => (error, Undone::Perhaps),
                other => (other, Undone::Surely),
            })?;
        if let Some(open) = &mut writer.open {
            open.ingests.push(file);
            open.ingest_bytes += filled.bytes;
        }
        next.insert(number, space);
        self.shared.publish(writer, next);
        Ok(Space::new(number))
    }
}

/// What an ingest has brought.
struct Filled {
    pairs: u64,
    /// Bytes of the file.
    bytes: u64,
}

/// Whether nothing on disk names what was to be made.
enum Undone {
    Surely,
    Perhaps,
}

impl Engine for MemoryEngine {
    fn name(&self) -> &'static str {
        NAME
    }

    fn space(&self, name: &str) -> Result<Space, EngineError> {
        check_space_name(name)?;
        self.shared.check_open()?;
        if let Some(space) = self.shared.state.load().by_name(name) {
            return Ok(Space::new(space));
        }
        let mut writer = self.shared.writer()?;
        let mut next = State::clone(&self.shared.state.load());
        if let Some(space) = next.by_name(name) {
            return Ok(Space::new(space));
        }
        let space = writer.take_number()?;
        self.shared
            .record(&mut writer, |journal| journal.space(space, name))?;
        next.insert(space, SpaceState::new(name));
        self.shared.publish(writer, next);
        Ok(Space::new(space))
    }

    fn spaces(&self) -> Result<Vec<String>, EngineError> {
        self.shared.check_open()?;
        let state = self.shared.state.load();
        Ok(state.spaces().map(|(_, space)| space.name().to_owned()).collect())
    }

    fn drop_space(&self, name: &str) -> Result<(), EngineError> {
        check_space_name(name)?;
        let mut writer = self.shared.writer()?;
        let mut next = State::clone(&self.shared.state.load());
        let Some(space) = next.by_name(name) else {
            return Ok(());
        };
        self.shared
            .record(&mut writer, |journal| journal.dropped(space))?;
        next.remove(space);
        self.shared.publish(writer, next);
        Ok(())
    }

    fn commit(&self, batch: WriteBatch) -> Result<(), EngineError> {
        let mut writer = self.shared.writer()?;
        if batch.is_empty() {
            return Ok(());
        }
        let prepared = self.shared.state.load().prepare(batch.writes())?;
        self.shared
            .record(&mut writer, |journal| journal.commit(&batch))?;
        self.shared.commit(writer, prepared);
        Ok(())
    }

    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        self.shared.check_open()?;
        let state = self.shared.state.load();
        let value = state.by_handle(space)?.rows().get(key);
        Ok(value.map(Value::to_bytes))
    }

    fn snapshot(&self) -> Result<Arc<dyn EngineSnapshot>, EngineError> {
        self.shared.check_open()?;
        Ok(Arc::new(MemorySnapshot::new(self.shared.state.load_full())))
    }

    fn ingest(&self, name: &str, pairs: &mut PairSource<'_>) -> Result<Space, EngineError> {
        check_space_name(name)?;
        // Keeps the directory ours until the file is either named or deleted, even if the engine is closed meanwhile.
        let _dir = self
            .shared
            .writer()?
            .open
            .as_ref()
            .map(|open| Arc::clone(&open.dir));
        if self.shared.state.load().by_name(name).is_some() {
            return Err(exists(name));
        }
        let mut space = SpaceState::new(name);
        let Some(disk) = &self.shared.disk else {
            let filled = self.fill(&mut space, None, pairs)?;
            return self.ingested(name, space, 0, &filled).map_err(|(error, _)| error);
        };
        let number = disk.next_ingest.fetch_add(1, Ordering::Relaxed);
        let outcome = FileWriter::begin(&disk.files, FileKind::Ingest, number)
            .and_then(|file| self.fill(&mut space, Some(file), pairs))
            .map_err(|error| (error, Undone::Surely))
            .and_then(|filled| self.ingested(name, space, number, &filled));
        outcome.map_err(|(error, undone)| {
            if let Undone::Surely = undone
                && let Err(error) = disk.files.delete(FileKind::Ingest, number)
            {
                let path = disk.files.path(FileKind::Ingest, number);
                tracing::warn!(file = %path.display(), %error, "cannot delete what a failed ingest has left");
            }
            error
        })
    }

    fn approximate_len(&self, space: Space) -> Result<u64, EngineError> {
        self.shared.check_open()?;
        Ok(self.shared.state.load().by_handle(space)?.rows().len() as u64)
    }

    fn sync(&self) -> Result<(), EngineError> {
        let writer = self.shared.writer()?;
        let Some(open) = &writer.open else { return Ok(()) };
        // The journals before it were synced when they ended.
        let file = Arc::clone(open.journal.file());
        drop(writer);
        file.sync().map_err(|error| self.shared.fail(error))
    }

    fn stats(&self) -> Result<EngineStats, EngineError> {
        self.shared.check_open()?;
        let Some(disk) = &self.shared.disk else {
            return Ok(EngineStats::default());
        };
        let (disk_bytes, journal_bytes) = disk.files.sizes()?;
        Ok(EngineStats {
            disk_bytes,
            journal_bytes,
        })
    }

    fn close(&self) -> Result<(), EngineError> {
        // Nothing is left half done under this lock.
        let mut compactor = self.compactor.lock().unwrap_or_else(PoisonError::into_inner);
        self.shared.closed.store(true, Ordering::Release);
        // A writer that panicked has left a journal whose end the next open finds.
        let mut writer = self.shared.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let open = writer.open.take();
        drop(writer);
        let Some(OpenJournal {
            journal, dir, events, ..
        }) = open
        else {
            return Ok(());
        };
        drop(events);
        if let Some(thread) = compactor.take()
            && thread.join().is_err()
        {
            tracing::error!(dir = %dir.path().display(), "the compacting thread had panicked");
        }
        let synced = journal.file().sync().map_err(io_error("sync", journal.path()));
        drop(dir);
        synced
    }
}

impl Drop for MemoryEngine {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::warn!(%error, "the engine was dropped and could not be closed in order");
        }
    }
}

impl fmt::Debug for MemoryEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dir = self.shared.disk.as_ref().map(|disk| disk.files.dir());
        f.debug_struct("MemoryEngine")
            .field("data", &dir)
            .finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn check_open(&self) -> Result<(), EngineError> {
        if self.is_closed() {
            Err(EngineError::Closed)
        } else {
            Ok(())
        }
    }

    /// The writer, if writes are taken.
    fn writer(&self) -> Result<MutexGuard<'_, Writer>, EngineError> {
        let writer = match self.writer.lock() {
            Ok(writer) => writer,
            // The state is swapped whole or not at all, but a journal may have been left in the middle of a record.
            Err(poisoned) if self.disk.is_none() => poisoned.into_inner(),
            Err(_) if self.is_closed() => return Err(EngineError::Closed),
            Err(_) => return Err(self.poisoned(None)),
        };
        self.check_open()?;
        match &writer.failed {
            Some(error) => Err(self.poisoned(Some(Arc::clone(error)))),
            None => Ok(writer),
        }
    }

    /// Takes no more writes, because nobody knows what is on disk.
    pub(crate) fn fail(&self, error: io::Error) -> EngineError {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.fail_locked(&mut writer, error)
    }

    fn fail_locked(&self, writer: &mut Writer, error: io::Error) -> EngineError {
        let error = writer.failed.get_or_insert_with(|| Arc::new(error));
        self.poisoned(Some(Arc::clone(error)))
    }

    fn poisoned(&self, source: Option<Arc<io::Error>>) -> EngineError {
        let dir = self.disk.as_ref().map(|disk| disk.files.dir().to_path_buf());
        EngineError::Poisoned {
            path: dir.unwrap_or_default(),
            source: source.map(Into::into),
        }
    }

    /// Puts a record into the journal, if there is one.
    fn record(
        &self,
        writer: &mut Writer,
        append: impl FnOnce(&mut Journal) -> Result<(), AppendError>,
    ) -> Result<(), EngineError> {
        let Some(open) = &mut writer.open else {
            return Ok(());
        };
        append(&mut open.journal).map_err(|error| match error {
            AppendError::Undone(error) => error,
            AppendError::Unknown(error) => self.fail_locked(writer, error),
        })
    }

    /// Makes writes visible to every reader, all at once, and lets the next writer in.
    fn commit(&self, mut writer: MutexGuard<'_, Writer>, prepared: Vec<Prepared>) {
        let spare = writer.spare.take().and_then(|spare| {
            // Nobody can come to hold it any more: it is not published.
            let mut state = Arc::try_unwrap(spare.state).ok()?;
            state.apply(&spare.lacks);
            Some(state)
        });
        let mut next = spare.unwrap_or_else(|| State::clone(&self.state.load()));
        next.apply(&prepared);
        let before = self.state.swap(Arc::new(next));
        writer.spare = Some(Spare {
            state: before,
            lacks: prepared,
        });
        self.after_write(&mut writer);
    }

    /// Makes a state visible to every reader and lets the next writer in.
    fn publish(&self, mut writer: MutexGuard<'_, Writer>, next: State) {
        let before = self.state.swap(Arc::new(next));
        // The spare state lacks more than writes now.
        let spare = writer.spare.take();
        self.after_write(&mut writer);
        drop(writer);
        // What only the states before held is freed now, perhaps a whole space: nobody has to wait for that.
        drop((before, spare));
    }

    fn after_write(&self, writer: &mut Writer) {
        let (Some(open), Some(disk)) = (&writer.open, &self.disk) else {
            return;
        };
        let progress = &disk.progress;
        progress
            .newest
            .store(open.journal.length() + open.ingest_bytes, Ordering::Relaxed);
        let event = if progress.wants_rotation.swap(false, Ordering::AcqRel) {
            self.rotate(writer).map(Event::Rotated)
        } else {
            let due = progress.claim(&disk.options, || self.state.load().bytes());
            due.then_some(Event::Due)
        };
        if let (Some(event), Some(open)) = (event, &writer.open) {
            // Without a thread, because it panicked, the journal just grows.
            let _ = open.events.send(event);
        }
    }

    /// Goes on in a new journal. `None` if there is no journal any more.
    pub(crate) fn rotate(&self, writer: &mut Writer) -> Option<Result<Rotation, EngineError>> {
        let (open, disk) = (writer.open.as_mut()?, self.disk.as_ref()?);
        let ended = open.journal.length() + open.ingest_bytes;
        Some(match open.journal.rotate() {
            Ok(()) => {
                disk.progress.older.fetch_add(ended, Ordering::Relaxed);
                disk.progress
                    .newest
                    .store(open.journal.length(), Ordering::Relaxed);
                open.ingest_bytes = 0;
                Ok(Rotation {
                    number: open.journal.number(),
                    file: Arc::clone(open.journal.file()),
                    state: self.state.load_full(),
                    ingests: mem::take(&mut open.ingests),
                })
            }
            Err(AppendError::Undone(error)) => Err(error),
            Err(AppendError::Unknown(error)) => Err(self.fail_locked(writer, error)),
        })
    }
}

impl Writer {
    fn take_number(&mut self) -> Result<u32, EngineError> {
        let number = self.next_space;
        self.next_space = number.checked_add(1).ok_or_else(|| {
            EngineError::Invalid("no more spaces can be made: reopen the engine".to_owned())
        })?;
        Ok(number)
    }
}

fn exists(name: &str) -> EngineError {
    EngineError::Invalid(format!("the space {name} exists already"))
}

#[cfg(test)]
mod tests;
