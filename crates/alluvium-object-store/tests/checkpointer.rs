//! The suite of the conformance kit for checkpointers on object stores: in memory, and a directory.

use std::collections::HashMap;
use std::path::{Path as FsPath, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};

use alluvium_conformance::CheckpointerHarness;
use alluvium_core::{CheckpointError, Checkpointer};
use alluvium_object_store::{CheckpointerOptions, LocalStore, ObjectStoreCheckpointer};
use async_trait::async_trait;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::path::Path;

fn open(store: Arc<dyn ObjectStore>, prefix: Path) -> Arc<dyn Checkpointer> {
    let options = CheckpointerOptions::default();
    Arc::new(ObjectStoreCheckpointer::new(store, prefix, options))
}

/// A store in memory for each place.
#[derive(Default)]
struct Memory;

#[async_trait]
impl CheckpointerHarness for Memory {
    async fn open_store(&self, dir: &FsPath) -> Arc<dyn ObjectStore> {
        static STORES: LazyLock<Mutex<HashMap<PathBuf, Arc<InMemory>>>> = LazyLock::new(Mutex::default);
        Arc::clone(STORES.lock().unwrap().entry(dir.to_owned()).or_default()) as _
    }

    async fn open_checkpointer(
        &self,
        store: Arc<dyn ObjectStore>,
        prefix: Path,
    ) -> Result<Arc<dyn Checkpointer>, CheckpointError> {
        Ok(open(store, prefix))
    }
}

/// The files below a directory.
#[derive(Default)]
struct Files;

#[async_trait]
impl CheckpointerHarness for Files {
    async fn open_store(&self, dir: &FsPath) -> Arc<dyn ObjectStore> {
        let path = dir.to_owned();
        let store =
            tokio::task::spawn_blocking(move || LocalStore::open(path).expect("a directory is opened"));
        Arc::new(store.await.expect("opening a directory does not panic"))
    }

    async fn open_checkpointer(
        &self,
        store: Arc<dyn ObjectStore>,
        prefix: Path,
    ) -> Result<Arc<dyn Checkpointer>, CheckpointError> {
        Ok(open(store, prefix))
    }
}

mod memory {
    use super::Memory;

    alluvium_conformance::checkpointer_suite!(Memory);
}

mod files {
    use super::Files;

    alluvium_conformance::checkpointer_suite!(Files);
}
