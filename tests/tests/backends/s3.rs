//! On S3.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use alluvium::{BackendError, BackendOptions, CheckpointError, Checkpointer, StateBackend};
use alluvium_conformance::{BackendHarness, Capabilities, CheckpointerHarness};
use alluvium_e2e::checkpointer::{checkpointer_over, open_objects};
use alluvium_e2e::{S3Server, open_backend, unusable_suite};
use async_trait::async_trait;
use object_store::ObjectStore;
use object_store::path::Path as Key;

/// One for all tests, each in a place of its own. It ends with this process.
static SERVER: LazyLock<S3Server> = LazyLock::new(S3Server::start);

#[derive(Default)]
struct S3;

#[async_trait]
impl BackendHarness for S3 {
    async fn open_backend(
        &self,
        dir: &Path,
        options: BackendOptions,
    ) -> Result<Arc<dyn StateBackend>, BackendError> {
        open_backend(&*SERVER, dir, options).await
    }

    fn backend_capabilities(&self) -> Capabilities {
        Capabilities::shared()
    }
}

#[async_trait]
impl CheckpointerHarness for S3 {
    async fn open_store(&self, dir: &Path) -> Arc<dyn ObjectStore> {
        open_objects(&*SERVER, dir)
    }

    async fn open_checkpointer(
        &self,
        store: Arc<dyn ObjectStore>,
        prefix: Key,
    ) -> Result<Arc<dyn Checkpointer>, CheckpointError> {
        Ok(checkpointer_over(store, prefix))
    }
}

alluvium_conformance::backend_suite!(S3, shared in_process);
alluvium_conformance::checkpointer_suite!(S3);
unusable_suite!(&*SERVER);
