//! The engine and table suites on the fjall engine.

use std::path::Path;
use std::sync::Arc;

use alluvium_conformance::EngineHarness;
use alluvium_core::Durability;
use alluvium_engine::{Engine, EngineError};
use alluvium_fjall::{FjallEngine, FjallOptions};

#[derive(Default)]
struct Fjall<const FSYNC: bool>;

impl<const FSYNC: bool> EngineHarness for Fjall<FSYNC> {
    fn open(&self, dir: &Path) -> Result<Arc<dyn Engine>, EngineError> {
        let durability = if FSYNC {
            Durability::Fsync
        } else {
            Durability::Buffered
        };
        // Writes out tables all the time.
        let options = FjallOptions::default().durability(durability).memtable_bytes(0);
        Ok(Arc::new(FjallEngine::open(dir, options)?))
    }

    fn is_journal(&self, file: &Path) -> bool {
        let number = |path: &Path| -> Option<u64> {
            path.extension().filter(|extension| *extension == "jnl")?;
            path.file_stem()?.to_str()?.parse().ok()
        };
        let beside = file
            .parent()
            .into_iter()
            .flat_map(std::fs::read_dir)
            .flatten()
            .flatten();
        number(file).is_some() && number(file) == beside.filter_map(|entry| number(&entry.path())).max()
    }
}

mod buffered {
    type Buffered = super::Fjall<false>;

    alluvium_conformance::engine_suite!(Buffered);
    alluvium_conformance::table_suite!(Buffered);
    alluvium_conformance::backend_suite!(Buffered);
}

mod fsync {
    type Fsync = super::Fjall<true>;

    alluvium_conformance::engine_suite!(Fsync);
    alluvium_conformance::table_suite!(Fsync);
    alluvium_conformance::backend_suite!(Fsync);
}
