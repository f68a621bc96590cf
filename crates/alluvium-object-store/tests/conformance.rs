//! The suite of the conformance kit on object stores: in memory, and a directory.

use std::collections::HashMap;
use std::path::{Path as FsPath, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};

use alluvium_conformance::{BackendHarness, Capabilities};
use alluvium_core::{BackendError, BackendOptions, ErrorKind, StateBackend};
use alluvium_object_store::{LocalStore, ObjectStoreBackend};
use async_trait::async_trait;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::path::Path;

async fn open(
    store: Arc<dyn ObjectStore>,
    options: BackendOptions,
) -> Result<Arc<dyn StateBackend>, BackendError> {
    let backend = ObjectStoreBackend::open(store, Path::from("state"), options.into()).await?;
    Ok(Arc::new(backend))
}

/// A store in memory for each place.
#[derive(Default)]
struct Memory;

#[async_trait]
impl BackendHarness for Memory {
    async fn open_backend(
        &self,
        dir: &FsPath,
        options: BackendOptions,
    ) -> Result<Arc<dyn StateBackend>, BackendError> {
        static STORES: LazyLock<Mutex<HashMap<PathBuf, Arc<InMemory>>>> = LazyLock::new(Mutex::default);
        let store = Arc::clone(STORES.lock().unwrap().entry(dir.to_owned()).or_default());
        open(store, options).await
    }

    fn backend_capabilities(&self) -> Capabilities {
        Capabilities::shared()
    }
}

/// The files below a directory.
#[derive(Default)]
struct Files;

#[async_trait]
impl BackendHarness for Files {
    async fn open_backend(
        &self,
        dir: &FsPath,
        options: BackendOptions,
    ) -> Result<Arc<dyn StateBackend>, BackendError> {
        let path = dir.to_owned();
        let store = tokio::task::spawn_blocking(move || LocalStore::open(path))
            .await
            .expect("opening a directory does not panic");
        let store = store.map_err(|error| BackendError::Storage {
            doing: "open",
            location: dir.display().to_string(),
            kind: ErrorKind::Unavailable,
            source: error.into(),
        })?;
        open(Arc::new(store), options).await
    }

    fn backend_capabilities(&self) -> Capabilities {
        Capabilities::shared()
    }
}

mod memory {
    use super::Memory;

    alluvium_conformance::backend_suite!(Memory, shared in_process);
}

mod files {
    use super::Files;

    alluvium_conformance::backend_suite!(Files, shared);
}
