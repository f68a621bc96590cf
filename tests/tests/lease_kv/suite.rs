//! The suite of the conformance kit. Each test has a server of its own, and each of its places a bucket.

use std::path::Path;
use std::sync::Arc;

use alluvium::{Clock, KvLeaseStore, LeaseError, LeaseStore};
use alluvium_conformance::{LeaseHarness, ManualClock, overwrite_cell};
use alluvium_e2e::NatsServer;
use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::OnceCell;

/// A server that goes when the test is over.
#[derive(Default)]
struct Kv(OnceCell<NatsServer>);

impl Kv {
    async fn open(&self, dir: &Path, clock: Arc<dyn Clock>) -> Result<KvLeaseStore, LeaseError> {
        let server = self.0.get_or_init(NatsServer::start).await;
        let bucket = dir
            .parent()
            .and_then(Path::file_name)
            .expect("the directory of a test is in one of its own");
        KvLeaseStore::builder(server.client().await, bucket.to_string_lossy())
            .create(1)
            .clock(clock)
            .open()
            .await
    }
}

#[async_trait]
impl LeaseHarness for Kv {
    async fn open_leases(
        &self,
        dir: &Path,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<dyn LeaseStore>, LeaseError> {
        Ok(Arc::new(self.open(dir, clock).await?))
    }

    async fn overwrite_record(&self, dir: &Path, name: &str, bytes: Bytes) {
        let clock = Arc::new(ManualClock::default());
        let leases = self.open(dir, clock).await.expect("the bucket is opened");
        overwrite_cell(&leases, name, bytes).await;
    }
}

alluvium_conformance::lease_suite!(Kv);
