//! A checkpointer in memory that is sound, but for one sin if it is told to.

use std::io;
use std::path::Path as FsPath;
use std::sync::Arc;
use std::time::Duration;

use alluvium_conformance::CheckpointerHarness;
use alluvium_core::checkpoint::{
    ByteStream, FilePlace, LATEST, Manifest, PartitionFile, Pruned, manifest_path,
};
use alluvium_core::{CheckpointError, CheckpointId, Checkpointer, Epoch, ErrorKind, RetentionPolicy};
use alluvium_object_store::{CheckpointerOptions, ObjectStoreCheckpointer};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};

use crate::memory_at;

/// What a checkpointer can do wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sin {
    None,
    /// `_latest` is replaced, whatever it names.
    LastAnnouncedWins,
    /// What is loaded is not compared with anything.
    NothingIsChecked,
    /// A store that does not answer has no `_latest` and no checkpoints.
    FaultMeansNone,
    /// What failed is a fault that passes, whatever it was.
    EverythingPasses,
    /// What is to be deleted is.
    DeletesWhatIsNeeded,
    /// A manifest is put, over one that is there and before what it names.
    PutsManifests,
    /// A directory is a checkpoint.
    ListsWhatIsBegun,
    /// Operators of which the names differ by case are one.
    FoldsCase,
    /// The grace period is over.
    NoGrace,
    /// What is old goes, needed or not.
    PrunesByAge,
    /// What was never completed goes, and can be completed later.
    LeavesNoMark,
    /// Names come from the clock.
    NamesByClock,
    /// A stream that fails is saved as far as it came.
    SavesHalfStreams,
}

/// The harness of such checkpointers: a store for each place.
pub(super) struct Sinful(pub(super) Sin);

impl Default for Sinful {
    fn default() -> Self {
        Self(Sin::None)
    }
}

#[async_trait]
impl CheckpointerHarness for Sinful {
    async fn open_store(&self, dir: &FsPath) -> Arc<dyn ObjectStore> {
        memory_at(dir)
    }

    async fn open_checkpointer(
        &self,
        store: Arc<dyn ObjectStore>,
        prefix: Path,
    ) -> Result<Arc<dyn Checkpointer>, CheckpointError> {
        let options = CheckpointerOptions::default();
        Ok(Arc::new(Sinner {
            sound: ObjectStoreCheckpointer::new(Arc::clone(&store), prefix.clone(), options),
            store,
            prefix,
            sin: self.0,
        }))
    }
}

struct Sinner {
    sound: ObjectStoreCheckpointer,
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    sin: Sin,
}

impl Sinner {
    fn key(&self, path: &str) -> Path {
        Path::parse(format!("{}/{path}", self.prefix)).unwrap()
    }

    async fn put(&self, path: &str, bytes: Vec<u8>) {
        self.store.put(&self.key(path), bytes.into()).await.unwrap();
    }

    /// Removes everything of a checkpoint.
    async fn remove(&self, id: CheckpointId) {
        let listed: Vec<_> = self
            .store
            .list(Some(&self.key(&id.to_string())))
            .try_collect()
            .await
            .unwrap();
        for object in listed {
            self.store.delete(&object.location).await.unwrap();
        }
    }

    /// Every checkpoint of which anything is there.
    async fn begun(&self) -> Vec<CheckpointId> {
        let listed = self.store.list_with_delimiter(Some(&self.prefix)).await.unwrap();
        let names = listed.common_prefixes.into_iter();
        let ids = names.filter_map(|path| path.filename()?.parse().ok());
        ids.collect()
    }

    /// What is told of what came of a call.
    fn told<T>(&self, outcome: Result<T, CheckpointError>, none: T) -> Result<T, CheckpointError> {
        match (self.sin, outcome) {
            (Sin::FaultMeansNone, Err(CheckpointError::Storage { .. })) => Ok(none),
            (
                Sin::EverythingPasses,
                Err(CheckpointError::Storage {
                    doing,
                    location,
                    source,
                    ..
                }),
            ) => Err(CheckpointError::Storage {
                doing,
                location,
                kind: ErrorKind::Transient,
                source,
            }),
            (_, outcome) => outcome,
        }
    }
}

#[async_trait]
impl Checkpointer for Sinner {
    async fn begin(&self) -> Result<CheckpointId, CheckpointError> {
        let id = self.sound.begin().await?;
        if self.sin != Sin::NamesByClock {
            return Ok(id);
        }
        let elsewhere = ObjectStoreCheckpointer::new(
            Arc::new(InMemory::new()),
            Path::default(),
            CheckpointerOptions::default(),
        );
        elsewhere.begin().await
    }

    async fn save(&self, place: FilePlace<'_>, bytes: Bytes) -> Result<PartitionFile, CheckpointError> {
        let folded = place.operator.to_lowercase();
        if self.sin != Sin::FoldsCase || folded == place.operator {
            return self.sound.save(place, bytes).await;
        }
        let operator = &folded;
        let saved = self.sound.save(FilePlace { operator, ..place }, bytes).await?;
        let own = PartitionFile::new(
            place.id,
            place.operator,
            place.partition,
            place.kind,
            saved.size,
            saved.sha256,
        )?;
        // It can be found where it should be, and is not its own.
        self.store
            .copy(&self.key(&saved.path), &self.key(&own.path))
            .await
            .unwrap();
        Ok(own)
    }

    async fn save_stream(
        &self,
        place: FilePlace<'_>,
        bytes: ByteStream<io::Error>,
    ) -> Result<PartitionFile, CheckpointError> {
        if self.sin != Sin::SavesHalfStreams {
            return self.sound.save_stream(place, bytes).await;
        }
        let pieces: Vec<_> = bytes.collect().await;
        let failed = pieces.iter().any(Result::is_err);
        let came = pieces.into_iter().map_while(Result::ok).map(Ok);
        let came = stream::iter(came.collect::<Vec<_>>()).boxed();
        let saved = self.sound.save_stream(place, came).await;
        if failed {
            return Err(CheckpointError::Storage {
                doing: "save",
                location: place.operator.to_owned(),
                kind: ErrorKind::Unavailable,
                source: "the partition cannot be read".into(),
            });
        }
        saved
    }

    async fn save_manifest(&self, manifest: &Manifest) -> Result<(), CheckpointError> {
        if self.sin != Sin::PutsManifests {
            return self.sound.save_manifest(manifest).await;
        }
        self.put(&manifest_path(manifest.id), manifest.to_json()?).await;
        Ok(())
    }

    async fn load_manifest(&self, id: CheckpointId) -> Result<Manifest, CheckpointError> {
        self.sound.load_manifest(id).await
    }

    async fn load(&self, file: &PartitionFile) -> Result<Bytes, CheckpointError> {
        if self.sin != Sin::NothingIsChecked {
            return self.sound.load(file).await;
        }
        match self.store.get(&self.key(&file.path)).await {
            Ok(found) => Ok(found.bytes().await.unwrap()),
            Err(_) => Ok(Bytes::new()),
        }
    }

    async fn load_stream(
        &self,
        file: &PartitionFile,
    ) -> Result<ByteStream<CheckpointError>, CheckpointError> {
        self.sound.load_stream(file).await
    }

    async fn update_latest(&self, id: CheckpointId) -> Result<(), CheckpointError> {
        if self.sin != Sin::LastAnnouncedWins {
            return self.sound.update_latest(id).await;
        }
        let epoch = match self.sound.load_manifest(id).await {
            Ok(manifest) => manifest.epoch,
            Err(_) => Epoch::FIRST,
        };
        let latest = format!(r#"{{"id":"{id}","epoch":{epoch}}}"#);
        self.put(LATEST, latest.into_bytes()).await;
        Ok(())
    }

    async fn read_latest(&self) -> Result<Option<CheckpointId>, CheckpointError> {
        self.told(self.sound.read_latest().await, None)
    }

    async fn latest_epoch(&self) -> Result<Option<Epoch>, CheckpointError> {
        self.sound.latest_epoch().await
    }

    async fn list_checkpoints(&self) -> Result<Vec<CheckpointId>, CheckpointError> {
        if self.sin == Sin::ListsWhatIsBegun {
            return Ok(self.begun().await);
        }
        self.told(self.sound.list_checkpoints().await, Vec::new())
    }

    async fn delete_checkpoint(&self, id: CheckpointId) -> Result<(), CheckpointError> {
        if self.sin != Sin::DeletesWhatIsNeeded {
            return self.sound.delete_checkpoint(id).await;
        }
        self.remove(id).await;
        Ok(())
    }

    async fn prune(&self, retention: RetentionPolicy) -> Result<Pruned, CheckpointError> {
        match self.sin {
            Sin::NoGrace => self.sound.prune(retention.grace(Duration::ZERO)).await,
            Sin::PrunesByAge | Sin::LeavesNoMark => {
                let listed = self.sound.list_checkpoints().await?;
                let asked = self.sound.prune(retention.dry_run(true)).await?;
                let by_age = listed.iter().rev().skip(retention.keep.get() as usize);
                let removed: Vec<CheckpointId> = match self.sin {
                    Sin::PrunesByAge => by_age.copied().collect(),
                    _ => asked.abandoned.clone(),
                };
                for id in removed.iter().filter(|_| !retention.dry_run) {
                    self.remove(*id).await;
                }
                Ok(asked)
            }
            _ => self.sound.prune(retention).await,
        }
    }
}
