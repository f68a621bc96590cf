//! Artifacts that tell by which acquisition of a lease they were made.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alluvium::artifact::{
    ArtifactManifest, Draft, ManifestId, Outcome, PackId, PrunedArtifacts, SegmentRef, SegmentStream,
};
use alluvium::lease::LeaseRecord;
use alluvium::{
    Acquired, ArtifactKey, ByteStream, Lease, LeaseError, LeaseStore, RetentionPolicy, Transport,
    TransportError,
};
use async_trait::async_trait;
use bytes::Bytes;

/// The leases and the artifacts of a node. Its exporter is the name of the node and the token of the lease that it has, or had
/// when it was lost.
pub(crate) struct Stamp {
    name: String,
    transport: Arc<dyn Transport>,
    leases: Arc<dyn LeaseStore>,
    token: Mutex<Option<String>>,
}

impl Stamp {
    pub(crate) fn new(name: String, transport: Arc<dyn Transport>, leases: Arc<dyn LeaseStore>) -> Self {
        Self {
            name,
            transport,
            leases,
            token: Mutex::default(),
        }
    }

    fn set(&self, token: Option<String>) {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = token;
    }

    fn exporter(&self) -> String {
        let token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        format!("{} {}", self.name, token.as_deref().unwrap_or("without a lease"))
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl LeaseStore for Stamp {
    async fn try_acquire(&self, name: &str, holder: &str, ttl: Duration) -> Result<Acquired, LeaseError> {
        let acquired = self.leases.try_acquire(name, holder, ttl).await?;
        if let Acquired::Yes(lease) = &acquired {
            self.set(Some(lease.token().to_string()));
        }
        Ok(acquired)
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<Lease, LeaseError> {
        self.leases.renew(lease, ttl).await
    }

    async fn complete(&self, lease: Lease, note: &str, rest: Duration) -> Result<(), LeaseError> {
        self.set(None);
        self.leases.complete(lease, note, rest).await
    }

    async fn abandon(&self, lease: Lease) -> Result<(), LeaseError> {
        self.set(None);
        self.leases.abandon(lease).await
    }

    async fn read(&self, name: &str) -> Result<Option<LeaseRecord>, LeaseError> {
        self.leases.read(name).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Transport for Stamp {
    async fn manifest(&self, key: &ArtifactKey) -> Result<Option<ArtifactManifest>, TransportError> {
        self.transport.manifest(key).await
    }

    async fn newest(
        &self,
        key: &ArtifactKey,
    ) -> Result<Option<(ManifestId, ArtifactManifest)>, TransportError> {
        self.transport.newest(key).await
    }

    async fn upload(
        &self,
        key: &ArtifactKey,
        mut draft: Draft,
        segments: SegmentStream,
    ) -> Result<Outcome, TransportError> {
        draft.exporter = self.exporter();
        self.transport.upload(key, draft, segments).await
    }

    async fn segment(
        &self,
        key: &ArtifactKey,
        pack: PackId,
        segment: &SegmentRef,
    ) -> Result<Bytes, TransportError> {
        self.transport.segment(key, pack, segment).await
    }

    async fn history(&self, key: &ArtifactKey) -> Result<Vec<ManifestId>, TransportError> {
        self.transport.history(key).await
    }

    async fn manifest_of(
        &self,
        key: &ArtifactKey,
        id: ManifestId,
    ) -> Result<ArtifactManifest, TransportError> {
        self.transport.manifest_of(key, id).await
    }

    async fn pack(
        &self,
        key: &ArtifactKey,
        pack: PackId,
    ) -> Result<ByteStream<TransportError>, TransportError> {
        self.transport.pack(key, pack).await
    }

    async fn packs(&self, key: &ArtifactKey) -> Result<Vec<(PackId, u64)>, TransportError> {
        self.transport.packs(key).await
    }

    async fn keys(&self) -> Result<Vec<ArtifactKey>, TransportError> {
        self.transport.keys().await
    }

    async fn prune(
        &self,
        key: &ArtifactKey,
        retention: RetentionPolicy,
    ) -> Result<PrunedArtifacts, TransportError> {
        self.transport.prune(key, retention).await
    }
}
