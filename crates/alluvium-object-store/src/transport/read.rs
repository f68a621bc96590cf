//! Reading artifacts: manifests, segments, packs, and what there is.

use alluvium_core::artifact::{
    ArtifactManifest, MAX_ARTIFACT_MANIFEST_BYTES, MAX_SEGMENT_BYTES, ManifestId, PackId, SegmentRef,
};
use alluvium_core::{ArtifactKey, ByteStream, TransportError};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::ObjectMeta;

use super::ObjectStoreTransport;
use super::place::Place;
use crate::digest;
use crate::pointer::Pointer;
use crate::store::Object;

/// What is in the history of a key, beside the pointer.
pub(super) type Listed = Vec<(ManifestId, ObjectMeta)>;

impl ObjectStoreTransport {
    pub(super) fn pointer(&self, key: &ArtifactKey) -> Result<Pointer, TransportError> {
        let path = self.place.of(&key.pointer())?;
        Ok(Pointer::new(
            self.store().clone(),
            path,
            MAX_ARTIFACT_MANIFEST_BYTES,
        ))
    }

    /// The newest manifest as it is stored, and its digest.
    pub(super) async fn pointed_at(
        &self,
        key: &ArtifactKey,
    ) -> Result<Option<(alluvium_core::Digest, Object)>, TransportError> {
        let object = self.pointer(key)?.read().await?;
        Ok(object.map(|object| (digest::of(&object.bytes), object)))
    }

    /// The newest artifact, and its name.
    pub(super) async fn newest_manifest(
        &self,
        key: &ArtifactKey,
    ) -> Result<Option<(ManifestId, ArtifactManifest)>, TransportError> {
        let Some((digest, object)) = self.pointed_at(key).await? else {
            return Ok(None);
        };
        let manifest = self.place.parse(&key.pointer(), &object.bytes)?;
        Ok(Some((
            ManifestId::new(manifest.cursor.sequence, &digest),
            manifest,
        )))
    }

    pub(super) async fn read_segment(
        &self,
        key: &ArtifactKey,
        pack: PackId,
        segment: &SegmentRef,
    ) -> Result<Bytes, TransportError> {
        let (path, info) = (self.place.of(&key.pack(pack))?, &segment.info);
        let end = segment
            .offset
            .checked_add(info.length)
            .filter(|_| info.length <= MAX_SEGMENT_BYTES);
        let Some(end) = end else {
            return Err(TransportError::Invalid(format!(
                "a segment of {} bytes at {} is none that a manifest can name",
                info.length, segment.offset
            )));
        };
        let range = segment.offset..end;
        let Some(bytes) = self.store().get_range(&path, range).await? else {
            return Err(TransportError::Missing {
                path: self.store().location(&path),
            });
        };
        let actual = digest::of_one(&bytes).await;
        if actual == info.sha256 {
            Ok(bytes)
        } else {
            Err(TransportError::IntegrityMismatch {
                path: format!("{}.parquet of {}", info.sha256, self.store().location(&path)),
                expected: info.sha256,
                actual,
            })
        }
    }

    pub(super) async fn read_history(&self, key: &ArtifactKey) -> Result<Vec<ManifestId>, TransportError> {
        // The pointer first: what it names is in the history before it names something else.
        let newest = match self.pointed_at(key).await {
            Ok(newest) => newest,
            Err(TransportError::Corrupt { .. }) => None,
            Err(error) => return Err(error),
        };
        let mut history: Vec<ManifestId> = self.listed(key).await?.into_iter().map(|(id, _)| id).collect();
        if let Some((digest, object)) = newest
            && let Ok(manifest) = self.place.parse(&key.pointer(), &object.bytes)
        {
            history.push(ManifestId::new(manifest.cursor.sequence, &digest));
        }
        history.sort_unstable();
        history.dedup();
        Ok(history)
    }

    pub(super) async fn read_manifest(
        &self,
        key: &ArtifactKey,
        id: ManifestId,
    ) -> Result<ArtifactManifest, TransportError> {
        // Twice: it may have been the newest, and gone into the history while that was looked at.
        for _ in 0..2 {
            if let Some(manifest) = self.read_past(key, id).await? {
                return Ok(manifest);
            }
            match self.pointed_at(key).await {
                Ok(Some((digest, object))) => {
                    let manifest = self.place.parse(&key.pointer(), &object.bytes);
                    if let Ok(manifest) = manifest
                        && ManifestId::new(manifest.cursor.sequence, &digest) == id
                    {
                        return Ok(manifest);
                    }
                }
                Ok(None) | Err(TransportError::Corrupt { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(TransportError::NotFound {
            what: format!("{id} of {key}"),
        })
    }

    /// What is in the history under this name, which is that of its content; none if it is not there.
    pub(super) async fn read_past(
        &self,
        key: &ArtifactKey,
        id: ManifestId,
    ) -> Result<Option<ArtifactManifest>, TransportError> {
        let path = self.place.of(&key.manifest(id))?;
        let Some(object) = self.store().get(&path, MAX_ARTIFACT_MANIFEST_BYTES).await? else {
            return Ok(None);
        };
        let manifest = self.place.parse(&key.manifest(id), &object.bytes)?;
        if ManifestId::new(manifest.cursor.sequence, &digest::of(&object.bytes)) == id {
            Ok(Some(manifest))
        } else {
            Err(TransportError::Corrupt {
                path: path.to_string(),
                source: "it is another manifest than its name tells".into(),
            })
        }
    }

    pub(super) async fn read_pack(
        &self,
        key: &ArtifactKey,
        pack: PackId,
    ) -> Result<ByteStream<TransportError>, TransportError> {
        let path = self.place.of(&key.pack(pack))?;
        let missing = {
            let location = self.store().location(&path);
            move || TransportError::Missing {
                path: location.clone(),
            }
        };
        let size = self.store().size(&path).await?.ok_or_else(&missing)?;
        let pieces = self.blobs.read(path, size).map_err(TransportError::from);
        Ok(pieces
            .and_then(move |piece| std::future::ready(piece.ok_or_else(&missing)))
            .boxed())
    }

    pub(super) async fn list_packs(&self, key: &ArtifactKey) -> Result<Vec<(PackId, u64)>, TransportError> {
        let listed = self.store().list(&self.place.packs(key)?).await?;
        let packs = listed.iter();
        let mut packs: Vec<_> = packs
            .filter_map(|object| Some((Place::pack_of(&object.location)?, object.size)))
            .collect();
        packs.sort_unstable();
        Ok(packs)
    }

    pub(super) async fn list_keys(&self) -> Result<Vec<ArtifactKey>, TransportError> {
        let listed = self.store().list_here(self.place.root()).await?;
        let mut keys: Vec<_> = listed
            .iter()
            .filter_map(|object| Place::key_of(&object.location))
            .collect();
        keys.sort_unstable();
        Ok(keys)
    }

    /// What is in the history beside the pointer, in no order.
    pub(super) async fn listed(&self, key: &ArtifactKey) -> Result<Listed, TransportError> {
        let listed = self.store().list(&self.place.manifests(key)?).await?;
        let named = |object: ObjectMeta| Some((Place::manifest_of(&object.location)?, object));
        Ok(listed.into_iter().filter_map(named).collect())
    }
}
