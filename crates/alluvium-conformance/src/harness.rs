//! What the author of a backend writes: how to open it, and what it can do.
//!
//! From [`EngineHarness::open`] the kit builds the rest: closing and opening again, dropping without closing, opening
//! in a process that gets killed, opening what was damaged.

mod log;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use alluvium_core::lease::{CellSwap, LeaseCells};
use alluvium_core::{
    BackendError, BackendOptions, CheckpointError, Checkpointer, Clock, CursorStore, CursorStoreError,
    LeaseError, LeaseStore, StateBackend, Table, TableError, Transport, TransportError,
};
use alluvium_engine::{Engine, EngineBackend, EngineError, EngineTable};
use async_trait::async_trait;
use bytes::Bytes;
use object_store::ObjectStore;
use object_store::path::Path as Key;

pub use log::{LogHarness, LogOwner};

/// Opens an [`Engine`] for the [`engine`](crate::engine) suite, and for the [`table`](crate::table) suite over it.
pub trait EngineHarness: Send + Sync + 'static {
    /// Opens the engine that lives in `dir`, an existing directory. It is empty the first time; later it holds what
    /// the engine left there when it was closed, dropped or killed.
    ///
    /// Small buffers make for a better test: what is written out only after 64 MiB is written out in no test.
    ///
    /// # Errors
    ///
    /// Those of the engine, unchanged: they are part of what is tested.
    fn open(&self, dir: &Path) -> Result<Arc<dyn Engine>, EngineError>;

    /// What the engine can do. Tests that need more do not exist for it, see [`engine_suite!`](crate::engine_suite).
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    /// Whether `file`, a path within the directory of a closed engine, is the journal that was written to last. Of
    /// such a file alone a missing tail cannot always be told from a write that a loss of power tore.
    fn is_journal(&self, file: &Path) -> bool {
        let _ = file;
        false
    }
}

/// What a backend can do, where backends may differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// What it holds is there again when it is opened again.
    pub persistent: bool,
    /// Several processes may have it open at once.
    pub shared: bool,
}

impl Capabilities {
    /// Those of a backend in memory: it begins empty whenever it is opened.
    pub const fn volatile() -> Self {
        Self {
            persistent: false,
            shared: false,
        }
    }
}

impl Capabilities {
    /// Those of a backend that several processes share.
    pub const fn shared() -> Self {
        Self {
            persistent: true,
            shared: true,
        }
    }
}

impl Default for Capabilities {
    fn default() -> Self {
        Self {
            persistent: true,
            shared: false,
        }
    }
}

/// Opens tables for the [`table`](crate::table) suite. Every [`EngineHarness`] is one, with
/// [`EngineTable`]s; only another implementation of [`Table`] needs its own.
pub trait TableHarness: Send + Sync + 'static {
    /// Opens what holds the tables in `dir`, as [`EngineHarness::open`].
    ///
    /// # Errors
    ///
    /// Those of the storage, unchanged.
    fn open_tables(&self, dir: &Path) -> Result<Box<dyn Tables>, TableError>;

    /// As [`EngineHarness::capabilities`].
    fn table_capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    /// As [`EngineHarness::is_journal`].
    fn is_table_journal(&self, file: &Path) -> bool {
        let _ = file;
        false
    }
}

/// Open storage with tables in it. Dropping it and its tables without a close is a way to crash.
pub trait Tables: Send + Sync {
    /// Opens the table of this name, an empty one if there is none yet. The kit has at most one handle of a table.
    ///
    /// # Errors
    ///
    /// Those of the table, unchanged.
    fn table(&self, name: &str) -> Result<Arc<dyn Table>, TableError>;

    /// Closes the storage.
    ///
    /// # Errors
    ///
    /// Those of the storage, unchanged.
    fn close(&self) -> Result<(), TableError>;
}

impl<H: EngineHarness> TableHarness for H {
    fn open_tables(&self, dir: &Path) -> Result<Box<dyn Tables>, TableError> {
        Ok(Box::new(EngineTables(self.open(dir).map_err(table_error)?)))
    }

    fn table_capabilities(&self) -> Capabilities {
        self.capabilities()
    }

    fn is_table_journal(&self, file: &Path) -> bool {
        self.is_journal(file)
    }
}

/// Opens a [`StateBackend`] for the [`backend`](crate::backend) suite. Every [`EngineHarness`] is one, with
/// [`EngineBackend`]s; a backend that is made of something else needs its own.
#[async_trait]
pub trait BackendHarness: Send + Sync + 'static {
    /// Opens the backend that lives in `dir`, an existing directory that is empty the first time. A backend that lives
    /// elsewhere takes the directory's name for the name of its place: no two tests have the same, and a process that is
    /// to be killed opens what this one does.
    ///
    /// # Errors
    ///
    /// Those of the backend, unchanged.
    async fn open_backend(
        &self,
        dir: &Path,
        options: BackendOptions,
    ) -> Result<Arc<dyn StateBackend>, BackendError>;

    /// As [`EngineHarness::capabilities`].
    fn backend_capabilities(&self) -> Capabilities {
        Capabilities::default()
    }
}

#[async_trait]
impl<H: EngineHarness> BackendHarness for H {
    async fn open_backend(
        &self,
        dir: &Path,
        options: BackendOptions,
    ) -> Result<Arc<dyn StateBackend>, BackendError> {
        let engine = self.open(dir).map_err(|error| match error {
            EngineError::Corrupt { path, source } => BackendError::Corrupt {
                location: path.display().to_string(),
                source,
            },
            other => BackendError::Storage {
                doing: "open",
                location: dir.display().to_string(),
                kind: other.kind(),
                source: other.into(),
            },
        })?;
        Ok(Arc::new(EngineBackend::open(engine, options)?))
    }

    fn backend_capabilities(&self) -> Capabilities {
        self.capabilities()
    }
}

/// Opens a [`Checkpointer`] for the [`checkpointer`](crate::checkpointer) suite.
///
/// The two are apart so that the kit can reach the objects past the checkpointer, to damage, remove and list them, and can
/// put a store in between that fails.
#[async_trait]
pub trait CheckpointerHarness: Send + Sync + 'static {
    /// Opens the object store that lives in `dir`, an existing directory; the store is empty the first time. One that lives
    /// elsewhere takes the directory's name for the name of its place: no two tests have the same. Whatever is opened
    /// there again has the same objects.
    async fn open_store(&self, dir: &Path) -> Arc<dyn ObjectStore>;

    /// Opens the checkpoints below a prefix of such a store, as another process would: handles share nothing but the
    /// objects. It takes files in parts of at most 8 MiB, so that the tests have files of several.
    ///
    /// # Errors
    ///
    /// Those of the checkpointer, unchanged.
    async fn open_checkpointer(
        &self,
        store: Arc<dyn ObjectStore>,
        prefix: Key,
    ) -> Result<Arc<dyn Checkpointer>, CheckpointError>;
}

/// Opens a [`LeaseStore`] for the [`lease`](crate::lease) suite.
#[async_trait]
pub trait LeaseHarness: Send + Sync + 'static {
    /// Opens the leases that live in `dir`, an existing directory, as another process would: handles share nothing but what is
    /// stored. Leases that live elsewhere take the directory's name for the name of their place: no two tests have the same.
    ///
    /// # Errors
    ///
    /// Those of the store, unchanged.
    async fn open_leases(&self, dir: &Path, clock: Arc<dyn Clock>)
    -> Result<Arc<dyn LeaseStore>, LeaseError>;

    /// Puts bytes where the record of a lease is, past the store; [`overwrite_cell`] does it for what has [`LeaseCells`].
    async fn overwrite_record(&self, dir: &Path, name: &str, bytes: Bytes);
}

/// Puts bytes where the record of a lease is.
pub async fn overwrite_cell(cells: &impl LeaseCells, name: &str, bytes: Bytes) {
    let cell = cells.read_cell(name).await.expect("the record is read");
    let swapped = cells.swap_cell(name, &cell.version, bytes).await;
    let swapped = swapped.expect("the record is overwritten");
    assert!(matches!(swapped, CellSwap::Done), "somebody else has written it");
}

/// Opens a [`Transport`] for the [`transport`](crate::transport) suite.
///
/// The two are apart so that the kit can reach the objects past the transport, to damage, remove and list them, and can put a
/// store in between that fails.
#[async_trait]
pub trait TransportHarness: Send + Sync + 'static {
    /// Opens the object store that lives in `dir`, as [`CheckpointerHarness::open_store`].
    async fn open_store(&self, dir: &Path) -> Arc<dyn ObjectStore>;

    /// Opens the artifacts below a prefix of such a store, as another process would: handles share nothing but the objects. It
    /// takes packs in parts of at most 8 MiB, so that the tests have packs of several, and gives a request up that has had no
    /// answer for this time.
    ///
    /// # Errors
    ///
    /// Those of the transport, unchanged.
    async fn open_transport(
        &self,
        store: Arc<dyn ObjectStore>,
        prefix: Key,
        request_timeout: Duration,
    ) -> Result<Arc<dyn Transport>, TransportError>;
}

/// Opens a [`CursorStore`] for the [`cursor_store`](crate::cursor_store) suite.
#[async_trait]
pub trait CursorStoreHarness: Send + Sync + 'static {
    /// Opens the cursors that live in `dir`, an existing directory, as another process would: handles share nothing but
    /// what is stored. Cursors that live elsewhere take the directory's name for the name of their place: no two tests have the
    /// same. Where only one process at a time can have them, such as in an engine's table, or where they live in this
    /// one, each call gives the same.
    ///
    /// # Errors
    ///
    /// Those of the store, unchanged.
    async fn open_cursors(&self, dir: &Path) -> Result<Arc<dyn CursorStore>, CursorStoreError>;

    /// Lets go of what is kept open in `dir`: a process that is to be killed opens it next.
    async fn close_cursors(&self, dir: &Path) {
        let _ = dir;
    }

    /// Puts bytes where the record of a cursor is, past the store.
    async fn overwrite_record(&self, dir: &Path, name: &str, bytes: Bytes) {
        let _ = (dir, name, bytes);
        panic!(
            "this test needs records that are bytes: say how to overwrite one, or name another form of the suite"
        );
    }

    /// The name of the one cursor of most tests. For cursors in a table, that of the table.
    fn name(&self) -> &'static str {
        "../Mailer 1"
    }

    /// The table that the cursor is in, if it is in one.
    async fn table(&self, dir: &Path) -> Option<Arc<dyn Table>> {
        let _ = dir;
        None
    }
}

struct EngineTables(Arc<dyn Engine>);

impl Tables for EngineTables {
    fn table(&self, name: &str) -> Result<Arc<dyn Table>, TableError> {
        Ok(Arc::new(EngineTable::open(Arc::clone(&self.0), name)?))
    }

    fn close(&self) -> Result<(), TableError> {
        self.0.close().map_err(table_error)
    }
}

fn table_error(error: EngineError) -> TableError {
    match error {
        EngineError::Corrupt { path, source } => TableError::Corrupt { path, source },
        other => TableError::Storage {
            kind: other.kind(),
            source: other.into(),
        },
    }
}
