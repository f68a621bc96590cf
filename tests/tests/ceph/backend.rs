//! State backends and checkpointers on Ceph: the conformance suites, and a Ceph that cannot be used.

use std::path::Path;
use std::sync::Arc;

use alluvium::{BackendError, BackendOptions, CheckpointError, Checkpointer, StateBackend};
use alluvium_conformance::{BackendHarness, Capabilities, CheckpointerHarness};
use alluvium_e2e::checkpointer::{checkpointer_over, open_objects};
use alluvium_e2e::{open_backend, unusable_suite};
use async_trait::async_trait;
use object_store::ObjectStore;
use object_store::path::Path as Key;

#[derive(Default)]
struct Rgw;

#[async_trait]
impl BackendHarness for Rgw {
    async fn open_backend(
        &self,
        dir: &Path,
        options: BackendOptions,
    ) -> Result<Arc<dyn StateBackend>, BackendError> {
        open_backend(crate::ceph().await, dir, options).await
    }

    fn backend_capabilities(&self) -> Capabilities {
        Capabilities::shared()
    }
}

#[async_trait]
impl CheckpointerHarness for Rgw {
    async fn open_store(&self, dir: &Path) -> Arc<dyn ObjectStore> {
        open_objects(crate::ceph().await, dir)
    }

    async fn open_checkpointer(
        &self,
        store: Arc<dyn ObjectStore>,
        prefix: Key,
    ) -> Result<Arc<dyn Checkpointer>, CheckpointError> {
        Ok(checkpointer_over(store, prefix))
    }
}

alluvium_conformance::backend_suite!(Rgw, shared in_process);
alluvium_conformance::checkpointer_suite!(Rgw);
unusable_suite!(crate::ceph().await);
