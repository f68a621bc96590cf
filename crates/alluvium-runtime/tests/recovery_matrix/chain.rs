//! A chain of checkpoints in memory, and the oracle: which of them are whole when these objects are damaged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use alluvium_conformance::Random;
use alluvium_core::checkpoint::{Manifest, PartitionFile, manifest_path};
use alluvium_core::{CheckpointId, Checkpointer as _, Epoch};
use alluvium_object_store::{CheckpointerOptions, ObjectStoreCheckpointer};
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};

use crate::program::{Changes, OPERATORS, Partition, SOURCE, Source, apply};

/// What a chain is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) partitions: usize,
    /// Beside the full one at the beginning.
    pub(crate) deltas: u64,
    /// How many in a hundred of the later files are snapshots all the same: partitions have chains of their own.
    pub(crate) snapshots_percent: u64,
}

/// One of the checkpoints.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) id: CheckpointId,
    pub(crate) epoch: Epoch,
    pub(crate) state: Vec<Vec<Partition>>,
    /// Every object that it takes to restore it.
    pub(crate) needs: BTreeSet<String>,
}

/// A chain of checkpoints, the newest of which is the latest.
#[derive(Debug)]
pub(crate) struct ChainOf {
    pub(crate) shape: Shape,
    pub(crate) store: InMemory,
    /// Oldest first.
    pub(crate) taken: Vec<Taken>,
}

pub(crate) fn checkpointer(store: Arc<dyn ObjectStore>) -> ObjectStoreCheckpointer {
    ObjectStoreCheckpointer::new(store, Path::default(), CheckpointerOptions::default())
}

impl ChainOf {
    pub(crate) async fn new(shape: Shape) -> Self {
        let store = Arc::new(InMemory::new());
        let checkpointer = checkpointer(store.clone());
        let mut random = Random::new(4);
        let mut state = vec![vec![Partition::new(); shape.partitions]; OPERATORS.len()];
        let mut chains: BTreeMap<(usize, usize), Vec<(u64, String)>> = BTreeMap::new();
        let mut taken: Vec<Taken> = Vec::new();
        for round in 0..=shape.deltas {
            let id = checkpointer.begin().await.unwrap();
            // Not one by one: nothing may depend on it.
            let epoch = Epoch::new(10 + round * 3).unwrap();
            let mut manifest = Manifest::new(id, epoch, 0)
                .watermark(watermark(round))
                .source(SOURCE, Source::position(round * 100));
            if let Some(parent) = taken.last() {
                manifest = manifest.parent(parent.id);
            }
            for (operator, name) in OPERATORS.into_iter().enumerate() {
                let mut files = Vec::new();
                for (partition, content) in state[operator].iter_mut().enumerate() {
                    let changes = changes(&mut random, content, round == 0);
                    apply(content, &changes);
                    let full = round == 0 || random.percent(shape.snapshots_percent);
                    let file = save(
                        &checkpointer,
                        id,
                        name,
                        partition,
                        full.then_some(&*content),
                        &changes,
                    );
                    let file = file.await;
                    let chain = chains.entry((operator, partition)).or_default();
                    if full {
                        chain.clear();
                    }
                    chain.push((round, file.path.clone()));
                    files.push(file);
                }
                manifest = manifest.operator(name, files);
            }
            checkpointer.save_manifest(&manifest).await.unwrap();
            checkpointer.update_latest(id).await.unwrap();
            let files = chains.values().flatten();
            let oldest = files.clone().map(|(round, _)| *round).min().unwrap();
            let ids = taken.iter().map(|taken| taken.id).chain([id]);
            let manifests = ids.skip(usize::try_from(oldest).unwrap()).map(manifest_path);
            taken.push(Taken {
                id,
                epoch,
                state: state.clone(),
                needs: files.map(|(_, path)| path.clone()).chain(manifests).collect(),
            });
        }
        drop(checkpointer);
        let store = Arc::into_inner(store).expect("nobody else has it");
        Self { shape, store, taken }
    }

    /// Every object, with what it holds.
    pub(crate) async fn objects(&self) -> BTreeMap<String, Bytes> {
        let listed: Vec<_> = self.store.list(None).try_collect().await.unwrap();
        let mut objects = BTreeMap::new();
        for object in listed {
            let content = self.store.get(&object.location).await.unwrap();
            objects.insert(object.location.to_string(), content.bytes().await.unwrap());
        }
        objects
    }

    /// The number of the newest checkpoint that is whole when these objects are damaged.
    pub(crate) fn newest_whole(&self, damaged: &BTreeSet<String>) -> Option<usize> {
        self.taken
            .iter()
            .rposition(|taken| taken.needs.is_disjoint(damaged))
    }
}

pub(crate) fn watermark(round: u64) -> i64 {
    1_700_000_000_000 + i64::try_from(round).unwrap()
}

async fn save(
    checkpointer: &ObjectStoreCheckpointer,
    id: CheckpointId,
    operator: &str,
    partition: usize,
    full: Option<&Partition>,
    changes: &Changes,
) -> PartitionFile {
    let partition = u32::try_from(partition).unwrap();
    let saved = if let Some(content) = full {
        let bytes = serde_json::to_vec(content).unwrap();
        checkpointer.save_snapshot(id, operator, partition, bytes.into())
    } else if changes.is_empty() {
        checkpointer.save_delta(id, operator, partition, Bytes::new())
    } else {
        let bytes = serde_json::to_vec(changes).unwrap();
        checkpointer.save_delta(id, operator, partition, bytes.into())
    };
    saved.await.unwrap()
}

/// Some puts, some removals; now and then nothing.
fn changes(random: &mut Random, content: &Partition, first: bool) -> Changes {
    if !first && random.percent(20) {
        return Changes::new();
    }
    let puts =
        (0..4 + random.below(4)).map(|_| (format!("key {:02}", random.below(40)), Some(random.number())));
    let mut changes: Changes = puts.collect();
    if let Some(key) = content.keys().nth(random.index(content.len().max(1))) {
        changes.insert(key.clone(), None);
    }
    changes
}
