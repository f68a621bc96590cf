//! On Azurite.

use std::path::Path;
use std::sync::Arc;

use alluvium::{BackendError, BackendOptions, StateBackend};
use alluvium_conformance::{BackendHarness, Capabilities};
use alluvium_e2e::{Azurite, open_backend, unusable_suite};
use async_trait::async_trait;
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

alluvium_conformance::backend_suite!(Azure, shared in_process);
unusable_suite!(azurite().await);
