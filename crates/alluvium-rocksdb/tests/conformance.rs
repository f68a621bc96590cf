//! The engine and table suites on the RocksDB engine.

use std::path::Path;
use std::sync::Arc;

use alluvium_conformance::EngineHarness;
use alluvium_core::Durability;
use alluvium_engine::{Engine, EngineError};
use alluvium_rocksdb::{RocksDbEngine, RocksDbOptions};

#[derive(Default)]
struct RocksDb<const FSYNC: bool>;

impl<const FSYNC: bool> EngineHarness for RocksDb<FSYNC> {
    fn open(&self, dir: &Path) -> Result<Arc<dyn Engine>, EngineError> {
        let durability = if FSYNC {
            Durability::Fsync
        } else {
            Durability::Buffered
        };
        // Writes out and compacts tables all the time.
        let options = RocksDbOptions::default()
            .durability(durability)
            .write_buffer_bytes(0);
        Ok(Arc::new(RocksDbEngine::open(dir, options)?))
    }
}

mod buffered {
    type Buffered = super::RocksDb<false>;

    alluvium_conformance::engine_suite!(Buffered);
    alluvium_conformance::table_suite!(Buffered);
    alluvium_conformance::backend_suite!(Buffered);
}

mod fsync {
    type Fsync = super::RocksDb<true>;

    alluvium_conformance::engine_suite!(Fsync);
    alluvium_conformance::table_suite!(Fsync);
    alluvium_conformance::backend_suite!(Fsync);
}
