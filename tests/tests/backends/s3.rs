//! On S3.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use alluvium::{BackendError, BackendOptions, StateBackend};
use alluvium_conformance::{BackendHarness, Capabilities};
use alluvium_e2e::{S3Server, open_backend, unusable_suite};
use async_trait::async_trait;

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

alluvium_conformance::backend_suite!(S3, shared in_process);
unusable_suite!(&*SERVER);
