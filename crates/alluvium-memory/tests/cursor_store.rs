//! The suite of the conformance kit for cursors in memory, in files, and in tables of the memory engine.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};

use alluvium_conformance::CursorStoreHarness;
use alluvium_core::cursor_store::cursor_key;
use alluvium_core::{CursorStore, CursorStoreError, Table};
use alluvium_engine::{Engine, EngineTable, FileCursorStore, TableCursorStore};
use alluvium_memory::{MemoryCursorStore, MemoryEngine, MemoryOptions};
use async_trait::async_trait;
use bytes::Bytes;

/// What lives in this process, by place.
type Places<T> = LazyLock<Mutex<HashMap<PathBuf, T>>>;

#[derive(Default)]
struct InMemory;

#[async_trait]
impl CursorStoreHarness for InMemory {
    async fn open_cursors(&self, dir: &Path) -> Result<Arc<dyn CursorStore>, CursorStoreError> {
        static PLACES: Places<MemoryCursorStore> = LazyLock::new(Mutex::default);
        Ok(Arc::new(
            PLACES.lock().unwrap().entry(dir.to_owned()).or_default().clone(),
        ))
    }
}

#[derive(Default)]
struct InFiles;

#[async_trait]
impl CursorStoreHarness for InFiles {
    async fn open_cursors(&self, dir: &Path) -> Result<Arc<dyn CursorStore>, CursorStoreError> {
        Ok(Arc::new(FileCursorStore::open(dir)?))
    }

    async fn overwrite_record(&self, dir: &Path, name: &str, bytes: Bytes) {
        let file = format!("cursors/{}.ckpt", cursor_key(name, '%').unwrap());
        std::fs::write(dir.join(file), bytes).unwrap();
    }
}

/// In a table of an engine in memory, or of one with a journal.
#[derive(Default)]
struct InTable<const PERSISTENT: bool>;

static TABLES: Places<TableCursorStore> = LazyLock::new(Mutex::default);

impl<const PERSISTENT: bool> InTable<PERSISTENT> {
    const NAME: &str = "totals";

    fn store(dir: &Path) -> TableCursorStore {
        let open = || {
            let engine: Arc<dyn Engine> = if PERSISTENT {
                Arc::new(MemoryEngine::open(dir, MemoryOptions::default()).unwrap())
            } else {
                Arc::new(MemoryEngine::in_memory())
            };
            TableCursorStore::new(Arc::new(EngineTable::open(engine, Self::NAME).unwrap()))
        };
        let mut tables = TABLES.lock().unwrap();
        tables.entry(dir.to_owned()).or_insert_with(open).clone()
    }
}

#[async_trait]
impl<const PERSISTENT: bool> CursorStoreHarness for InTable<PERSISTENT> {
    async fn open_cursors(&self, dir: &Path) -> Result<Arc<dyn CursorStore>, CursorStoreError> {
        Ok(Arc::new(Self::store(dir)))
    }

    async fn close_cursors(&self, dir: &Path) {
        TABLES.lock().unwrap().remove(dir);
    }

    fn name(&self) -> &'static str {
        Self::NAME
    }

    async fn table(&self, dir: &Path) -> Option<Arc<dyn Table>> {
        Some(Arc::clone(Self::store(dir).table()))
    }
}

mod in_memory {
    use super::InMemory;

    alluvium_conformance::cursor_store_suite!(InMemory, volatile);
}

mod in_files {
    use super::InFiles;

    alluvium_conformance::cursor_store_suite!(InFiles);
}

mod in_a_table_in_memory {
    type InTable = super::InTable<false>;

    alluvium_conformance::cursor_store_suite!(InTable, table volatile);
}

mod in_a_table {
    type InTable = super::InTable<true>;

    alluvium_conformance::cursor_store_suite!(InTable, table);
}
