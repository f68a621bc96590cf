//! What the tests of the suite share: a place that checkpoints are in, the objects of which can be reached, and contents that
//! can be told apart.

use std::collections::BTreeMap;
use std::sync::Arc;

use alluvium_core::checkpoint::{Chain, FileKind, FilePlace, Manifest, PartitionFile};
use alluvium_core::{CheckpointError, CheckpointId, Checkpointer, Epoch};
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt as _};

use crate::support::Directory;
pub(super) use crate::support::block_on;
use crate::{CheckpointerHarness, Random};

/// Below which the checkpoints are.
const PREFIX: &str = "some/where";
/// The operators of the checkpoints that are saved.
pub(super) const OPERATORS: [&str; 2] = ["count", "Join/2"];
/// How many partitions each has.
pub(super) const PARTITIONS: u32 = 2;
/// More bytes than two parts have.
pub(super) const SEVERAL_PARTS: usize = (20 << 20) + 1;

pub(super) type Handle = Arc<dyn Checkpointer>;

/// The state of every operator and partition.
pub(super) type State = BTreeMap<(String, u32), Vec<u8>>;

/// A place that checkpoints are in, gone when the test is over.
pub(super) struct Place<'h> {
    harness: &'h dyn CheckpointerHarness,
    directory: Directory,
}

impl<'h> Place<'h> {
    pub(super) fn new(harness: &'h dyn CheckpointerHarness) -> Self {
        Self {
            harness,
            directory: Directory::new(),
        }
    }

    pub(super) async fn store(&self) -> Arc<dyn ObjectStore> {
        self.harness.open_store(&self.directory.path()).await
    }

    pub(super) async fn open(&self) -> Handle {
        self.open_over(self.store().await).await
    }

    /// Opens it through another store over the same objects.
    pub(super) async fn open_over(&self, store: Arc<dyn ObjectStore>) -> Handle {
        let opened = self.harness.open_checkpointer(store, Key::from(PREFIX)).await;
        opened.unwrap()
    }

    /// Where an object of this path is in the store.
    fn key(path: &str) -> Key {
        // The names in it are encoded already.
        Key::parse(format!("{PREFIX}/{path}")).unwrap()
    }

    /// The paths of all objects below the prefix, sorted.
    pub(super) async fn paths(&self) -> Vec<String> {
        let store = self.store().await;
        let listed: Vec<_> = store.list(None).try_collect().await.unwrap();
        let path = |key: &Key| {
            let path = key.as_ref().strip_prefix(PREFIX);
            let path = path.and_then(|path| path.strip_prefix('/'));
            path.unwrap_or_else(|| panic!("{key} is outside of {PREFIX}"))
                .to_owned()
        };
        let mut paths: Vec<String> = listed.iter().map(|object| path(&object.location)).collect();
        paths.sort();
        paths
    }

    /// The bytes of an object, past the checkpointer.
    pub(super) async fn get(&self, path: &str) -> Bytes {
        let object = self.store().await.get(&Self::key(path)).await.unwrap();
        object.bytes().await.unwrap()
    }

    /// Puts or replaces an object, past the checkpointer.
    pub(super) async fn put(&self, path: &str, bytes: impl Into<Bytes>) {
        let put = bytes.into().into();
        self.store().await.put(&Self::key(path), put).await.unwrap();
    }

    /// Removes an object, past the checkpointer.
    pub(super) async fn remove(&self, path: &str) {
        self.store().await.delete(&Self::key(path)).await.unwrap();
    }
}

/// Runs a test on a new place, with a handle of it.
pub(super) fn with_place(harness: &dyn CheckpointerHarness, test: impl AsyncFnOnce(&Place<'_>, Handle)) {
    let place = Place::new(harness);
    block_on(async {
        let handle = place.open().await;
        test(&place, handle).await;
    });
}

pub(super) fn epoch(number: u64) -> Epoch {
    Epoch::new(number).unwrap()
}

pub(super) fn snapshot(id: CheckpointId, operator: &str, partition: u32) -> FilePlace<'_> {
    FilePlace {
        id,
        operator,
        partition,
        kind: FileKind::Snapshot,
    }
}

/// The only file of an operator in a manifest.
pub(super) fn only_file<'m>(manifest: &'m Manifest, operator: &str) -> &'m PartitionFile {
    &manifest.operators[operator].partitions[0]
}

/// What an operator's partition has at an epoch: no two are the same, and lengths differ.
pub(super) fn content(epoch: u64, operator: &str, partition: u32) -> Bytes {
    let mut random = Random::nth(epoch, partition.into());
    let length = random.index(300);
    let mut bytes = format!("{operator}/{partition}/{epoch};").into_bytes();
    bytes.extend(random.bytes(length));
    bytes.into()
}

/// Saves every file of a checkpoint: deltas if there is a parent, else snapshots. What is given would complete it.
pub(super) async fn draft(
    handle: &Handle,
    number: u64,
    parent: Option<CheckpointId>,
) -> Result<Manifest, CheckpointError> {
    let id = handle.begin().await?;
    let mut manifest = Manifest::new(id, epoch(number), 1_700_000_000_000);
    manifest.parent_id = parent;
    for operator in OPERATORS {
        let mut files = Vec::new();
        for partition in 0..PARTITIONS {
            let mut place = snapshot(id, operator, partition);
            if parent.is_some() {
                place.kind = FileKind::Delta;
            }
            files.push(handle.save(place, content(number, operator, partition)).await?);
        }
        manifest = manifest.operator(operator, files);
    }
    Ok(manifest)
}

/// Saves a checkpoint, and does not announce it.
pub(super) async fn save(handle: &Handle, number: u64, parent: Option<CheckpointId>) -> CheckpointId {
    let manifest = draft(handle, number, parent).await.unwrap();
    handle.save_manifest(&manifest).await.unwrap();
    manifest.id
}

/// Saves a checkpoint, and makes it the one to start from.
pub(super) async fn announce(handle: &Handle, number: u64, parent: Option<CheckpointId>) -> CheckpointId {
    let id = save(handle, number, parent).await;
    handle.update_latest(id).await.unwrap();
    id
}

/// Loads what a checkpoint restores. For the tests a delta is what is to be appended.
pub(super) async fn restore(handle: &Handle, id: CheckpointId) -> Result<State, CheckpointError> {
    let manifest = handle.load_manifest(id).await?;
    let mut chain = Chain::new(&manifest);
    while let Some(parent) = chain.needs() {
        chain.add(&handle.load_manifest(parent).await?)?;
    }
    let mut state = State::new();
    for (operator, partitions) in &manifest.operators {
        for partition in partitions.partitions.iter().map(|file| file.partition) {
            let mut bytes = Vec::new();
            for file in chain.files(operator, partition) {
                bytes.extend(handle.load(file).await?);
            }
            state.insert((operator.clone(), partition), bytes);
        }
    }
    Ok(state)
}

/// What checkpoints of these epochs restore, of which each builds on the one before.
pub(super) fn state_of(epochs: &[u64]) -> State {
    let mut state = State::new();
    for (operator, partition) in OPERATORS
        .iter()
        .flat_map(|operator| (0..PARTITIONS).map(move |at| (operator, at)))
    {
        let contents = epochs.iter().map(|number| content(*number, operator, partition));
        let place = ((*operator).to_owned(), partition);
        state.insert(place, contents.flatten().collect());
    }
    state
}

/// Asserts that a checkpoint restores what those of these epochs hold together.
pub(super) async fn assert_restores(handle: &Handle, id: CheckpointId, epochs: &[u64]) {
    let restored = restore(handle, id).await.unwrap();
    assert!(
        restored == state_of(epochs),
        "checkpoint {id} restores something else than epochs {epochs:?} hold"
    );
}
