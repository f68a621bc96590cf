//! The engine: opening, closing, and the [`Engine`] trait.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use alluvium_engine::{
    Engine, EngineError, EngineSnapshot, EngineStats, PairSource, Space, StateDir, WriteBatch,
    check_space_name,
};
use arc_swap::ArcSwapOption;
use bytes::Bytes;
use fjall::{CompressionType, Database};

use crate::catalog::Catalog;
use crate::damage::{self, DamageError, Position};
use crate::error::{NAME, guarded, io_error};
use crate::ingest::{self, check_pair};
use crate::journal;
use crate::options::{FjallOptions, SpaceOptions};
use crate::snapshot::{FjallSnapshot, Handles, MAX_KEY, View, lock};
use crate::writer::{Parts, Writer};

/// The keyspace of the commit records. No space can have this name.
const COMMITS: &str = "~commits";
/// How long a close waits for readers and workers to let go.
const CLOSE_LIMIT: Duration = Duration::from_secs(30);

/// An engine on fjall, a log-structured merge tree in Rust.
///
/// ```
/// use alluvium_engine::{Engine, WriteBatch};
/// use alluvium_fjall::{FjallEngine, FjallOptions};
/// # let dir = tempfile::tempdir()?;
/// # let dir = dir.path();
///
/// let engine = FjallEngine::open(dir, FjallOptions::default())?;
/// let routes = engine.space("routes")?;
/// let mut batch = WriteBatch::default();
/// batch.put(routes, "eu", "10.0.0.1");
/// engine.commit(batch)?;
/// assert_eq!(engine.get(routes, b"eu")?.as_deref(), Some(&b"10.0.0.1"[..]));
/// engine.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct FjallEngine {
    data: PathBuf,
    /// The state after the last commit; `None` when closed.
    view: ArcSwapOption<View>,
    handles: Arc<Handles>,
    /// `None` when closed.
    writer: Mutex<Option<Writer>>,
}

impl FjallEngine {
    /// Opens the database in a state directory, made if there is nothing or an empty directory.
    ///
    /// # Errors
    ///
    /// [`EngineError::StateDir`] if the directory is somebody else's or in use, [`EngineError::Corrupt`] if anything
    /// of what was committed is missing or damaged (nothing is repaired and nothing removed), storage errors.
    pub fn open(path: impl AsRef<Path>, options: FjallOptions) -> Result<Self, EngineError> {
        Self::open_in(StateDir::open_or_create(path.as_ref(), NAME)?, options)
    }

    /// As [`open`](Self::open), for a state directory that exists already.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open); [`EngineError::StateDir`] too if there is none.
    pub fn open_existing(path: impl AsRef<Path>, options: FjallOptions) -> Result<Self, EngineError> {
        Self::open_in(StateDir::open(path.as_ref(), NAME)?, options)
    }

    fn open_in(state_dir: StateDir, options: FjallOptions) -> Result<Self, EngineError> {
        let data = state_dir.data();
        let catalog = Catalog::load(state_dir.path())?;
        let last = if let Some(catalog) = &catalog {
            damage::check(&data, catalog)?
        } else {
            damage::clear_unfinished(state_dir.path(), &data)?;
            Position::default()
        };
        let failed = |failure: crate::error::Failure| failure.into_engine_error("open", &data, &data);
        let db = guarded(|| {
            Database::builder(&data)
                .cache_size(options.cache_bytes)
                .worker_threads(options.worker_threads)
                .journal_compression(CompressionType::None)
                // The writer bounds the journals: see there.
                .max_journaling_size(u64::MAX)
                .open()
        })
        .map_err(failed)?;
        let made = catalog.is_none();
        if !made && !db.keyspace_exists(COMMITS) {
            let path = data.join("keyspaces").join("0");
            return Err(EngineError::Corrupt {
                path,
                source: DamageError::Content.into(),
            });
        }
        let commits = guarded(|| db.keyspace(COMMITS, || options.space().keyspace())).map_err(failed)?;
        let catalog = if let Some(catalog) = catalog {
            catalog
        } else {
            let catalog = Catalog::new(commits.id());
            catalog.store(state_dir.path())?;
            catalog
        };
        let mut writer = Writer::new(Parts {
            db,
            commits,
            catalog,
            options,
            last,
            state_dir,
        });
        writer.catch_up()?;
        adopt_spaces(&mut writer)?;
        Ok(Self {
            view: ArcSwapOption::from_pointee(writer.view()),
            handles: Arc::new(Handles::new(&data)),
            writer: Mutex::new(Some(writer)),
            data,
        })
    }

    /// What a space was made with; `None` if there is no such space.
    ///
    /// # Errors
    ///
    /// [`EngineError::Closed`].
    pub fn space_options(&self, name: &str) -> Result<Option<SpaceOptions>, EngineError> {
        self.write(|writer| Ok(writer.catalog.spaces.get(name).map(|record| record.options)))
    }

    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// Has the writer do something, and publishes what came of it.
    pub(crate) fn write<T>(
        &self,
        write: impl FnOnce(&mut Writer) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let mut writer = lock(&self.writer);
        let writer = writer.as_mut().ok_or(EngineError::Closed)?;
        let written = write(writer);
        self.view.store(Some(Arc::new(writer.view())));
        written
    }
}

/// Takes over the spaces that the catalog names and drops those that it does not.
fn adopt_spaces(writer: &mut Writer) -> Result<(), EngineError> {
    let data = writer.data().to_path_buf();
    let wanted = writer.catalog.spaces.clone();
    for (name, record) in &wanted {
        let folder = data.join("keyspaces").join(record.keyspace.to_string());
        let opened = if writer.db.keyspace_exists(name) {
            let keyspace = guarded(|| writer.db.keyspace(name, || record.options.keyspace()));
            Some(keyspace.map_err(|failure| failure.into_engine_error("open", &data, &folder))?)
        } else {
            None
        };
        let Some(keyspace) = opened.filter(|keyspace| keyspace.id() == record.keyspace) else {
            return Err(EngineError::Corrupt {
                path: folder,
                source: DamageError::Missing.into(),
            });
        };
        if record.options != writer.options().space() {
            tracing::warn!(
                space = name.as_str(), in_force = ?record.options, configured = ?writer.options().space(),
                "a space keeps the options it was made with: fill a new one to change them"
            );
        }
        writer.insert_space(name, keyspace)?;
    }
    let mut unknown = writer.db.list_keyspace_names();
    unknown.retain(|name| &**name != COMMITS && !wanted.contains_key(&**name));
    for name in &unknown {
        tracing::debug!(
            space = &**name,
            "dropping a space whose making or dropping was cut short"
        );
        let keyspace = guarded(|| writer.db.keyspace(name, fjall::KeyspaceCreateOptions::default));
        writer.discard(keyspace.map_err(|failure| failure.into_engine_error("open", &data, &data))?);
    }
    if unknown.is_empty() {
        Ok(())
    } else {
        writer.mark(false)
    }
}

impl Engine for FjallEngine {
    fn name(&self) -> &'static str {
        NAME
    }

    fn space(&self, name: &str) -> Result<Space, EngineError> {
        check_space_name(name)?;
        if let Some(number) = self
            .view
            .load()
            .as_ref()
            .and_then(|view| view.spaces.numbers.get(name).copied())
        {
            return Ok(Space::new(number));
        }
        self.write(|writer| {
            if let Some(number) = writer.spaces.numbers.get(name) {
                return Ok(Space::new(*number));
            }
            if writer.ingesting.contains(name) {
                return Err(EngineError::Invalid(format!(
                    "the space {name} is being ingested"
                )));
            }
            let (keyspace, record) = writer.make_keyspace(name)?;
            writer.mark(false)?;
            writer.add_space(name, keyspace, record)
        })
    }

    fn spaces(&self) -> Result<Vec<String>, EngineError> {
        let view = self.view.load();
        let view = view.as_ref().ok_or(EngineError::Closed)?;
        Ok(view.spaces.numbers.keys().cloned().collect())
    }

    fn drop_space(&self, name: &str) -> Result<(), EngineError> {
        check_space_name(name)?;
        self.write(|writer| writer.drop_space(name))
    }

    fn commit(&self, batch: WriteBatch) -> Result<(), EngineError> {
        let mut writes = batch.into_writes();
        for write in &writes {
            check_pair(&write.key, write.value.as_ref())?;
        }
        if u32::try_from(writes.len() + 1).is_err() {
            return Err(EngineError::Invalid(format!(
                "{} writes are too many for one commit",
                writes.len()
            )));
        }
        if writes.is_empty() {
            return if self.view.load().is_some() {
                Ok(())
            } else {
                Err(EngineError::Closed)
            };
        }
        // A memtable is a skip list: neighbours are found in what the processor has just looked at.
        writes.sort_by(|a, b| (a.space, &a.key).cmp(&(b.space, &b.key)));
        self.write(|writer| writer.commit(writes))
    }

    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        let view = self.view.load();
        let keyspace = view.as_ref().ok_or(EngineError::Closed)?.spaces.keyspace(space)?;
        if key.is_empty() || key.len() > MAX_KEY {
            return Ok(None);
        }
        guarded(|| keyspace.get(key))
            .map(|value| value.map(Bytes::from))
            .map_err(|failure| failure.into_engine_error("read", &self.data, keyspace.path()))
    }

    fn snapshot(&self) -> Result<Arc<dyn EngineSnapshot>, EngineError> {
        let view = self.view.load_full().ok_or(EngineError::Closed)?;
        Ok(FjallSnapshot::new(view, &self.handles)?)
    }

    fn ingest(&self, name: &str, pairs: &mut PairSource<'_>) -> Result<Space, EngineError> {
        check_space_name(name)?;
        ingest::ingest(self, name, pairs)
    }

    fn approximate_len(&self, space: Space) -> Result<u64, EngineError> {
        let view = self.view.load();
        let keyspace = view.as_ref().ok_or(EngineError::Closed)?.spaces.keyspace(space)?;
        guarded(|| Ok(keyspace.approximate_len() as u64))
            .map_err(|failure| failure.into_engine_error("read", &self.data, keyspace.path()))
    }

    fn sync(&self) -> Result<(), EngineError> {
        self.write(Writer::sync)
    }

    fn stats(&self) -> Result<EngineStats, EngineError> {
        if self.view.load().is_none() {
            return Err(EngineError::Closed);
        }
        let journals = journal::list(&self.data)?;
        let journal_bytes = journals.iter().map(|(_, path)| disk_bytes(path)).sum();
        Ok(EngineStats {
            disk_bytes: disk_bytes(&self.data),
            journal_bytes,
        })
    }

    fn close(&self) -> Result<(), EngineError> {
        let Some(mut writer) = lock(&self.writer).take() else {
            return Ok(());
        };
        let synced = writer.finish();
        let view = self.view.swap(None);
        self.handles.release();
        // fjall's drop waits for its workers, and whatever goes wrong with them must not keep us here. The state
        // directory stays locked until fjall has really let go.
        let (done, closed) = mpsc::channel();
        let close = move || {
            // A get that is under way holds the view for as long as it takes.
            while view.as_ref().is_some_and(|view| Arc::strong_count(view) > 1) {
                thread::sleep(Duration::from_millis(1));
            }
            drop(view);
            let state_dir = writer.dismantle();
            drop(state_dir);
            let _ = done.send(());
        };
        let closing = thread::Builder::new()
            .name("alluvium-fjall-close".into())
            .spawn(close);
        closing.map_err(io_error("start a thread to close", &self.data))?;
        if closed.recv_timeout(CLOSE_LIMIT).is_err() {
            let source =
                std::io::Error::new(std::io::ErrorKind::TimedOut, "compactions did not stop in time");
            return Err(EngineError::Io {
                doing: "close",
                path: self.data.clone(),
                source,
            });
        }
        synced
    }
}

impl Drop for FjallEngine {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the engine did not close cleanly"
            );
        }
    }
}

/// What a file or folder takes on disk. Files come and go meanwhile.
fn disk_bytes(path: &Path) -> u64 {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => {
            let entries = path.read_dir().into_iter().flatten().flatten();
            entries.map(|entry| disk_bytes(&entry.path())).sum()
        }
        // fjall allocates journals ahead, as holes.
        Ok(found) => found.blocks() * 512,
        Err(_) => 0,
    }
}
