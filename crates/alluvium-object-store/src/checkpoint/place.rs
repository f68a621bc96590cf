//! Where the objects of a checkpointer are, and what is there.

use std::collections::{BTreeMap, HashMap};

use alluvium_core::checkpoint::{LATEST, MANIFEST, PartitionFile, manifest_path};
use alluvium_core::{CheckpointError, CheckpointId};
use object_store::ObjectMeta;
use object_store::path::Path;

/// The directory of all checkpoints.
#[derive(Clone, Debug)]
pub(super) struct Place {
    prefix: Path,
}

impl Place {
    pub(super) fn new(prefix: Path) -> Self {
        Self { prefix }
    }

    pub(super) fn root(&self) -> &Path {
        &self.prefix
    }

    pub(super) fn latest(&self) -> Path {
        self.prefix.clone().join(LATEST)
    }

    /// What is put for a moment to ask the store for its time.
    pub(super) fn clock(&self) -> Path {
        self.prefix.clone().join("_clock")
    }

    pub(super) fn checkpoint(&self, id: CheckpointId) -> Path {
        self.prefix.clone().join(id.to_string())
    }

    pub(super) fn manifest(&self, id: CheckpointId) -> Path {
        self.checkpoint(id).join(MANIFEST)
    }

    /// Where a file is, of which this is the path below the prefix.
    pub(super) fn file(&self, file: &PartitionFile) -> Result<Path, CheckpointError> {
        crate::store::below(&self.prefix, &file.path).map_err(|source| CheckpointError::Corrupt {
            path: file.path.clone(),
            source: source.into(),
        })
    }

    /// What is listed, by checkpoint. What belongs to none is nobody's, and left alone.
    pub(super) fn sorted(&self, listed: Vec<ObjectMeta>) -> BTreeMap<CheckpointId, Objects> {
        let mut found: BTreeMap<CheckpointId, Objects> = BTreeMap::new();
        for object in listed {
            let parts = object.location.prefix_match(&self.prefix);
            let id = parts.and_then(|mut parts| parts.next()?.as_ref().parse().ok());
            let Some(id) = id else { continue };
            let objects = found.entry(id).or_default();
            if object.location == self.manifest(id) {
                objects.manifest = Some(object);
            } else {
                objects.files.insert(object.location.clone(), object);
            }
        }
        found
    }
}

/// What there is of a checkpoint.
#[derive(Debug, Default)]
pub(super) struct Objects {
    pub(super) manifest: Option<ObjectMeta>,
    /// Everything else.
    pub(super) files: HashMap<Path, ObjectMeta>,
}

impl Objects {
    /// Checks that a file is there, with its size.
    pub(super) fn check(&self, place: &Place, file: &PartitionFile) -> Result<(), CheckpointError> {
        let path = || file.path.clone();
        match self.files.get(&place.file(file)?) {
            Some(there) if there.size == file.size => Ok(()),
            Some(there) => Err(CheckpointError::Corrupt {
                path: path(),
                source: format!("it has {} bytes, and {} were saved", there.size, file.size).into(),
            }),
            None => Err(CheckpointError::Missing { path: path() }),
        }
    }

    /// When the last of it was written.
    pub(super) fn newest(&self) -> Option<std::time::SystemTime> {
        let all = self.files.values().chain(&self.manifest);
        all.map(|object| object.last_modified.into()).max()
    }

    /// Its bytes.
    pub(super) fn bytes(&self) -> u64 {
        let all = self.files.values().chain(&self.manifest);
        all.fold(0, |sum, object| sum.saturating_add(object.size))
    }
}

/// A manifest that is not there although something needs it.
pub(super) fn missing_manifest(id: CheckpointId) -> CheckpointError {
    CheckpointError::Missing {
        path: manifest_path(id),
    }
}
