//! Publishing: the pack first, the pointer last.

use alluvium_core::artifact::{
    ArtifactManifest, Draft, ManifestId, Outcome, PackId, Published, SegmentRef, SegmentStream, Unfit,
};
use alluvium_core::{ArtifactKey, ErrorKind, TransportError};
use object_store::PutMode;
use object_store::path::Path;
use uuid::Uuid;

use super::ObjectStoreTransport;
use super::framing::Framed;
use crate::blob::{Part, UploadError};
use crate::digest::{self, Unmarked};
use crate::pointer::Swap;
use crate::store::Object;

/// What there was when an upload began.
struct There {
    /// The pointer, whatever is in it.
    object: Option<Object>,
    /// The newest artifact, if the pointer can be read.
    parent: Option<(ManifestId, ArtifactManifest)>,
    /// What must not be gone back behind: the newest artifact that is known of.
    floor: Option<ArtifactManifest>,
}

/// What was uploaded.
#[derive(Default)]
struct Uploaded {
    pack: Option<(PackId, Path)>,
    segments: Vec<SegmentRef>,
    bytes: u64,
}

impl ObjectStoreTransport {
    pub(super) async fn publish(
        &self,
        key: &ArtifactKey,
        draft: Draft,
        segments: SegmentStream,
    ) -> Result<Outcome, TransportError> {
        let there = self.look(key, &draft).await?;
        if let Some(by) = there.superseding(&draft) {
            return Ok(superseded(by));
        }
        let uploaded = self.upload_pack(key, segments).await?;
        let named = self.name(key, draft, there, &uploaded).await;
        let may_be_named = match &named {
            Ok(outcome) => matches!(outcome, Outcome::Published(_)),
            // The swap may have been done.
            Err(error) => matches!(error.kind(), ErrorKind::Transient | ErrorKind::Unavailable),
        };
        if let Some((_, path)) = uploaded.pack.filter(|_| !may_be_named) {
            self.forget(path).await;
        }
        named
    }

    /// Looks at the pointer, and whether the draft may replace it at all.
    async fn look(&self, key: &ArtifactKey, draft: &Draft) -> Result<There, TransportError> {
        let pointer = self.pointer(key)?;
        let object = pointer.read_anything().await?;
        let parsed = object
            .as_ref()
            .map(|object| self.place.parse(&key.pointer(), &object.bytes))
            .transpose();
        let (parent, floor) = match parsed {
            Ok(Some(manifest)) => {
                let digest = object.as_ref().map(|object| digest::of(&object.bytes));
                let id = digest.map(|digest| ManifestId::new(manifest.cursor.sequence, &digest));
                (id.map(|id| (id, manifest.clone())), Some(manifest))
            }
            Ok(None) => {
                // The packs of its parent may be gone too.
                if let Some(parent) = draft.parent {
                    return Err(gone(key, parent));
                }
                (None, self.newest_past(key).await?)
            }
            Err(error) if error.kind() == ErrorKind::Corrupt && draft.parent.is_none() => {
                tracing::warn!(location = pointer.location(), %error, "the pointer is replaced");
                (None, self.newest_past(key).await?)
            }
            Err(error) => return Err(error),
        };
        if let Some(floor) = &floor {
            check_same_table(key, draft, floor)?;
        }
        Ok(There {
            object,
            parent,
            floor,
        })
    }

    /// Uploads the segments as one pack. Nothing, if there are none.
    async fn upload_pack(
        &self,
        key: &ArtifactKey,
        segments: SegmentStream,
    ) -> Result<Uploaded, TransportError> {
        let Some((framed, told)) = Framed::of(segments).await.map_err(TransportError::Segments)? else {
            return Ok(Uploaded::default());
        };
        let unique = Uuid::now_v7();
        let mut random = [0; 10];
        random.copy_from_slice(&unique.as_bytes()[6..]);
        let id = PackId::new(unique.as_u64_pair().0 >> 16, random);
        let path = self.place.of(&key.pack(id))?;

        let mut parts = self.blobs.parts(framed);
        let first = parts.next().await.map_err(TransportError::Segments)?;
        let bytes = if parts.is_last(&first) {
            let bytes = first.length as u64;
            self.put_pack(&path, first).await?;
            bytes
        } else {
            let written = self.blobs.upload::<Unmarked, _, _>(&path, first, parts).await;
            let written = written.map_err(|error| match error {
                UploadError::Source(error) => TransportError::Segments(error),
                UploadError::Store(error) => error.into(),
                UploadError::TooLong { most } => TransportError::Invalid(format!(
                    "the pack has more than {most} bytes, as many as parts of this size can have: raise `part_bytes`"
                )),
            })?;
            written.size
        };
        Ok(Uploaded {
            pack: Some((id, path)),
            segments: told.segments(),
            bytes,
        })
    }

    /// Puts a pack that fits into one request.
    async fn put_pack(&self, path: &Path, pack: Part) -> Result<(), TransportError> {
        // Nobody else has this name: to put it twice is to put it once.
        Ok(self.store().put(path, pack.payload()).await?)
    }

    /// Makes what was uploaded an artifact, and that the newest.
    async fn name(
        &self,
        key: &ArtifactKey,
        draft: Draft,
        there: There,
        uploaded: &Uploaded,
    ) -> Result<Outcome, TransportError> {
        let pack = uploaded.pack.as_ref().map(|(id, _)| *id);
        let manifest = draft.complete(pack, uploaded.segments.clone())?;
        let json = manifest.to_json()?;
        let id = ManifestId::new(manifest.cursor.sequence, &digest::of(&json));
        let length = json.len() as u64;

        if let (Some((parent, _)), Some(object)) = (&there.parent, &there.object) {
            // Segments may take long to come: what was replaced since, and pruned, is not put back.
            match self.newest_manifest(key).await? {
                Some((now, _)) if now == *parent => self.record(key, *parent, object).await?,
                Some((_, by)) => return Ok(superseded(by)),
                None => return Err(gone(key, *parent)),
            }
        }
        let over = there.object.map(|object| object.version);
        match self.pointer(key)?.swap(over.as_ref(), json.into()).await? {
            Swap::Done(_) => Ok(Outcome::Published(Box::new(Published::new(
                id,
                manifest,
                uploaded.bytes + length,
            )))),
            Swap::Lost(now) => {
                // What was put into the history stays: whoever was first may have found it there, and left it at that.
                match now.map(|object| self.place.parse(&key.pointer(), &object.bytes)) {
                    Some(newest) => Ok(superseded(newest?)),
                    None => Err(TransportError::NotFound {
                        what: format!("of {key}: the one that this was to replace is gone"),
                    }),
                }
            }
        }
    }

    /// Puts the newest artifact into the history, before another one is.
    async fn record(&self, key: &ArtifactKey, id: ManifestId, object: &Object) -> Result<(), TransportError> {
        let path = self.place.of(&key.manifest(id))?;
        let put = self
            .store()
            .put_if(&path, object.bytes.clone().into(), PutMode::Create)
            .await;
        match put {
            Ok(_) => Ok(()),
            Err(failure) if failure.is_condition() => Ok(()),
            Err(failure) if failure.is_ambiguous() => {
                // Of this name there is one content only.
                Ok(self.store().put(&path, object.bytes.clone().into()).await?)
            }
            Err(failure) => Err(self.store().told("write", &path, failure).into()),
        }
    }

    /// The newest artifact of the history that can be read, whatever the pointer is.
    async fn newest_past(&self, key: &ArtifactKey) -> Result<Option<ArtifactManifest>, TransportError> {
        let mut newest: Option<ArtifactManifest> = None;
        for (id, _) in self.listed(key).await? {
            let manifest = match self.read_past(key, id).await {
                Ok(manifest) => manifest,
                Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Invalid) => continue,
                Err(error) => return Err(error),
            };
            newest = match (newest, manifest) {
                (Some(newest), Some(other)) if is_ahead(&newest, &other) => Some(newest),
                (newest, None) => newest,
                (_, other) => other,
            };
        }
        Ok(newest)
    }

    /// Removes what nobody names, as well as that goes: a prune will, otherwise.
    async fn forget(&self, path: Path) {
        let removed = self.store().remove(vec![path]).await;
        if let Some(failure) = removed.failure {
            tracing::debug!(%failure, "what was uploaded for nothing is left to a prune");
        }
    }
}

impl There {
    /// What supersedes a draft: it was planned on something else, or is behind.
    fn superseding(&self, draft: &Draft) -> Option<ArtifactManifest> {
        if let Some((id, manifest)) = &self.parent
            && draft.parent != Some(*id)
        {
            return Some(manifest.clone());
        }
        let at = |manifest: &ArtifactManifest| (manifest.cursor.log.created, manifest.cursor.sequence);
        let ahead = |floor: &&ArtifactManifest| at(floor) > (draft.cursor.log.created, draft.cursor.sequence);
        self.floor.as_ref().filter(ahead).cloned()
    }
}

fn gone(key: &ArtifactKey, parent: ManifestId) -> TransportError {
    TransportError::NotFound {
        what: format!("{parent} of {key}, which the new one builds on"),
    }
}

fn superseded(by: ArtifactManifest) -> Outcome {
    Outcome::SupersededByNewer { by: Box::new(by) }
}

fn is_ahead(one: &ArtifactManifest, other: &ArtifactManifest) -> bool {
    let at = |manifest: &ArtifactManifest| (manifest.cursor.log.created, manifest.cursor.sequence);
    at(one) >= at(other)
}

/// A key is one table's.
fn check_same_table(
    key: &ArtifactKey,
    draft: &Draft,
    newest: &ArtifactManifest,
) -> Result<(), TransportError> {
    let unfit = if newest.cursor.log.name != draft.cursor.log.name {
        Unfit::OtherLog {
            found: newest.cursor.log.name.clone(),
            wanted: draft.cursor.log.name.clone(),
        }
    } else if newest.scope != draft.scope {
        Unfit::Scope {
            found: newest.scope.clone(),
            wanted: draft.scope.clone(),
        }
    } else if newest.mode != draft.mode {
        Unfit::Mode {
            found: newest.mode,
            wanted: draft.mode,
        }
    } else {
        return Ok(());
    };
    Err(TransportError::Mismatch {
        key: key.to_string(),
        source: unfit,
    })
}
