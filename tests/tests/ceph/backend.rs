//! State backends on Ceph: the conformance suite, and a Ceph that cannot be used.

use std::path::Path;
use std::sync::Arc;

use alluvium::{BackendError, BackendOptions, StateBackend};
use alluvium_conformance::{BackendHarness, Capabilities};
use alluvium_e2e::{open_backend, unusable_suite};
use async_trait::async_trait;

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

alluvium_conformance::backend_suite!(Rgw, shared in_process);
unusable_suite!(crate::ceph().await);
