//! What a checkpoint consists of.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{CheckpointError, CheckpointId, FileKind, manifest_path, partition_path};
use crate::checksum::{self, CHECKSUM, Layout};
use crate::{BoxError, Digest, Epoch};

/// The version that is written, and the newest that is read.
pub const MANIFEST_VERSION: u32 = 2;
/// The most bytes of a manifest: 16 MiB. A longer one is refused before it is read.
pub const MAX_MANIFEST_BYTES: u64 = 16 << 20;

/// What a checkpoint consists of, and where its sources stood: one JSON object, written last.
///
/// Fields that this version does not know survive a load and a save. The text has a checksum of itself, so that no byte of it
/// can change unseen; one without is not checked, so that a manifest can be mended by hand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Manifest {
    version: u32,
    /// Its name.
    pub id: CheckpointId,
    /// The round of the checkpoint protocol.
    pub epoch: Epoch,
    /// When it was taken, in milliseconds since 1970-01-01T00:00:00Z, by the clock of its writer. For people: nothing
    /// is decided by it.
    pub timestamp_ms: i64,
    /// The checkpoint that its deltas build on; needed if it has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<CheckpointId>,
    /// Up to where event time is complete, in milliseconds since 1970-01-01T00:00:00Z.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watermark_ms: Option<i64>,
    /// Bytes of all its files together.
    total_size: u64,
    /// The operators by name.
    #[serde(default)]
    pub operators: BTreeMap<String, OperatorState>,
    /// The sources by name.
    #[serde(default)]
    pub sources: BTreeMap<String, SourceState>,
    #[serde(flatten)]
    unknown: Map<String, Value>,
}

/// The state of one operator.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OperatorState {
    /// One file a partition, by rising partition.
    pub partitions: Vec<PartitionFile>,
    #[serde(flatten)]
    unknown: Map<String, Value>,
}

/// One partition's snapshot or delta: what saving it gives, and loading it needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PartitionFile {
    /// The partition, from 0.
    pub partition: u32,
    /// Whether it is what changed since the parent checkpoint, and not the whole state.
    pub is_delta: bool,
    /// Where it is, below the prefix of the store.
    pub path: String,
    /// Its bytes.
    pub size: u64,
    /// Their SHA-256.
    pub sha256: Digest,
    #[serde(flatten)]
    unknown: Map<String, Value>,
}

/// Where one source stood. [`SourcePosition`](super::SourcePosition) is the same with the types of its kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SourceState {
    /// What kind of source it is: `jetstream`, `file`, or a kind of your own.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it needs to go on, by name.
    pub offsets: BTreeMap<String, String>,
    #[serde(flatten)]
    unknown: Map<String, Value>,
}

impl Manifest {
    /// The manifest of a checkpoint that is all of its own, without any state so far.
    pub fn new(id: CheckpointId, epoch: Epoch, timestamp_ms: i64) -> Self {
        Self {
            version: MANIFEST_VERSION,
            id,
            epoch,
            timestamp_ms,
            parent_id: None,
            watermark_ms: None,
            total_size: 0,
            operators: BTreeMap::new(),
            sources: BTreeMap::new(),
            unknown: Map::new(),
        }
    }

    /// The same, with deltas that build on this checkpoint.
    #[must_use]
    pub fn parent(mut self, parent: CheckpointId) -> Self {
        self.parent_id = Some(parent);
        self
    }

    /// The same, with event time complete up to here.
    #[must_use]
    pub fn watermark(mut self, watermark_ms: i64) -> Self {
        self.watermark_ms = Some(watermark_ms);
        self
    }

    /// The same, with these files as the state of an operator.
    #[must_use]
    pub fn operator(mut self, name: impl Into<String>, mut partitions: Vec<PartitionFile>) -> Self {
        partitions.sort_by_key(|file| file.partition);
        let operator = OperatorState {
            partitions,
            unknown: Map::new(),
        };
        self.operators.insert(name.into(), operator);
        self.total_size = self.sum();
        self
    }

    /// The same, with a source that stood here.
    #[must_use]
    pub fn source(mut self, name: impl Into<String>, position: impl Into<SourceState>) -> Self {
        self.sources.insert(name.into(), position.into());
        self
    }

    /// The version that it was written in.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Bytes of all its files together.
    pub fn total_size(&self) -> u64 {
        self.total_size
    }

    /// Every file that it names.
    pub fn files(&self) -> impl Iterator<Item = &PartitionFile> {
        self.operators.values().flat_map(|operator| &operator.partitions)
    }

    /// Whether it can be restored without any other checkpoint.
    pub fn is_full(&self) -> bool {
        self.files().all(|file| !file.is_delta)
    }

    /// Reads the manifest of this checkpoint, and checks that it names nothing but what belongs to it.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Newer`] for another version than this Alluvium knows, [`CheckpointError::Abandoned`] for what
    /// a prune left in its place, [`CheckpointError::Corrupt`] for everything else.
    pub fn from_json(id: CheckpointId, json: &[u8]) -> Result<Self, CheckpointError> {
        #[derive(Deserialize)]
        struct Head {
            version: u32,
            checksum: Option<String>,
            #[serde(default)]
            abandoned: bool,
        }
        let corrupt = |source: BoxError| CheckpointError::Corrupt {
            path: manifest_path(id),
            source,
        };
        let head: Head = serde_json::from_slice(json).map_err(|error| corrupt(error.into()))?;
        // First of all: a version that damage has made newer must not be taken for one.
        if head.checksum.is_some_and(|told| !checksum::is_right(json, &told)) {
            return Err(corrupt("its checksum is not that of its bytes".into()));
        }
        if head.version > MANIFEST_VERSION {
            return Err(CheckpointError::Newer {
                path: manifest_path(id),
                found: head.version,
                supported: MANIFEST_VERSION,
            });
        }
        if head.abandoned {
            return Err(CheckpointError::Abandoned { id });
        }
        let mut manifest: Self = serde_json::from_slice(json).map_err(|error| corrupt(error.into()))?;
        // Of that text, and not of what is made of it.
        manifest.unknown.remove(CHECKSUM);
        if manifest.id != id {
            let other = format!("it is the manifest of checkpoint {}", manifest.id);
            return Err(corrupt(other.into()));
        }
        manifest.check().map_err(|error| corrupt(error.into()))?;
        Ok(manifest)
    }

    /// The manifest as it is stored.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Invalid`] for what [`from_json`](Self::from_json) would not take: a file of another
    /// checkpoint, a partition named twice, a delta without a parent, more than [`MAX_MANIFEST_BYTES`].
    pub fn to_json(&self) -> Result<Vec<u8>, CheckpointError> {
        let mut manifest = self.clone();
        manifest.version = MANIFEST_VERSION;
        manifest.total_size = manifest.sum();
        manifest.check()?;
        let json = checksum::to_json(&manifest, Layout::Pretty).map_err(|error| {
            CheckpointError::Invalid(format!("the manifest cannot be written as JSON: {error}"))
        })?;
        if json.len() as u64 > MAX_MANIFEST_BYTES {
            return Err(CheckpointError::Invalid(format!(
                "the manifest would take {} bytes, at most {MAX_MANIFEST_BYTES} are read: checkpoint fewer partitions at once",
                json.len()
            )));
        }
        Ok(json)
    }

    /// What a prune puts in the place of a manifest whose writer it takes for dead, so that it cannot come to be later.
    pub fn abandoned(id: CheckpointId) -> Vec<u8> {
        let mark = serde_json::json!({ "version": MANIFEST_VERSION, "id": id, "abandoned": true });
        mark.to_string().into_bytes()
    }

    fn sum(&self) -> u64 {
        self.files().fold(0, |sum, file| sum.saturating_add(file.size))
    }

    fn check(&self) -> Result<(), CheckpointError> {
        let invalid = |what: String| Err(CheckpointError::Invalid(what));
        if self.parent_id == Some(self.id) {
            return invalid(format!("checkpoint {} is named as its own parent", self.id));
        }
        if self.total_size != self.sum() {
            return invalid(format!(
                "its total size is {}, that of its files {}",
                self.total_size,
                self.sum()
            ));
        }
        for (operator, state) in &self.operators {
            let mut seen = BTreeSet::new();
            for file in &state.partitions {
                let path = partition_path(self.id, operator, file.partition, file.kind())?;
                if file.path != path {
                    return invalid(format!(
                        "partition {} of operator {operator:?} is at {:?}, which has to be {path}",
                        file.partition, file.path
                    ));
                }
                if !seen.insert(file.partition) {
                    return invalid(format!(
                        "partition {} of operator {operator:?} is named twice",
                        file.partition
                    ));
                }
                if file.is_delta && self.parent_id.is_none() {
                    return invalid(format!(
                        "partition {} of operator {operator:?} is a delta, and no parent is named",
                        file.partition
                    ));
                }
            }
        }
        Ok(())
    }
}

impl PartitionFile {
    /// The file of a partition of an operator, as it was saved for this checkpoint.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Invalid`] for a name that no path has room for.
    pub fn new(
        id: CheckpointId,
        operator: &str,
        partition: u32,
        kind: FileKind,
        size: u64,
        sha256: Digest,
    ) -> Result<Self, CheckpointError> {
        Ok(Self {
            partition,
            is_delta: kind == FileKind::Delta,
            path: partition_path(id, operator, partition, kind)?,
            size,
            sha256,
            unknown: Map::new(),
        })
    }

    /// Whether it is the whole state or what changed.
    pub fn kind(&self) -> FileKind {
        if self.is_delta {
            FileKind::Delta
        } else {
            FileKind::Snapshot
        }
    }
}

impl SourceState {
    /// A source of this kind, and what it needs to go on.
    pub fn new(kind: impl Into<String>, offsets: BTreeMap<String, String>) -> Self {
        Self {
            kind: kind.into(),
            offsets,
            unknown: Map::new(),
        }
    }
}

#[cfg(test)]
mod tests;
