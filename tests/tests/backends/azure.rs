//! On Azurite.

use std::path::Path;
use std::sync::Arc;

use alluvium::{BackendError, BackendOptions, CheckpointError, Checkpointer, StateBackend};
use alluvium_conformance::{BackendHarness, Capabilities, CheckpointerHarness};
use alluvium_e2e::checkpointer::{checkpointer_over, open_objects};
use alluvium_e2e::{Azurite, open_backend, unusable_suite};
use async_trait::async_trait;
use object_store::ObjectStore;
use object_store::path::Path as Key;
use tokio::sync::OnceCell;

/// One for all tests, each in a place of its own. It ends with this process.
async fn azurite() -> &'static Azurite {
    static AZURITE: OnceCell<Azurite> = OnceCell::const_new();
    AZURITE.get_or_init(Azurite::start).await
}

#[derive(Default)]
struct Azure;

#[async_trait]
impl BackendHarness for Azure {
    async fn open_backend(
        &self,
        dir: &Path,
        options: BackendOptions,
    ) -> Result<Arc<dyn StateBackend>, BackendError> {
        open_backend(azurite().await, dir, options).await
    }

    fn backend_capabilities(&self) -> Capabilities {
        Capabilities::shared()
    }
}

#[async_trait]
impl CheckpointerHarness for Azure {
    async fn open_store(&self, dir: &Path) -> Arc<dyn ObjectStore> {
        open_objects(azurite().await, dir)
    }

    async fn open_checkpointer(
        &self,
        store: Arc<dyn ObjectStore>,
        prefix: Key,
    ) -> Result<Arc<dyn Checkpointer>, CheckpointError> {
        Ok(checkpointer_over(store, prefix))
    }
}

alluvium_conformance::backend_suite!(Azure, shared in_process);
alluvium_conformance::checkpointer_suite!(Azure);
unusable_suite!(azurite().await);
