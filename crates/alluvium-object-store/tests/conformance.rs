//! The suite for state backends on object stores: in memory, and in a directory.
//!
//! S3, Azure and Ceph need servers: the end-to-end tests have those.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use alluvium_conformance::{BackendHarness, Capabilities};
use alluvium_core::{BackendError, BackendOptions, StateBackend};
use alluvium_object_store::{LocalStore, ObjectStoreBackend};
use async_trait::async_trait;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::path::Path as Prefix;

async fn open(
    store: Arc<dyn ObjectStore>,
    prefix: &str,
    options: BackendOptions,
) -> Result<Arc<dyn StateBackend>, BackendError> {
    let backend = ObjectStoreBackend::open(store, Prefix::from(prefix), options.into()).await?;
    Ok(Arc::new(backend))
}

/// A store in memory for each directory that a test has.
#[derive(Default)]
struct Memory;

#[async_trait]
impl BackendHarness for Memory {
    async fn open_backend(
        &self,
        dir: &Path,
        options: BackendOptions,
    ) -> Result<Arc<dyn StateBackend>, BackendError> {
        static STORES: LazyLock<Mutex<HashMap<PathBuf, Arc<InMemory>>>> = LazyLock::new(Mutex::default);
        let store = {
            let mut stores = STORES.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(stores.entry(dir.to_owned()).or_default())
        };
        open(store, "some/prefix", options).await
    }

    fn backend_capabilities(&self) -> Capabilities {
        Capabilities::shared()
    }
}

#[derive(Default)]
struct Files;

#[async_trait]
impl BackendHarness for Files {
    async fn open_backend(
        &self,
        dir: &Path,
        options: BackendOptions,
    ) -> Result<Arc<dyn StateBackend>, BackendError> {
        let store = LocalStore::open(dir).unwrap();
        open(Arc::new(store), "", options).await
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
