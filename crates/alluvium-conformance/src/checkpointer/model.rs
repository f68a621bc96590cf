//! Random operations, crashes among them, held against what they leave in plain maps.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use alluvium_core::checkpoint::{Candidates, FileKind, FilePlace, Latest, Manifest, candidates};
use alluvium_core::{CheckpointError, CheckpointId, RetentionPolicy};
use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_oneof};

use super::place::{Handle, Place, State, block_on, epoch, restore};
use crate::support::{cut_off, length, property};
use crate::{CheckpointerHarness, Fault, FaultyStore};

/// How many partitions the operator of the model has.
const PARTITIONS: u32 = 3;
const OPERATOR: &str = "op";

/// Of each partition whether it is a delta.
type Deltas = [bool; PARTITIONS as usize];

/// What is done to the checkpoints.
#[derive(Clone, Debug)]
enum Operation {
    /// A checkpoint is taken, with these deltas if there is something to build on, and announced or not.
    Take { deltas: Deltas, announced: bool },
    /// The same, but its process dies before this call to the store.
    Crash { deltas: Deltas, call: u64 },
    /// One of those that there are is announced.
    Announce(usize),
    /// One of those that there are is deleted.
    Delete(usize),
    /// So many are kept.
    Prune(u32),
    /// Somebody else goes on, who knows nothing.
    Reopen,
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let operation = prop_oneof![
        6 => (any::<Deltas>(), any::<bool>())
            .prop_map(|(deltas, quiet)| Operation::Take { deltas, announced: !quiet }),
        2 => (any::<Deltas>(), 1..12_u64)
            .prop_map(|(deltas, call)| Operation::Crash { deltas, call }),
        1 => any::<usize>().prop_map(Operation::Announce),
        2 => any::<usize>().prop_map(Operation::Delete),
        1 => (1..4_u32).prop_map(Operation::Prune),
        1 => proptest::strategy::Just(Operation::Reopen),
    ];
    vec(operation, 1..30)
}

/// What a checkpoint of the model is.
#[derive(Clone, Debug)]
struct Taken {
    epoch: u64,
    parent: Option<CheckpointId>,
    deltas: Deltas,
    /// What it restores.
    state: State,
}

/// What there should be.
#[derive(Debug, Default)]
struct Model {
    complete: BTreeMap<CheckpointId, Taken>,
    latest: Option<(CheckpointId, u64)>,
    epoch: u64,
}

impl Model {
    /// The checkpoints that this one builds on.
    fn needs(&self, id: CheckpointId) -> BTreeSet<CheckpointId> {
        let mut needed = BTreeSet::new();
        for partition in 0..PARTITIONS as usize {
            let mut at = id;
            while self.complete[&at].deltas[partition] {
                at = self.complete[&at].parent.unwrap();
                needed.insert(at);
            }
        }
        needed
    }

    fn is_needed(&self, id: CheckpointId) -> bool {
        let mut others = self.complete.keys().filter(|other| **other != id);
        others.any(|other| self.needs(*other).contains(&id))
    }

    /// The newest of all where none was announced.
    fn newest(&self) -> Option<CheckpointId> {
        let last = self.complete.keys().next_back().copied();
        self.latest.map(|(id, _)| id).or(last)
    }

    fn prune(&mut self, keep: usize) {
        let Some(newest) = self.newest() else { return };
        let counted = self.complete.keys().rev().filter(|id| **id <= newest).take(keep);
        let newer = self.complete.keys().rev().filter(|id| **id > newest).take(keep);
        let mut kept: BTreeSet<CheckpointId> = counted.chain(newer).copied().collect();
        // What is kept because another needs it can be restored itself, too.
        let mut asked: Vec<CheckpointId> = kept.iter().copied().collect();
        while let Some(id) = asked.pop() {
            asked.extend(self.needs(id).into_iter().filter(|needed| kept.insert(*needed)));
        }
        self.complete.retain(|id, _| kept.contains(id));
    }

    fn nth(&self, index: usize) -> Option<CheckpointId> {
        let at = index.checked_rem(self.complete.len())?;
        self.complete.keys().nth(at).copied()
    }
}

/// Whatever is done in whichever order, and wherever it ends, there is what should be, after every step.
pub fn o1_o4_o5_o7_random_operations_leave_what_they_leave_in_a_map(harness: &dyn CheckpointerHarness) {
    property(length(40, 400), &operations(), |operations| {
        let place = Place::new(harness);
        block_on(run(&place, &operations));
    });
}

async fn run(place: &Place<'_>, operations: &[Operation]) {
    let mut model = Model::default();
    let mut handle = place.open().await;
    for operation in operations {
        match operation {
            Operation::Take { deltas, announced } => {
                let (id, taken) = plan(&handle, &mut model, *deltas).await;
                save(&handle, id, &taken).await.unwrap();
                model.complete.insert(id, taken);
                if *announced {
                    announce(&handle, &mut model, id).await;
                }
            }
            Operation::Crash { deltas, call } => {
                let (id, taken) = plan(&handle, &mut model, *deltas).await;
                let dying = FaultyStore::failing(place.store().await, *call, Fault::TimeOut);
                let over = place.open_over(Arc::new(dying.clone())).await;
                if let Some(saved) = cut_off(&dying, *call, save(&over, id, &taken)).await {
                    saved.unwrap();
                    model.complete.insert(id, taken);
                }
                handle = place.open().await;
            }
            Operation::Announce(index) => {
                if let Some(id) = model.nth(*index) {
                    announce(&handle, &mut model, id).await;
                }
            }
            Operation::Delete(index) => {
                if let Some(id) = model.nth(*index) {
                    delete(&handle, &mut model, id).await;
                }
            }
            Operation::Prune(keep) => {
                let policy = RetentionPolicy::default().keep((*keep).try_into().unwrap());
                handle.prune(policy.grace(Duration::ZERO)).await.unwrap();
                model.prune(*keep as usize);
            }
            Operation::Reopen => handle = place.open().await,
        }
        check(&handle, &model).await;
    }
    let keep_all = RetentionPolicy::default().keep(u32::MAX.try_into().unwrap());
    // Once for what was left, once for the marks.
    for _ in 0..2 {
        handle.prune(keep_all.grace(Duration::ZERO)).await.unwrap();
    }
    check(&handle, &model).await;
    for id in model.complete.keys() {
        assert_restores(&handle, &model, *id).await;
    }
    let objects = model.complete.len() * (1 + PARTITIONS as usize) + usize::from(model.latest.is_some());
    let left = place.paths().await;
    assert_eq!(left.len(), objects, "garbage is left: {left:?}");
}

/// What the next checkpoint will be: on top of the newest one, if it has any delta.
async fn plan(handle: &Handle, model: &mut Model, deltas: Deltas) -> (CheckpointId, Taken) {
    let id = handle.begin().await.unwrap();
    assert!(model.latest.is_none_or(|(latest, _)| latest < id));
    model.epoch += 1;
    let parent = model.complete.keys().next_back().copied();
    let deltas = deltas.map(|delta| delta && parent.is_some());
    let parent = parent.filter(|_| deltas.contains(&true));
    let mut state = State::new();
    for (partition, delta) in (0..).zip(deltas) {
        let place = (OPERATOR.to_owned(), partition);
        let mut bytes = match parent {
            Some(parent) if delta => model.complete[&parent].state[&place].clone(),
            _ => Vec::new(),
        };
        bytes.extend(change(model.epoch, partition));
        state.insert(place, bytes);
    }
    let taken = Taken {
        epoch: model.epoch,
        parent,
        deltas,
        state,
    };
    (id, taken)
}

/// What an epoch appends to a partition. Of every fifth one nothing, for nothing has changed.
fn change(number: u64, partition: u32) -> Bytes {
    match (number + u64::from(partition)) % 5 {
        0 => Bytes::new(),
        _ => format!("{number}/{partition};").into(),
    }
}

async fn save(handle: &Handle, id: CheckpointId, taken: &Taken) -> Result<(), CheckpointError> {
    let mut files = Vec::new();
    for (partition, delta) in (0..).zip(taken.deltas) {
        let kind = if delta {
            FileKind::Delta
        } else {
            FileKind::Snapshot
        };
        let place = FilePlace {
            id,
            operator: OPERATOR,
            partition,
            kind,
        };
        files.push(handle.save(place, change(taken.epoch, partition)).await?);
    }
    let mut manifest = Manifest::new(id, epoch(taken.epoch), 0).operator(OPERATOR, files);
    manifest.parent_id = taken.parent;
    handle.save_manifest(&manifest).await
}

async fn announce(handle: &Handle, model: &mut Model, id: CheckpointId) {
    let number = model.complete[&id].epoch;
    let announced = handle.update_latest(id).await;
    match model.latest {
        Some((latest, at)) if at >= number && latest != id => assert!(
            matches!(&announced, Err(CheckpointError::Stale { by, .. }) if *by == latest),
            "epoch {number} after {at}: {announced:?}"
        ),
        _ => {
            announced.unwrap();
            model.latest = Some((id, number));
        }
    }
}

async fn delete(handle: &Handle, model: &mut Model, id: CheckpointId) {
    let deleted = handle.delete_checkpoint(id).await;
    if model.newest() <= Some(id) || model.is_needed(id) {
        assert!(
            matches!(&deleted, Err(CheckpointError::InUse { id: of, .. }) if *of == id),
            "{id} is in use: {deleted:?}"
        );
    } else {
        deleted.unwrap();
        model.complete.remove(&id);
    }
}

/// Checks that there is what should be, and that recovery finds the right one, and all of it.
async fn check(handle: &Handle, model: &Model) {
    let listed = handle.list_checkpoints().await.unwrap();
    assert!(listed.iter().eq(model.complete.keys()), "{listed:?} {model:#?}");
    let latest = handle.read_latest().await.unwrap();
    assert_eq!(latest, model.latest.map(|(id, _)| id));
    let says = latest.map_or(Latest::None, Latest::Names);
    match (candidates(&says, &listed), model.newest()) {
        (Candidates::Fresh, None) => {}
        (Candidates::Try(tried), Some(newest)) => {
            assert_eq!(tried[0], newest);
            assert_restores(handle, model, newest).await;
        }
        (other, newest) => panic!("{newest:?} is to be restored, and the decision is {other:?}"),
    }
}

async fn assert_restores(handle: &Handle, model: &Model, id: CheckpointId) {
    let restored = restore(handle, id).await.unwrap();
    assert!(
        restored == model.complete[&id].state,
        "{id} restores something else"
    );
}
