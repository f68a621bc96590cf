//! A [`Transport`] on any object store that has create-only and compare-and-swap.
//!
//! # What is stored
//!
//! ```text
//! <prefix>/<key>.manifest.json                         the pointer: the newest manifest, the one object that is replaced
//! <prefix>/<key>/manifests/<sequence>-<digest8>.json   manifests that were the newest once
//! <prefix>/<key>/packs/<id>.tar                        the new segments of one export, a plain tar
//! ```
//!
//! **Publishing** is the swap of the pointer, over what the draft was planned on. Before it, the pack has been uploaded, as one
//! stream; and the manifest that is about to be replaced has been put into the history, so that at every instant the history is
//! `manifests/` and the pointer. An upload costs two GETs, a CREATE and a SWAP beside the parts of its pack, and
//! no more.
//!
//! **A publisher that is slower than another** finds the pointer changed, removes its pack, and ends with
//! [`Outcome::SupersededByNewer`]. It looks once more before it puts anything into the history, so that it puts nothing back that
//! was pruned while it slept; and it takes nothing out of there, for the faster one may rely on what it has put.
//!
//! **What fails** for a reason that may pass is repeated as it is by the
//! [`ObjectStoreCheckpointer`](crate::ObjectStoreCheckpointer): by the client of the service, and on top of that what can be done
//! twice, twice. Nothing repeats an export.
//!
//! Pruning is described in `prune.rs`.

mod framing;
mod options;
mod place;
mod prune;
mod publish;
mod read;

use std::sync::Arc;

use alluvium_core::artifact::{
    ArtifactManifest, Draft, ManifestId, Outcome, PackId, PrunedArtifacts, SegmentRef, SegmentStream,
};
use alluvium_core::{ArtifactKey, ByteStream, RetentionPolicy, Transport, TransportError};
use async_trait::async_trait;
use bytes::Bytes;
use object_store::ObjectStore;
use object_store::path::Path;

use self::place::Place;
use crate::blob::{BlobOptions, Blobs};
use crate::store::Store;

pub use self::options::TransportOptions;

/// Artifacts on an object store. Any number of processes share what is below one prefix.
///
/// Its methods are to be awaited within a tokio runtime that has time. Dropping one half-way does no harm: what it was doing
/// may be done or not.
///
/// ```
/// use alluvium_core::{ArtifactKey, Transport};
/// use alluvium_object_store::{ObjectStoreTransport, StoreOptions, TransportOptions, open_store};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (store, prefix) = open_store("memory:", &StoreOptions::default())?;
/// let transport = ObjectStoreTransport::new(store, prefix, TransportOptions::default());
/// let key: ArtifactKey = "routes".parse()?;
/// assert!(transport.manifest(&key).await?.is_none());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ObjectStoreTransport {
    place: Place,
    blobs: Blobs,
}

impl ObjectStoreTransport {
    /// The transport below a prefix. Makes no request.
    pub fn new(store: Arc<dyn ObjectStore>, prefix: Path, options: TransportOptions) -> Self {
        let store = Store::new(store, options.request_timeout);
        let limits = BlobOptions {
            part_bytes: options.part_bytes,
            parts_in_flight: options.parts_in_flight,
        };
        Self {
            place: Place::new(prefix),
            blobs: Blobs::new(store, limits),
        }
    }

    /// The transport at a URL: see [`open_store`](crate::open_store) for what there is.
    ///
    /// # Errors
    ///
    /// [`OpenStoreError`](crate::OpenStoreError) for a URL that means no store, or one whose feature is off.
    pub fn from_url(
        url: &str,
        store: &crate::StoreOptions,
        options: TransportOptions,
    ) -> Result<Self, crate::OpenStoreError> {
        let (store, prefix) = crate::open_store(url, store)?;
        Ok(Self::new(store, prefix, options))
    }

    fn store(&self) -> &Store {
        self.blobs.store()
    }
}

#[async_trait]
impl Transport for ObjectStoreTransport {
    async fn newest(
        &self,
        key: &ArtifactKey,
    ) -> Result<Option<(ManifestId, ArtifactManifest)>, TransportError> {
        self.newest_manifest(key).await
    }

    async fn upload(
        &self,
        key: &ArtifactKey,
        draft: Draft,
        segments: SegmentStream,
    ) -> Result<Outcome, TransportError> {
        self.publish(key, draft, segments).await
    }

    async fn segment(
        &self,
        key: &ArtifactKey,
        pack: PackId,
        segment: &SegmentRef,
    ) -> Result<Bytes, TransportError> {
        self.read_segment(key, pack, segment).await
    }

    async fn history(&self, key: &ArtifactKey) -> Result<Vec<ManifestId>, TransportError> {
        self.read_history(key).await
    }

    async fn manifest_of(
        &self,
        key: &ArtifactKey,
        id: ManifestId,
    ) -> Result<ArtifactManifest, TransportError> {
        self.read_manifest(key, id).await
    }

    async fn pack(
        &self,
        key: &ArtifactKey,
        pack: PackId,
    ) -> Result<ByteStream<TransportError>, TransportError> {
        self.read_pack(key, pack).await
    }

    async fn packs(&self, key: &ArtifactKey) -> Result<Vec<(PackId, u64)>, TransportError> {
        self.list_packs(key).await
    }

    async fn keys(&self) -> Result<Vec<ArtifactKey>, TransportError> {
        self.list_keys().await
    }

    async fn prune(
        &self,
        key: &ArtifactKey,
        retention: RetentionPolicy,
    ) -> Result<PrunedArtifacts, TransportError> {
        self.sweep(key, retention).await
    }
}

#[cfg(test)]
mod tests;
