//! The suite of the conformance kit for leases in memory.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};

use alluvium_conformance::{LeaseHarness, overwrite_cell};
use alluvium_core::{Clock, LeaseError, LeaseStore};
use alluvium_memory::MemoryLeaseStore;
use async_trait::async_trait;
use bytes::Bytes;

/// Leases for each place.
#[derive(Default)]
struct Memory;

fn leases(dir: &Path) -> MemoryLeaseStore {
    static PLACES: LazyLock<Mutex<HashMap<PathBuf, MemoryLeaseStore>>> = LazyLock::new(Mutex::default);
    PLACES.lock().unwrap().entry(dir.to_owned()).or_default().clone()
}

#[async_trait]
impl LeaseHarness for Memory {
    async fn open_leases(
        &self,
        dir: &Path,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<dyn LeaseStore>, LeaseError> {
        Ok(Arc::new(leases(dir).clock(clock)))
    }

    async fn overwrite_record(&self, dir: &Path, name: &str, bytes: Bytes) {
        overwrite_cell(&leases(dir), name, bytes).await;
    }
}

alluvium_conformance::lease_suite!(Memory);
