//! What there is of a key, as far as it can be read.

use alluvium::artifact::{ArtifactManifest, ManifestId};
use alluvium::{ArtifactKey, ErrorKind, Sequence, Transport, TransportError};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::error::{Failure, chain as told};
use crate::state::Place;

/// How many manifests are read at a time.
const READS: usize = 16;

/// What the pointer of a key says.
#[derive(Clone, Debug)]
pub(crate) enum Pointer {
    /// There is none.
    None,
    Names(Box<ArtifactManifest>),
    Damaged(String),
}

/// An artifact of the history, or why it cannot be read.
#[derive(Clone, Debug)]
pub(crate) struct Artifact {
    pub(crate) id: ManifestId,
    pub(crate) is_newest: bool,
    pub(crate) manifest: Result<ArtifactManifest, String>,
}

/// The history of a key.
#[derive(Clone, Debug)]
pub(crate) struct History {
    pub(crate) pointer: Pointer,
    /// Oldest first.
    pub(crate) artifacts: Vec<Artifact>,
}

impl History {
    /// Reads all of it.
    pub(crate) async fn read(transport: &dyn Transport, key: &ArtifactKey) -> Result<Self, TransportError> {
        // First, so that what it names is in the history, unless it is pruned.
        let pointer = pointer(transport, key).await?;
        let ids = transport.history(key).await?;
        let artifacts = stream::iter(ids)
            .map(|id| read(transport, key, id, &pointer))
            .buffered(READS)
            .try_filter_map(|artifact| std::future::ready(Ok(artifact)))
            .try_collect()
            .await?;
        Ok(Self { pointer, artifacts })
    }

    /// What is wrong with the pointer.
    pub(crate) fn damage(&self) -> Option<&str> {
        match &self.pointer {
            Pointer::Damaged(why) => Some(why),
            Pointer::None | Pointer::Names(_) => None,
        }
    }

    /// Whether there is nothing at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.artifacts.is_empty() && matches!(self.pointer, Pointer::None)
    }
}

/// What the pointer of a key says.
pub(crate) async fn pointer(transport: &dyn Transport, key: &ArtifactKey) -> Result<Pointer, TransportError> {
    match transport.manifest(key).await {
        Ok(None) => Ok(Pointer::None),
        Ok(Some(manifest)) => Ok(Pointer::Names(Box::new(manifest))),
        Err(error) if is_damage(error.kind()) => Ok(Pointer::Damaged(told(&error))),
        Err(error) => Err(error),
    }
}

/// The artifact that was named: the newest, or the newest at a sequence or before.
pub(crate) async fn find(
    transport: &dyn Transport,
    store: &Place,
    key: &ArtifactKey,
    at: Option<Sequence>,
) -> Result<Artifact, Failure> {
    let pointer = pointer(transport, key).await?;
    let wanted = match (&pointer, at) {
        (_, Some(at)) => at,
        (Pointer::Names(newest), None) => newest.cursor.sequence,
        (Pointer::Damaged(why), None) => {
            return Err(Failure::Damaged {
                summary: format!("{why}; an older artifact can be named with --at"),
            });
        }
        (Pointer::None, None) => return Err(none(store, key, at)),
    };
    let ids = transport.history(key).await?;
    for id in ids.into_iter().rev().filter(|id| id.sequence() <= wanted) {
        let Some(artifact) = read(transport, key, id, &pointer).await? else {
            continue;
        };
        if at.is_some() || artifact.is_newest {
            return Ok(artifact);
        }
    }
    Err(none(store, key, at))
}

/// That there is no such artifact.
pub(crate) fn none(store: &Place, key: &ArtifactKey, at: Option<Sequence>) -> Failure {
    Failure::NoArtifact {
        key: key.to_string(),
        at: at.map_or_else(String::new, |at| format!(" at {at} or before")),
        store: store.to_string(),
    }
}

/// Reads one of the history. Nothing if it was pruned meanwhile.
async fn read(
    transport: &dyn Transport,
    key: &ArtifactKey,
    id: ManifestId,
    pointer: &Pointer,
) -> Result<Option<Artifact>, TransportError> {
    let manifest = match transport.manifest_of(key, id).await {
        Ok(manifest) => Ok(manifest),
        Err(TransportError::NotFound { .. }) => return Ok(None),
        Err(error) if is_damage(error.kind()) => Err(told(&error)),
        Err(error) => return Err(error),
    };
    let is_newest = match (&manifest, pointer) {
        (Ok(manifest), Pointer::Names(newest)) => *manifest == **newest,
        _ => false,
    };
    Ok(Some(Artifact {
        id,
        is_newest,
        manifest,
    }))
}

/// Whether somebody has to look at what is stored: asking again would not help.
pub(crate) fn is_damage(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Corrupt | ErrorKind::Invalid)
}
