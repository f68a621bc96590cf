//! On S3.

use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use alluvium::{
    BackendError, BackendOptions, CheckpointError, Checkpointer, Clock, LeaseError, LeaseStore, StateBackend,
    SystemClock, Transport, TransportError,
};
use alluvium_conformance::{
    BackendHarness, Capabilities, CheckpointerHarness, LeaseHarness, TransportHarness, overwrite_cell,
};
use alluvium_e2e::checkpointer::{checkpointer_over, open_objects};
use alluvium_e2e::transport::transport_over;
use alluvium_e2e::{S3Server, open_backend, open_leases, unusable_suite};
use async_trait::async_trait;
use bytes::Bytes;
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

#[async_trait]
impl LeaseHarness for S3 {
    async fn open_leases(
        &self,
        dir: &Path,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<dyn LeaseStore>, LeaseError> {
        Ok(Arc::new(open_leases(&*SERVER, dir, clock)))
    }

    async fn overwrite_record(&self, dir: &Path, name: &str, bytes: Bytes) {
        let leases = open_leases(&*SERVER, dir, Arc::new(SystemClock));
        overwrite_cell(&leases, name, bytes).await;
    }
}

#[async_trait]
impl TransportHarness for S3 {
    async fn open_store(&self, dir: &Path) -> Arc<dyn ObjectStore> {
        open_objects(&*SERVER, dir)
    }

    async fn open_transport(
        &self,
        store: Arc<dyn ObjectStore>,
        prefix: Key,
        request_timeout: Duration,
    ) -> Result<Arc<dyn Transport>, TransportError> {
        Ok(transport_over(store, prefix, request_timeout))
    }
}

alluvium_conformance::backend_suite!(S3, shared in_process);
alluvium_conformance::checkpointer_suite!(S3);
alluvium_conformance::lease_suite!(S3);
alluvium_conformance::transport_suite!(S3);
unusable_suite!(&*SERVER);
