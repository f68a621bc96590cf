//! A [`Checkpointer`] on any object store that has create-only and compare-and-swap.
//!
//! # What is stored
//!
//! ```text
//! <prefix>/_latest                 JSON  id and epoch of the newest complete checkpoint; the one object that is replaced
//! <prefix>/<id>/manifest.json      JSON  create-only, written last: its presence means complete
//! <prefix>/<id>/operators/<operator>/partition-<n>.snap | .delta
//! ```
//!
//! **A file** is put create-only, so that nothing that a manifest names can change: where something is there already, it is
//! replaced only after a look that the checkpoint is not complete. What is longer than a part is uploaded in parts, which
//! knows no condition: there the look comes first.
//!
//! **A manifest** is put create-only, after a LIST of each checkpoint of its chain has shown that everything it needs is
//! there with its size. `_latest` is swapped after the same look. So a checkpoint costs one PUT a file, a LIST and a PUT for its
//! manifest, and a GET, a LIST, a GET and a PUT for `_latest`.
//!
//! **What fails** for a reason that may pass is repeated at three layers. The client of the service repeats an HTTP request
//! (`object_store`'s own, 10 times within 3 minutes unless it is configured otherwise). On top of that, here, a request that can
//! be done twice is repeated with exponential backoff, twice at most and only if it did not take all the time it had
//! ([`CheckpointerOptions::request_timeout`], which holds for everything that the client does in between). A conditional put is
//! settled by reading back. Nothing above that repeats anything: a save that fails is for the caller to do again.
//!
//! Deleting and pruning are described in `sweep.rs`.

mod complete;
mod files;
mod latest;
mod options;
mod place;
mod sweep;

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use alluvium_core::checkpoint::{FilePlace, Manifest, PartitionFile, Pruned};
use alluvium_core::{
    ByteStream, CheckpointError, CheckpointId, Checkpointer, Epoch, ErrorKind, RetentionPolicy,
};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::ObjectStore;
use object_store::path::Path;
use uuid::Uuid;

use self::place::Place;
use crate::blob::{BlobOptions, Blobs};
use crate::pointer::Pointer;
use crate::store::Store;

pub use self::options::CheckpointerOptions;

/// Checkpoints on an object store. Any number of processes share what is below one prefix.
///
/// Its methods are to be awaited within a tokio runtime that has time. Dropping one half-way does no harm: what it was doing
/// may be done or not.
///
/// ```
/// use alluvium_core::checkpoint::Manifest;
/// use alluvium_core::{Checkpointer, Epoch};
/// use alluvium_object_store::{CheckpointerOptions, ObjectStoreCheckpointer, StoreOptions, open_store};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (store, prefix) = open_store("memory:", &StoreOptions::default())?;
/// let checkpointer = ObjectStoreCheckpointer::new(store, prefix, CheckpointerOptions::default());
/// let id = checkpointer.begin().await?;
/// let file = checkpointer.save_snapshot(id, "count", 0, "41".into()).await?;
/// checkpointer.save_manifest(&Manifest::new(id, Epoch::FIRST, 0).operator("count", vec![file])).await?;
/// checkpointer.update_latest(id).await?;
///
/// let latest = checkpointer.read_latest().await?.ok_or("no checkpoint")?;
/// let manifest = checkpointer.load_manifest(latest).await?;
/// let file = &manifest.operators["count"].partitions[0];
/// assert_eq!(checkpointer.load(file).await?, "41");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ObjectStoreCheckpointer {
    place: Place,
    blobs: Blobs,
    latest: Pointer,
    options: CheckpointerOptions,
    /// The last name that was given.
    named: Mutex<Option<CheckpointId>>,
}

impl ObjectStoreCheckpointer {
    /// The checkpointer below a prefix. Makes no request.
    pub fn new(store: Arc<dyn ObjectStore>, prefix: Path, options: CheckpointerOptions) -> Self {
        let store = Store::new(store, options.request_timeout);
        let place = Place::new(prefix);
        let limits = BlobOptions {
            part_bytes: options.part_bytes,
            parts_in_flight: options.parts_in_flight,
        };
        Self {
            latest: Pointer::new(store.clone(), place.latest(), latest::MOST_BYTES),
            blobs: Blobs::new(store, limits),
            place,
            options,
            named: Mutex::new(None),
        }
    }

    /// Saves many files of one checkpoint, [`CheckpointerOptions::partitions_in_flight`] at a time, and gives them in the order of
    /// what was given. No more than [`CheckpointerOptions::parts_in_flight`] parts of long ones are on their way together.
    ///
    /// # Errors
    ///
    /// The first error of any; others may be saved by then.
    pub async fn save_partitions_concurrent<'a>(
        &self,
        partitions: impl IntoIterator<Item = (FilePlace<'a>, Bytes), IntoIter: Send> + Send,
    ) -> Result<Vec<PartitionFile>, CheckpointError> {
        let saves = partitions
            .into_iter()
            .map(|(place, bytes)| self.save_bytes(place, bytes));
        let at_a_time = self.options.partitions_in_flight.max(1);
        stream::iter(saves).buffered(at_a_time).try_collect().await
    }
}

#[async_trait]
impl Checkpointer for ObjectStoreCheckpointer {
    async fn begin(&self) -> Result<CheckpointId, CheckpointError> {
        let latest = match self.latest().await {
            Ok(latest) => latest.map(|latest| latest.id),
            // Whatever it named, it is not known, and does not hinder a new one.
            Err(error) if error.kind() == ErrorKind::Corrupt => None,
            Err(error) => return Err(error),
        };
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        // The time, and something random.
        let unique = Uuid::now_v7();
        let mut random = [0; 10];
        random.copy_from_slice(&unique.as_bytes()[6..]);
        let millis = unique.as_u64_pair().0 >> 16;
        let id = CheckpointId::after((*named).max(latest), millis, random);
        *named = Some(id);
        Ok(id)
    }

    async fn save(&self, place: FilePlace<'_>, bytes: Bytes) -> Result<PartitionFile, CheckpointError> {
        self.save_bytes(place, bytes).await
    }

    async fn save_stream(
        &self,
        place: FilePlace<'_>,
        bytes: ByteStream<io::Error>,
    ) -> Result<PartitionFile, CheckpointError> {
        self.save_pieces(place, bytes).await
    }

    async fn save_manifest(&self, manifest: &Manifest) -> Result<(), CheckpointError> {
        self.complete(manifest).await
    }

    async fn load_manifest(&self, id: CheckpointId) -> Result<Manifest, CheckpointError> {
        match self.read_manifest(id).await {
            // To readers it was never there.
            Err(CheckpointError::Abandoned { id }) => Err(CheckpointError::NotFound { id }),
            manifest => manifest,
        }
    }

    async fn load(&self, file: &PartitionFile) -> Result<Bytes, CheckpointError> {
        self.load_bytes(file).await
    }

    async fn load_stream(
        &self,
        file: &PartitionFile,
    ) -> Result<ByteStream<CheckpointError>, CheckpointError> {
        self.checked(file)
    }

    async fn update_latest(&self, id: CheckpointId) -> Result<(), CheckpointError> {
        self.swap_latest(id).await
    }

    async fn read_latest(&self) -> Result<Option<CheckpointId>, CheckpointError> {
        Ok(self.latest().await?.map(|latest| latest.id))
    }

    async fn latest_epoch(&self) -> Result<Option<Epoch>, CheckpointError> {
        Ok(self.latest().await?.map(|latest| latest.epoch))
    }

    async fn list_checkpoints(&self) -> Result<Vec<CheckpointId>, CheckpointError> {
        self.list().await
    }

    async fn delete_checkpoint(&self, id: CheckpointId) -> Result<(), CheckpointError> {
        self.delete(id).await
    }

    async fn prune(&self, policy: RetentionPolicy) -> Result<Pruned, CheckpointError> {
        self.sweep(policy).await
    }
}

#[cfg(test)]
mod tests;
