//! Where the objects of a transport are.

use alluvium_core::artifact::{ArtifactManifest, MANIFESTS, ManifestId, PACKS, POINTER_SUFFIX, PackId};
use alluvium_core::{ArtifactKey, TransportError};
use object_store::path::Path;

/// The directory of all keys.
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

    /// Where something is, of which this is the path below the prefix.
    pub(super) fn of(&self, path: &str) -> Result<Path, TransportError> {
        crate::store::below(&self.prefix, path).map_err(|source| TransportError::Corrupt {
            path: path.to_owned(),
            source: source.into(),
        })
    }

    pub(super) fn manifests(&self, key: &ArtifactKey) -> Result<Path, TransportError> {
        self.of(&format!("{}/{MANIFESTS}", key.directory()))
    }

    pub(super) fn packs(&self, key: &ArtifactKey) -> Result<Path, TransportError> {
        self.of(&format!("{}/{PACKS}", key.directory()))
    }

    /// What is put for a moment to ask the store for its time.
    pub(super) fn clock(&self, key: &ArtifactKey) -> Result<Path, TransportError> {
        self.of(&format!("{}/_clock", key.directory()))
    }

    /// The key that this is the pointer of.
    pub(super) fn key_of(path: &Path) -> Option<ArtifactKey> {
        ArtifactKey::of_directory(path.filename()?.strip_suffix(POINTER_SUFFIX)?)
    }

    /// The name of the manifest that this is, in the history.
    pub(super) fn manifest_of(path: &Path) -> Option<ManifestId> {
        path.filename()?.strip_suffix(".json")?.parse().ok()
    }

    /// The name of the pack that this is.
    pub(super) fn pack_of(path: &Path) -> Option<PackId> {
        path.filename()?.strip_suffix(".tar")?.parse().ok()
    }

    /// Reads a manifest that was at this path below the prefix.
    pub(super) fn parse(&self, path: &str, json: &[u8]) -> Result<ArtifactManifest, TransportError> {
        let whole = self.of(path)?;
        ArtifactManifest::from_json(whole.as_ref(), json)
    }
}
