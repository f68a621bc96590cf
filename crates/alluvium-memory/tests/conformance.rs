//! The engine and table suites on the memory engine: in RAM alone, and with a journal on disk.

use std::path::Path;
use std::sync::Arc;

use alluvium_conformance::{Capabilities, EngineHarness};
use alluvium_core::Durability;
use alluvium_engine::{Engine, EngineError};
use alluvium_memory::{MemoryEngine, MemoryOptions};

#[derive(Default)]
struct InMemory;

impl EngineHarness for InMemory {
    fn open(&self, _: &Path) -> Result<Arc<dyn Engine>, EngineError> {
        Ok(Arc::new(MemoryEngine::in_memory()))
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::volatile()
    }
}

#[derive(Default)]
struct Journaled<const FSYNC: bool>;

impl<const FSYNC: bool> EngineHarness for Journaled<FSYNC> {
    fn open(&self, dir: &Path) -> Result<Arc<dyn Engine>, EngineError> {
        let durability = if FSYNC {
            Durability::Fsync
        } else {
            Durability::Buffered
        };
        // Compacts all the time.
        let options = MemoryOptions::default()
            .durability(durability)
            .min_compaction_bytes(64 << 10);
        Ok(Arc::new(MemoryEngine::open(dir, options)?))
    }

    fn is_journal(&self, file: &Path) -> bool {
        // Their numbers all have 20 digits.
        let journals = file
            .parent()
            .into_iter()
            .flat_map(std::fs::read_dir)
            .flatten()
            .flatten();
        let journals = journals.map(|entry| entry.path());
        journals
            .filter(|path| path.extension().is_some_and(|e| e == "journal"))
            .max()
            .as_deref()
            == Some(file)
    }
}

mod in_memory {
    use super::InMemory;

    alluvium_conformance::engine_suite!(InMemory, volatile);
    alluvium_conformance::table_suite!(InMemory, volatile);
    alluvium_conformance::backend_suite!(InMemory, volatile);
}

mod buffered {
    type Buffered = super::Journaled<false>;

    alluvium_conformance::engine_suite!(Buffered);
    alluvium_conformance::table_suite!(Buffered);
    alluvium_conformance::backend_suite!(Buffered);
}

mod fsync {
    type Fsync = super::Journaled<true>;

    alluvium_conformance::engine_suite!(Fsync);
    alluvium_conformance::table_suite!(Fsync);
    alluvium_conformance::backend_suite!(Fsync);
}
