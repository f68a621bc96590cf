//! Checkpoints: a manifest and the snapshots and deltas that it names, in any store.

mod chain;
mod error;
mod id;
mod manifest;
mod paths;
mod position;
mod recovery;
mod retention;

use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::Stream;

use crate::{Epoch, RetentionPolicy};

pub use chain::{Chain, ChainSizes};
pub use error::CheckpointError;
pub use id::CheckpointId;
pub use manifest::{
    MANIFEST_VERSION, MAX_MANIFEST_BYTES, Manifest, OperatorState, PartitionFile, SourceState,
};
pub use paths::{FileKind, LATEST, MANIFEST, manifest_path, partition_path};
pub use position::SourcePosition;
pub use recovery::{
    Candidates, Latest, Mismatch, Next, OperatorShape, after_failure, candidates, mismatches,
};
pub use retention::{dependents, retained};

/// The bytes of a file, piece by piece. After an error nothing more comes.
pub type ByteStream<E> = Pin<Box<dyn Stream<Item = Result<Bytes, E>> + Send>>;

/// Which partition's file is saved, and for which checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilePlace<'a> {
    /// The checkpoint.
    pub id: CheckpointId,
    /// The operator's name; see [`partition_path`] for what it may be.
    pub operator: &'a str,
    /// The partition, from 0.
    pub partition: u32,
    /// Whether it is the whole state or what changed since the parent checkpoint.
    pub kind: FileKind,
}

/// What came of a prune.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pruned {
    /// The complete checkpoints that were removed, oldest first.
    pub checkpoints: Vec<CheckpointId>,
    /// The checkpoints that were never completed, and of which what there was has been removed.
    pub abandoned: Vec<CheckpointId>,
    /// How many objects were removed in all.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Storage of checkpoints: what stateful operators and their sources start from again.
///
/// A checkpoint is taken like this: [`begin`](Checkpointer::begin) names it; every partition's snapshot or delta is
/// saved, in any order, by any process; the manifest is [saved](Checkpointer::save_manifest) last, which completes it; then
/// [`update_latest`](Checkpointer::update_latest) makes it the one to start from. What is killed before the manifest is
/// there has left garbage, which [`prune`](Checkpointer::prune) removes, and nothing else.
///
/// Obligations:
///
/// 1. **`_latest` never moves back.** It is swapped by the epoch, whoever swaps it, and never names a checkpoint whose
///    manifest, or anything that it names, was missing.
/// 2. **Every byte is checked** against its digest while it is loaded: [`CheckpointError::IntegrityMismatch`], or
///    [`CheckpointError::Corrupt`] for another length.
/// 3. **Transient faults are retried** with exponential backoff up to a bound, permanent ones surface at once, and
///    neither is ever taken for "there is none".
/// 4. **What another checkpoint needs is not deleted**: [`CheckpointError::InUse`].
/// 5. **Complete or nothing.** A checkpoint is there once its manifest is, and that is written once: a reader never sees
///    half of one.
/// 6. **Names stay inside.** No operator's name and nothing in a manifest leads out of the directory of its checkpoint, and no
///    two names share a path.
/// 7. **Pruning is safe** beside writers and readers within the grace period, and a writer that was taken for dead is
///    told so when it comes back: [`CheckpointError::Abandoned`].
#[async_trait]
pub trait Checkpointer: Send + Sync + 'static {
    /// A name for a new checkpoint. It sorts after `_latest` and after every name that this handle has given, even if the
    /// clock went back. Nothing is stored.
    ///
    /// # Errors
    ///
    /// Storage errors.
    async fn begin(&self) -> Result<CheckpointId, CheckpointError>;

    /// Saves one file of a checkpoint. Durable when it returns, and not part of anything until a manifest names what was
    /// returned. Saving it again replaces it, as long as the checkpoint is not complete.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Invalid`] for a name that no path has room for; storage errors: it may be saved again.
    async fn save(&self, place: FilePlace<'_>, bytes: Bytes) -> Result<PartitionFile, CheckpointError>;

    /// [`save`](Checkpointer::save) of a stream of any length, in bounded memory. Not retried as a whole: a stream
    /// comes only once.
    ///
    /// # Errors
    ///
    /// As [`save`](Checkpointer::save). An error of the stream itself is [`CheckpointError::Storage`] with that source; nothing
    /// is left of what was uploaded.
    async fn save_stream(
        &self,
        place: FilePlace<'_>,
        bytes: ByteStream<std::io::Error>,
    ) -> Result<PartitionFile, CheckpointError>;

    /// Saves the whole state of a partition.
    ///
    /// # Errors
    ///
    /// As [`save`](Checkpointer::save).
    async fn save_snapshot(
        &self,
        id: CheckpointId,
        operator: &str,
        partition: u32,
        bytes: Bytes,
    ) -> Result<PartitionFile, CheckpointError> {
        let place = FilePlace {
            id,
            operator,
            partition,
            kind: FileKind::Snapshot,
        };
        self.save(place, bytes).await
    }

    /// Saves what changed in a partition since the parent checkpoint. It may be empty: then nothing changed.
    ///
    /// # Errors
    ///
    /// As [`save`](Checkpointer::save).
    async fn save_delta(
        &self,
        id: CheckpointId,
        operator: &str,
        partition: u32,
        bytes: Bytes,
    ) -> Result<PartitionFile, CheckpointError> {
        let place = FilePlace {
            id,
            operator,
            partition,
            kind: FileKind::Delta,
        };
        self.save(place, bytes).await
    }

    /// Completes a checkpoint. Durable, and visible to every reader, when it returns. The same manifest again is
    /// accepted.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Invalid`] for a manifest that could not be read back, or if the checkpoint is complete with
    /// another one; [`CheckpointError::Missing`] if something that it names is not there, the chain below it included;
    /// [`CheckpointError::Abandoned`] if a prune gave it up; storage errors: it may be complete or not, ask again.
    async fn save_manifest(&self, manifest: &Manifest) -> Result<(), CheckpointError>;

    /// The manifest of a complete checkpoint.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::NotFound`]; [`CheckpointError::Corrupt`] and [`CheckpointError::Newer`] for what is there and
    /// cannot be read; storage errors.
    async fn load_manifest(&self, id: CheckpointId) -> Result<Manifest, CheckpointError>;

    /// The bytes of a file that a manifest names, checked.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Missing`], [`CheckpointError::IntegrityMismatch`], [`CheckpointError::Corrupt`] for another
    /// length; storage errors.
    async fn load(&self, file: &PartitionFile) -> Result<Bytes, CheckpointError>;

    /// The bytes of a file that a manifest names, in bounded memory whatever its size. They are checked at the end: what
    /// came counts only if the stream ended without an error.
    ///
    /// # Errors
    ///
    /// As [`load`](Checkpointer::load), as the last item of the stream at the latest.
    async fn load_stream(&self, file: &PartitionFile)
    -> Result<ByteStream<CheckpointError>, CheckpointError>;

    /// Makes a complete checkpoint the one to start from. Durable when it returns; to do it again changes nothing.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::NotFound`] if it is not complete, [`CheckpointError::Missing`] if something that it needs is gone,
    /// [`CheckpointError::Stale`] if `_latest` names one of this epoch or a later one; storage errors: it may be done or
    /// not, ask again.
    async fn update_latest(&self, id: CheckpointId) -> Result<(), CheckpointError>;

    /// The checkpoint that `_latest` names; `None` if there is no `_latest`. It may be gone: see [`candidates`].
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Corrupt`] if it holds something else; storage errors.
    async fn read_latest(&self) -> Result<Option<CheckpointId>, CheckpointError>;

    /// The epoch that `_latest` is at; `None` if there is no `_latest`. A checkpoint of this epoch or an older one would be
    /// [`Stale`](CheckpointError::Stale).
    ///
    /// Provided, it is that of the manifest. A checkpointer that has the epoch in `_latest` gives it from there: then it is
    /// known even where the checkpoint is gone.
    ///
    /// # Errors
    ///
    /// As [`read_latest`](Checkpointer::read_latest) and [`load_manifest`](Checkpointer::load_manifest).
    async fn latest_epoch(&self) -> Result<Option<Epoch>, CheckpointError> {
        match self.read_latest().await? {
            None => Ok(None),
            Some(id) => Ok(Some(self.load_manifest(id).await?.epoch)),
        }
    }

    /// Every complete checkpoint, oldest first. What cannot be read counts too: it is there.
    ///
    /// # Errors
    ///
    /// Storage errors.
    async fn list_checkpoints(&self) -> Result<Vec<CheckpointId>, CheckpointError>;

    /// Deletes a checkpoint, its manifest first, without a grace period. One that is not there is deleted.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::InUse`] if `_latest` names it or an older one, or if another checkpoint needs it;
    /// [`CheckpointError::PruneIncomplete`]; storage errors.
    async fn delete_checkpoint(&self, id: CheckpointId) -> Result<(), CheckpointError>;

    /// Removes what [`RetentionPolicy`] does not keep: complete checkpoints that nobody needs, and what was left of those that were
    /// never completed. A [dry run](RetentionPolicy::dry_run) tells what that is, and leaves everything.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::PruneIncomplete`] if something could not be removed: everything else was. Storage errors.
    async fn prune(&self, retention: RetentionPolicy) -> Result<Pruned, CheckpointError>;
}

const _: fn(&dyn Checkpointer) = |_| (); // object-safe
