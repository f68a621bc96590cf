//! A state directory of the tests, and what is in it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use alluvium::{KeyRange, KvLog, Replica, StateBackend, Table};
use tempfile::TempDir;
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use crate::NatsServer;
use crate::bucket::Rows;
use crate::engine::EngineKind;

/// The name of the table in it, which is the command's too.
pub const TABLE: &str = "kv";

/// A place for one state directory.
#[derive(Debug)]
pub struct StateHome {
    directory: TempDir,
    engine: EngineKind,
}

/// Keeps a state open; dropping it, in a runtime of several threads, closes the state.
pub struct OpenState(Arc<dyn StateBackend>);

impl Drop for OpenState {
    fn drop(&mut self) {
        if let Err(error) = block_in_place(|| Handle::current().block_on(self.0.close())) {
            eprintln!("the state does not close: {error}");
        }
    }
}

impl StateHome {
    /// A place where nothing is yet.
    ///
    /// # Panics
    ///
    /// Without room for a temporary directory.
    pub fn new(engine: EngineKind) -> Self {
        Self {
            directory: tempfile::tempdir().expect("a temporary directory"),
            engine,
        }
    }

    /// The state directory.
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    /// The state directory and its engine, as a command is told of them.
    pub fn url(&self) -> String {
        self.engine.url(&self.path())
    }

    /// Its state, log and table.
    ///
    /// # Panics
    ///
    /// If one of them cannot be opened.
    pub async fn parts(&self, server: &NatsServer, bucket: &str) -> (OpenState, Arc<KvLog>, Arc<dyn Table>) {
        let log = KvLog::open(server.client().await, bucket)
            .await
            .expect("the bucket is opened");
        let (state, table) = open_table(&self.path(), self.engine).await;
        (state, Arc::new(log), table)
    }

    /// A started replica in it.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub async fn replica(&self, server: &NatsServer, bucket: &str) -> (Replica, OpenState) {
        let (state, log, table) = self.parts(server, bucket).await;
        (
            Replica::builder(log, table)
                .start()
                .await
                .expect("the replica starts"),
            state,
        )
    }

    /// What a replica's table holds.
    ///
    /// # Panics
    ///
    /// If it cannot be read.
    pub fn rows(&self, replica: &Replica) -> Rows {
        rows(replica.table().as_ref())
    }

    /// What the state directory holds, opened for it alone.
    ///
    /// # Panics
    ///
    /// If it cannot be read.
    pub async fn stored_rows(&self) -> Rows {
        let (_state, table) = open_table(&self.path(), self.engine).await;
        rows(table.as_ref())
    }
}

/// Opens a state directory and the table in it.
///
/// # Panics
///
/// If it cannot be opened.
pub async fn open_table(path: &Path, engine: EngineKind) -> (OpenState, Arc<dyn Table>) {
    let state = alluvium::open(&engine.url(path)).await.expect("the state opens");
    let table = state.open_table(TABLE).await.expect("the table opens");
    (OpenState(state), table)
}

/// What a table holds.
///
/// # Panics
///
/// If it cannot be read.
pub fn rows(table: &dyn Table) -> Rows {
    let snapshot = table.snapshot().expect("a snapshot");
    let rows = snapshot.scan(&KeyRange::all()).expect("a scan");
    let row = |row: Result<alluvium::Row, _>| {
        let (key, entry) = row.expect("a row");
        (key.to_vec(), (entry.value.to_vec(), entry.sequence.get()))
    };
    rows.map(row).collect()
}
