//! Manifests: written once, and not before everything that they name is there.

use alluvium_core::checkpoint::{Chain, MAX_MANIFEST_BYTES, Manifest};
use alluvium_core::{CheckpointError, CheckpointId};

use super::ObjectStoreCheckpointer;
use super::place::missing_manifest;
use crate::pointer::{Pointer, Swap};

/// What came of putting something in the place of a manifest.
pub(super) enum Claim {
    /// It is there now.
    Done,
    /// Something else was.
    Taken(bytes::Bytes),
}

impl ObjectStoreCheckpointer {
    pub(super) async fn complete(&self, manifest: &Manifest) -> Result<(), CheckpointError> {
        let json = manifest.to_json()?;
        self.check_whole(manifest).await?;
        let id = manifest.id;
        match self.claim(id, json).await? {
            Claim::Done => Ok(()),
            Claim::Taken(other) => match Manifest::from_json(id, &other) {
                Err(error @ CheckpointError::Abandoned { .. }) => Err(error),
                _ => Err(CheckpointError::Invalid(format!(
                    "checkpoint {id} is complete with another manifest: begin a new one"
                ))),
            },
        }
    }

    pub(super) async fn read_manifest(&self, id: CheckpointId) -> Result<Manifest, CheckpointError> {
        let path = self.place.manifest(id);
        let Some(object) = self.blobs.store().get(&path, MAX_MANIFEST_BYTES).await? else {
            return Err(CheckpointError::NotFound { id });
        };
        Manifest::from_json(id, &object.bytes)
    }

    /// Puts something in the place of a manifest if nothing is there.
    pub(super) async fn claim(&self, id: CheckpointId, content: Vec<u8>) -> Result<Claim, CheckpointError> {
        let store = self.blobs.store().clone();
        let pointer = Pointer::new(store, self.place.manifest(id), MAX_MANIFEST_BYTES);
        Ok(match pointer.swap(None, content.into()).await? {
            Swap::Done(_) => Claim::Done,
            Swap::Lost(there) => Claim::Taken(there.map(|object| object.bytes).unwrap_or_default()),
        })
    }

    /// Checks that everything is there that a checkpoint needs, with its size: its own files, and of the checkpoints that
    /// it builds on what it needs of them.
    pub(super) async fn check_whole(&self, manifest: &Manifest) -> Result<(), CheckpointError> {
        let mut chain = Chain::new(manifest);
        while let Some(parent) = chain.needs() {
            match self.read_manifest(parent).await {
                Ok(parent) => chain.add(&parent)?,
                Err(CheckpointError::NotFound { id } | CheckpointError::Abandoned { id }) => {
                    return Err(missing_manifest(id));
                }
                Err(error) => return Err(error),
            }
        }
        for id in chain.checkpoints() {
            let listed = self.blobs.store().list(&self.place.checkpoint(*id)).await?;
            let objects = self.place.sorted(listed).remove(id).unwrap_or_default();
            for file in chain.files_of(*id) {
                objects.check(&self.place, file)?;
            }
        }
        Ok(())
    }
}
