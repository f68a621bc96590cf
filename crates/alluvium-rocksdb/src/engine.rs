//! The engine: opening, closing, and the [`Engine`] trait.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, mpsc};
use std::time::Duration;

use alluvium_engine::{
    Engine, EngineError, EngineSnapshot, EngineStats, PairSource, Space, StateDir, WriteBatch,
    check_space_name,
};
use arc_swap::ArcSwapOption;
use bytes::Bytes;
use rocksdb::{
    BoundColumnFamily, ColumnFamilyDescriptor, IteratorMode, Options, ReadOptions, WriteOptions, properties,
};

use crate::check::{self, Found};
use crate::error::{Failure, NAME, guarded, io_error};
use crate::handles::{Handles, lock};
use crate::ingest::{self, check_pair};
use crate::inventory::Inventory;
use crate::journal;
use crate::options::RocksDbOptions;
use crate::snapshot::{self, RocksDbSnapshot};
use crate::spaces::{CATALOG, Database, Db, Directory, View};

/// How long a close waits for readers that are in the middle of a read.
const CLOSE_LIMIT: Duration = Duration::from_secs(30);
/// What a write takes in a batch beside key and value.
const PER_WRITE: usize = 16;

/// An engine on RocksDB, a log-structured merge tree in C++.
///
/// ```
/// use alluvium_engine::{Engine, WriteBatch};
/// use alluvium_rocksdb::{RocksDbEngine, RocksDbOptions};
/// # let dir = tempfile::tempdir()?;
/// # let dir = dir.path();
///
/// let engine = RocksDbEngine::open(dir, RocksDbOptions::default())?;
/// let routes = engine.space("routes")?;
/// let mut batch = WriteBatch::default();
/// batch.put(routes, "eu", "10.0.0.1");
/// engine.commit(batch)?;
/// assert_eq!(engine.get(routes, b"eu")?.as_deref(), Some(&b"10.0.0.1"[..]));
/// engine.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct RocksDbEngine {
    data: Arc<PathBuf>,
    /// The spaces there are; `None` when closed.
    view: ArcSwapOption<View>,
    handles: Arc<Handles>,
    /// Who commits reads it, who makes or drops a space writes it; `None` when closed.
    directory: RwLock<Option<Directory>>,
    /// For column families and tables. RocksDB's options are not to be shared between threads.
    options: Mutex<Options>,
    commits: WriteOptions,
    reads: ReadOptions,
    /// Why no more writes are taken.
    failure: OnceLock<String>,
    /// Journals that ended in a write that was cut short when the database was opened.
    torn: Vec<PathBuf>,
    /// Gives the state directory back when RocksDB has let go of it.
    closed: Mutex<mpsc::Receiver<StateDir>>,
}

impl RocksDbEngine {
    /// Opens the database in a state directory, made if there is nothing or an empty directory.
    ///
    /// # Errors
    ///
    /// [`EngineError::StateDir`] if the directory is somebody else's or in use, [`EngineError::Corrupt`] if anything
    /// of what was committed is missing or damaged (nothing is repaired), storage errors.
    pub fn open(path: impl AsRef<Path>, options: RocksDbOptions) -> Result<Self, EngineError> {
        Self::open_in(StateDir::open_or_create(path.as_ref(), NAME)?, options)
    }

    /// As [`open`](Self::open), for a state directory that exists already.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open); [`EngineError::StateDir`] too if there is none.
    pub fn open_existing(path: impl AsRef<Path>, options: RocksDbOptions) -> Result<Self, EngineError> {
        Self::open_in(StateDir::open(path.as_ref(), NAME)?, options)
    }

    fn open_in(state_dir: StateDir, options: RocksDbOptions) -> Result<Self, EngineError> {
        let data = state_dir.data();
        let (mut rocksdb, commits) = options.into_rocksdb();
        let failed = |failure: Failure| failure.into_engine_error(&data);
        let (torn, families) = match check::check(state_dir.path(), &data)? {
            Found::Nothing => {
                check::clear(&data)?;
                rocksdb.create_if_missing(true);
                (Vec::new(), vec![CATALOG.to_owned()])
            }
            Found::Database(torn) => {
                let families = guarded(|| Db::list_cf(&rocksdb, &data)).map_err(failed)?;
                (torn, families)
            }
        };
        for journal in &torn {
            tracing::warn!(journal = %journal.display(), "the journal ends in a commit that never returned: it is dropped");
        }
        Inventory::remove(state_dir.path())?;
        ingest::clear(&data)?;
        let descriptors = families
            .iter()
            .map(|name| ColumnFamilyDescriptor::new(name, rocksdb.clone()));
        let db = guarded(|| Db::open_cf_descriptors(&rocksdb, &data, descriptors)).map_err(failed)?;
        let directory = adopt_spaces(&db, &families, &data)?;
        let (database, closed) = Database::new(db, state_dir);
        Ok(Self {
            view: ArcSwapOption::from_pointee(View::of(Arc::new(database), &directory)),
            handles: Arc::default(),
            directory: RwLock::new(Some(directory)),
            options: Mutex::new(rocksdb),
            commits,
            reads: ReadOptions::default(),
            failure: OnceLock::new(),
            torn,
            closed: Mutex::new(closed),
            data: Arc::new(data),
        })
    }

    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// The options of column families and tables.
    pub(crate) fn rocksdb_options(&self) -> Options {
        lock(&self.options).clone()
    }

    fn view(&self) -> Result<Arc<View>, EngineError> {
        self.view.load_full().ok_or(EngineError::Closed)
    }

    /// Changes the directory while nobody commits.
    pub(crate) fn change<T>(
        &self,
        change: impl FnOnce(&mut Directory, &Arc<View>) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let mut directory = self.directory.write().unwrap_or_else(PoisonError::into_inner);
        let directory = directory.as_mut().ok_or(EngineError::Closed)?;
        change(directory, &self.view()?)
    }

    /// Has readers and writers see the directory as it is now.
    fn publish(&self, directory: &Directory, view: &View) {
        let view = View::of(Arc::clone(view.borrow_owner()), directory);
        self.view.store(Some(Arc::new(view)));
    }

    /// Makes a space of a new column family of this name, filled before anybody is told of it.
    pub(crate) fn make_space(
        &self,
        directory: &mut Directory,
        view: &View,
        name: &str,
        family: &str,
        fill: impl FnOnce(&Db, &Arc<BoundColumnFamily<'_>>) -> Result<(), rocksdb::Error>,
    ) -> Result<Space, EngineError> {
        let db = view.db();
        let failed = |failure: Failure| failure.into_engine_error(&self.data);
        let options = self.rocksdb_options();
        self.check_writable()?;
        guarded(|| db.create_cf(family, &options)).map_err(failed)?;
        let filled = match db.cf_handle(family) {
            Some(handle) => guarded(|| fill(db, &handle)).map_err(failed),
            None => Err(EngineError::NoSpace),
        };
        let recorded = filled.and_then(|()| {
            let mut record = rocksdb::WriteBatch::default();
            record.put(name, family);
            self.write(db, record, &synced())
        });
        if let Err(error) = recorded {
            discard(db, family);
            return Err(error);
        }
        let space = directory.insert(name, family.to_owned());
        self.publish(directory, view);
        Ok(space)
    }

    /// Writes to RocksDB. After a write that failed no more are taken: how much of it is on disk is open.
    fn write(&self, db: &Db, batch: rocksdb::WriteBatch, options: &WriteOptions) -> Result<(), EngineError> {
        self.check_writable()?;
        guarded(|| db.write_opt(batch, options)).map_err(|failure| self.fail(failure))
    }

    fn check_writable(&self) -> Result<(), EngineError> {
        match self.failure.get() {
            None => Ok(()),
            Some(failure) => Err(EngineError::Poisoned {
                path: self.data.to_path_buf(),
                source: Some(failure.clone().into()),
            }),
        }
    }

    fn fail(&self, failure: Failure) -> EngineError {
        self.failure.get_or_init(|| failure.to_string());
        match failure.into_engine_error(&self.data) {
            EngineError::Other { source, .. } => EngineError::Poisoned {
                path: self.data.to_path_buf(),
                source: Some(source),
            },
            other => other,
        }
    }

    fn sync_journals(&self, view: &View) -> Result<(), EngineError> {
        self.check_writable()?;
        guarded(|| view.db().flush_wal(true)).map_err(|failure| self.fail(failure))
    }

    /// Writes down what a close leaves, for the next open to hold the directory against. What goes wrong here costs
    /// no more than that check.
    fn take_inventory(&self, state_dir: &StateDir) {
        if self.torn.iter().any(|journal| journal.exists()) {
            return;
        }
        let taken = check::manifest_in_force(&self.data)
            .and_then(|manifest| Inventory::of(&self.data, manifest))
            .and_then(|inventory| inventory.store(state_dir.path()));
        if let Err(error) = taken {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "cannot take down what the close has left"
            );
        }
    }
}

/// How a record of the catalog is written. With it all earlier commits are on disk, so that the catalog is never ahead
/// of them, nor behind the manifest.
fn synced() -> WriteOptions {
    let mut options = WriteOptions::default();
    options.set_sync(true);
    options
}

/// Drops a column family that no record names.
fn discard(db: &Db, family: &str) {
    if let Err(error) = guarded(|| db.drop_cf(family)) {
        tracing::warn!(
            family,
            error = &error as &dyn std::error::Error,
            "cannot drop a column family: the next open will"
        );
    }
}

/// Takes over the spaces that the catalog names and drops the column families that it does not.
fn adopt_spaces(db: &Db, families: &[String], data: &Path) -> Result<Directory, EngineError> {
    let mut directory = Directory::beside(families);
    for record in db.iterator(IteratorMode::Start) {
        let (name, family) = guarded(|| record).map_err(|failure| failure.into_engine_error(data))?;
        let (Ok(text), Ok(family)) = (std::str::from_utf8(&name), String::from_utf8(family.into())) else {
            return Err(check::not_a_record(data, &name));
        };
        if !families.contains(&family) {
            return Err(check::without_space(data, text));
        }
        directory.insert(text, family);
    }
    for family in families {
        let named = directory.spaces.values().any(|space| space.family == *family);
        if family != CATALOG && !named {
            tracing::debug!(family, "dropping a space whose making or dropping was cut short");
            discard(db, family);
        }
    }
    Ok(directory)
}

impl Engine for RocksDbEngine {
    fn name(&self) -> &'static str {
        NAME
    }

    fn space(&self, name: &str) -> Result<Space, EngineError> {
        check_space_name(name)?;
        if let Some(space) = self.view()?.space(name) {
            return Ok(space);
        }
        self.change(|directory, view| {
            if let Some(space) = view.space(name) {
                return Ok(space);
            }
            if directory.ingesting.contains(name) {
                return Err(EngineError::Invalid(format!(
                    "the space {name} is being ingested"
                )));
            }
            let family = directory.new_family();
            self.make_space(directory, view, name, &family, |_, _| Ok(()))
        })
    }

    fn spaces(&self) -> Result<Vec<String>, EngineError> {
        Ok(self.view()?.names())
    }

    fn drop_space(&self, name: &str) -> Result<(), EngineError> {
        check_space_name(name)?;
        self.change(|directory, view| {
            let Some(space) = directory.spaces.get(name) else {
                return Ok(());
            };
            let mut record = rocksdb::WriteBatch::default();
            record.delete(name);
            self.write(view.db(), record, &synced())?;
            let family = space.family.clone();
            directory.spaces.remove(name);
            self.publish(directory, view);
            discard(view.db(), &family);
            Ok(())
        })
    }

    fn commit(&self, batch: WriteBatch) -> Result<(), EngineError> {
        let mut writes = batch.into_writes();
        let mut bytes = 0;
        for write in &writes {
            check_pair(&write.key, write.value.as_ref())?;
            bytes += write.key.len() + write.value.as_ref().map_or(0, Bytes::len) + PER_WRITE;
        }
        // A memtable is a skip list: neighbours are found in what the processor has just looked at.
        writes.sort_by(|a, b| (a.space, &a.key).cmp(&(b.space, &b.key)));
        // Held until the end: no space is dropped meanwhile.
        let directory = self.directory.read().unwrap_or_else(PoisonError::into_inner);
        if directory.is_none() {
            return Err(EngineError::Closed);
        }
        let view = self.view()?;
        let mut batch = rocksdb::WriteBatch::with_capacity_bytes(bytes);
        for of_a_space in writes.chunk_by(|a, b| a.space == b.space) {
            let family = view.family(of_a_space[0].space)?;
            for write in of_a_space {
                match &write.value {
                    Some(value) => batch.put_cf(family, &write.key, value),
                    None => batch.delete_cf(family, &write.key),
                }
            }
        }
        if batch.is_empty() {
            return Ok(());
        }
        self.write(view.db(), batch, &self.commits)
    }

    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        let view = self.view.load();
        let view = view.as_ref().ok_or(EngineError::Closed)?;
        snapshot::get(view, space, key, &self.reads, &self.data)
    }

    fn snapshot(&self) -> Result<Arc<dyn EngineSnapshot>, EngineError> {
        Ok(RocksDbSnapshot::take(self.view()?, &self.handles, &self.data)?)
    }

    fn ingest(&self, name: &str, pairs: &mut PairSource<'_>) -> Result<Space, EngineError> {
        check_space_name(name)?;
        ingest::ingest(self, name, pairs)
    }

    fn approximate_len(&self, space: Space) -> Result<u64, EngineError> {
        let view = self.view()?;
        let family = view.family(space)?;
        guarded(|| {
            view.db()
                .property_int_value_cf(family, properties::ESTIMATE_NUM_KEYS)
        })
        .map(Option::unwrap_or_default)
        .map_err(|failure| failure.into_engine_error(&self.data))
    }

    fn sync(&self) -> Result<(), EngineError> {
        self.sync_journals(&*self.view()?)
    }

    fn stats(&self) -> Result<EngineStats, EngineError> {
        self.view()?;
        let journals = journal::list(&self.data)?;
        Ok(EngineStats {
            disk_bytes: disk_bytes(&self.data),
            journal_bytes: journals.iter().map(|path| disk_bytes(path)).sum(),
        })
    }

    fn close(&self) -> Result<(), EngineError> {
        let directory = self
            .directory
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(view) = self.view.swap(None).filter(|_| directory.is_some()) else {
            return Ok(());
        };
        let synced = self.sync_journals(&view);
        self.handles.release();
        drop(view);
        // Whoever is reading at the moment holds RocksDB open until that read is done.
        let Ok(state_dir) = lock(&self.closed).recv_timeout(CLOSE_LIMIT) else {
            let source = std::io::Error::new(std::io::ErrorKind::TimedOut, "a read did not end in time");
            return Err(io_error("close", &self.data)(source));
        };
        if synced.is_ok() {
            self.take_inventory(&state_dir);
        }
        synced
    }
}

impl Drop for RocksDbEngine {
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
        // RocksDB allocates journals ahead of what it writes.
        Ok(found) => found.blocks() * 512,
        Err(_) => 0,
    }
}
