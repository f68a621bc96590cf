//! State backends, checkpointers, leases and transports on Ceph: the conformance suites, and a Ceph that cannot be used.

use std::path::Path;
use std::sync::Arc;
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
use alluvium_e2e::{open_backend, open_leases, unusable_suite};
use async_trait::async_trait;
use bytes::Bytes;
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

#[async_trait]
impl LeaseHarness for Rgw {
    async fn open_leases(
        &self,
        dir: &Path,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<dyn LeaseStore>, LeaseError> {
        Ok(Arc::new(open_leases(crate::ceph().await, dir, clock)))
    }

    async fn overwrite_record(&self, dir: &Path, name: &str, bytes: Bytes) {
        let leases = open_leases(crate::ceph().await, dir, Arc::new(SystemClock));
        overwrite_cell(&leases, name, bytes).await;
    }
}

#[async_trait]
impl TransportHarness for Rgw {
    async fn open_store(&self, dir: &Path) -> Arc<dyn ObjectStore> {
        open_objects(crate::ceph().await, dir)
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

alluvium_conformance::backend_suite!(Rgw, shared in_process);
alluvium_conformance::checkpointer_suite!(Rgw);
alluvium_conformance::lease_suite!(Rgw);
alluvium_conformance::transport_suite!(Rgw);
unusable_suite!(crate::ceph().await);
