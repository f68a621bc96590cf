//! A store in memory with checkpoints in it.

use std::sync::Arc;

use alluvium_core::checkpoint::{FileKind, FilePlace, Manifest, SourcePosition, SourceState};
use alluvium_core::{CheckpointId, Checkpointer as _, Epoch};
use alluvium_object_store::{CheckpointerOptions, ObjectStoreCheckpointer};
use alluvium_runtime::Recovery;
use bytes::Bytes;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};

use crate::parts::{Calls, Operator, Source};

/// A store and what writes into it.
pub(crate) struct Place {
    pub(crate) store: Arc<InMemory>,
    pub(crate) checkpointer: Arc<ObjectStoreCheckpointer>,
    pub(crate) calls: Calls,
}

/// The files of an operator's partitions.
pub(crate) type Files = Vec<(FileKind, Bytes)>;

pub(crate) fn snapshot(content: &str) -> (FileKind, Bytes) {
    (FileKind::Snapshot, content.to_owned().into())
}

pub(crate) fn delta(content: &str) -> (FileKind, Bytes) {
    (FileKind::Delta, content.to_owned().into())
}

pub(crate) fn file(offset: u64) -> SourcePosition {
    SourcePosition::File {
        path: "orders.log".to_owned(),
        offset,
    }
}

impl Place {
    pub(crate) fn new() -> Self {
        let store = Arc::new(InMemory::new());
        Self {
            checkpointer: checkpointer(store.clone()),
            store,
            calls: Calls::default(),
        }
    }

    pub(crate) fn recovery(&self) -> Recovery {
        Recovery::new(self.checkpointer.clone())
    }

    pub(crate) fn operator(&self, name: &'static str, partitions: u32) -> Operator {
        Operator::new(name, partitions, &self.calls)
    }

    pub(crate) fn source(&self, name: &'static str) -> Source {
        Source::new(name, &self.calls)
    }

    /// The newest checkpoint from now on.
    pub(crate) async fn save(
        &self,
        epoch: u64,
        parent: Option<CheckpointId>,
        operators: &[(&str, Files)],
        sources: &[(&str, SourceState)],
    ) -> CheckpointId {
        let id = self.checkpointer.begin().await.unwrap();
        let mut manifest = Manifest::new(id, Epoch::new(epoch).unwrap(), 0);
        manifest.parent_id = parent;
        for (operator, files) in operators {
            let mut saved = Vec::new();
            for (partition, (kind, bytes)) in (0..).zip(files) {
                let place = FilePlace {
                    id,
                    operator,
                    partition,
                    kind: *kind,
                };
                saved.push(self.checkpointer.save(place, bytes.clone()).await.unwrap());
            }
            manifest = manifest.operator(*operator, saved);
        }
        for (source, position) in sources {
            manifest = manifest.source(*source, position.clone());
        }
        self.checkpointer.save_manifest(&manifest).await.unwrap();
        self.checkpointer.update_latest(id).await.unwrap();
        id
    }

    /// A checkpoint of the operator `op` with one partition.
    pub(crate) async fn save_op(&self, epoch: u64, content: &str) -> CheckpointId {
        self.save(epoch, None, &[("op", vec![snapshot(content)])], &[])
            .await
    }

    /// Turns over the last byte of an object.
    pub(crate) async fn damage(&self, path: &str) {
        let path = Path::parse(path).unwrap();
        let mut bytes = self
            .store
            .get(&path)
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap()
            .to_vec();
        *bytes.last_mut().unwrap() ^= 0x80;
        self.store.put(&path, bytes.into()).await.unwrap();
    }

    pub(crate) async fn damage_op(&self, id: CheckpointId) {
        self.damage(&format!("{id}/operators/op/partition-0.snap")).await;
    }
}

pub(crate) fn checkpointer(store: Arc<dyn ObjectStore>) -> Arc<ObjectStoreCheckpointer> {
    let options = CheckpointerOptions::default();
    Arc::new(ObjectStoreCheckpointer::new(store, Path::default(), options))
}
