//! The suite of the conformance kit for transports on object stores: in memory, and a directory.

use std::collections::HashMap;
use std::path::{Path as FsPath, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use alluvium_conformance::TransportHarness;
use alluvium_core::{Transport, TransportError};
use alluvium_object_store::{LocalStore, ObjectStoreTransport, TransportOptions};
use async_trait::async_trait;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::path::Path;

fn open(store: Arc<dyn ObjectStore>, prefix: Path, limit: Duration) -> Arc<dyn Transport> {
    let options = TransportOptions::default().request_timeout(limit);
    Arc::new(ObjectStoreTransport::new(store, prefix, options))
}

/// A store in memory for each place.
#[derive(Default)]
struct Memory;

#[async_trait]
impl TransportHarness for Memory {
    async fn open_store(&self, dir: &FsPath) -> Arc<dyn ObjectStore> {
        static STORES: LazyLock<Mutex<HashMap<PathBuf, Arc<InMemory>>>> = LazyLock::new(Mutex::default);
        Arc::clone(STORES.lock().unwrap().entry(dir.to_owned()).or_default()) as _
    }

    async fn open_transport(
        &self,
        store: Arc<dyn ObjectStore>,
        prefix: Path,
        request_timeout: Duration,
    ) -> Result<Arc<dyn Transport>, TransportError> {
        Ok(open(store, prefix, request_timeout))
    }
}

/// The files below a directory.
#[derive(Default)]
struct Files;

#[async_trait]
impl TransportHarness for Files {
    async fn open_store(&self, dir: &FsPath) -> Arc<dyn ObjectStore> {
        let path = dir.to_owned();
        let store =
            tokio::task::spawn_blocking(move || LocalStore::open(path).expect("a directory is opened"));
        Arc::new(store.await.expect("opening a directory does not panic"))
    }

    async fn open_transport(
        &self,
        store: Arc<dyn ObjectStore>,
        prefix: Path,
        request_timeout: Duration,
    ) -> Result<Arc<dyn Transport>, TransportError> {
        Ok(open(store, prefix, request_timeout))
    }
}

mod memory {
    use super::Memory;

    alluvium_conformance::transport_suite!(Memory);
}

mod files {
    use super::Files;

    alluvium_conformance::transport_suite!(Files);
}
