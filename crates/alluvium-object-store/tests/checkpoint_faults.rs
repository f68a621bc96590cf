//! Every request of a run goes wrong in turn, in every way. `_latest` names a whole checkpoint all the time, and nothing
//! that was told to anybody is taken back.

mod every_call;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use alluvium_conformance::{Fault, FaultyStore};
use alluvium_core::checkpoint::{Candidates, Chain, FileKind, FilePlace, Latest, Manifest, candidates};
use alluvium_core::{CheckpointError, CheckpointId, Checkpointer as _, Epoch, ErrorKind, RetentionPolicy};
use alluvium_object_store::{CheckpointerOptions, ObjectStoreCheckpointer};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::path::Path;

/// What a run does, one after the other. A checkpoint is known by its epoch.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Takes a checkpoint; with a parent it is a delta.
    Take(u64, Option<u64>),
    Announce(u64),
    /// Restores it, and finds what these hold.
    Restore(u64, &'static [u64]),
    Delete(u64),
    /// Keeps the newest, and what it needs.
    Prune,
}

/// A run, and after each step what `_latest` names, and which are complete.
const RUN: &[(Step, Option<u64>, &[u64])] = &[
    (Step::Take(1, None), None, &[1]),
    (Step::Announce(1), Some(1), &[1]),
    (Step::Take(2, Some(1)), Some(1), &[1, 2]),
    (Step::Announce(2), Some(2), &[1, 2]),
    (Step::Restore(2, &[1, 2]), Some(2), &[1, 2]),
    (Step::Take(3, None), Some(2), &[1, 2, 3]),
    (Step::Announce(3), Some(3), &[1, 2, 3]),
    (Step::Delete(2), Some(3), &[1, 3]),
    (Step::Take(4, Some(3)), Some(3), &[1, 3, 4]),
    (Step::Announce(4), Some(4), &[1, 3, 4]),
    (Step::Prune, Some(4), &[3, 4]),
    (Step::Restore(4, &[3, 4]), Some(4), &[3, 4]),
];

/// Bytes of a part. The first partition of a checkpoint has less, the second has several.
const PART: u64 = 1_000;

fn content(number: u64, partition: u32) -> Bytes {
    let once = format!("{number}/{partition};");
    once.repeat(if partition == 0 { 10 } else { 300 }).into()
}

fn open(store: Arc<dyn ObjectStore>) -> ObjectStoreCheckpointer {
    let options = CheckpointerOptions::default()
        .part_bytes(PART)
        .parts_in_flight(2)
        .request_timeout(Duration::from_secs(1));
    ObjectStoreCheckpointer::new(store, Path::from("checkpoints"), options)
}

/// Saves the files of a checkpoint, and gives what would complete it.
async fn draft(
    checkpointer: &ObjectStoreCheckpointer,
    number: u64,
    parent: Option<CheckpointId>,
) -> Result<Manifest, CheckpointError> {
    let id = checkpointer.begin().await?;
    let kind = match parent {
        Some(_) => FileKind::Delta,
        None => FileKind::Snapshot,
    };
    let mut files = Vec::new();
    for partition in 0..2 {
        let place = FilePlace {
            id,
            operator: "op",
            partition,
            kind,
        };
        let pieces = stream::iter([Ok(content(number, partition))]).boxed();
        files.push(checkpointer.save_stream(place, pieces).await?);
    }
    let mut manifest = Manifest::new(id, Epoch::new(number).unwrap(), 0).operator("op", files);
    manifest.parent_id = parent;
    Ok(manifest)
}

/// The epochs whose contents a checkpoint consists of, every byte of them compared.
async fn restore(
    checkpointer: &ObjectStoreCheckpointer,
    id: CheckpointId,
) -> Result<Vec<u64>, CheckpointError> {
    let manifest = checkpointer.load_manifest(id).await?;
    let mut epochs = vec![manifest.epoch.get()];
    let mut chain = Chain::new(&manifest);
    while let Some(parent) = chain.needs() {
        let parent = checkpointer.load_manifest(parent).await?;
        epochs.insert(0, parent.epoch.get());
        chain.add(&parent)?;
    }
    for partition in 0..2 {
        for (file, number) in chain.files("op", partition).into_iter().zip(&epochs) {
            let expected = content(*number, partition);
            assert_eq!(checkpointer.load(file).await?, expected);
        }
    }
    Ok(epochs)
}

/// The checkpoints that a run was told are there, by epoch.
#[derive(Default)]
struct Run {
    taken: Vec<(u64, CheckpointId)>,
    /// What is to be completed, or may be: it is not known before it was answered.
    drafted: Option<Manifest>,
}

impl Run {
    fn id(&self, number: u64) -> CheckpointId {
        let taken = self.taken.iter().find(|(epoch, _)| *epoch == number);
        taken.unwrap().1
    }

    async fn perform(
        &mut self,
        checkpointer: &ObjectStoreCheckpointer,
        step: Step,
    ) -> Result<(), CheckpointError> {
        match step {
            Step::Take(number, parent) => {
                let parent = parent.map(|parent| self.id(parent));
                let manifest = match self.drafted.take() {
                    Some(manifest) => manifest,
                    None => draft(checkpointer, number, parent).await?,
                };
                let manifest = self.drafted.insert(manifest);
                checkpointer.save_manifest(manifest).await?;
                self.taken.push((number, manifest.id));
                self.drafted = None;
                Ok(())
            }
            Step::Announce(number) => checkpointer.update_latest(self.id(number)).await,
            Step::Restore(number, expected) => {
                assert_eq!(checkpointer.read_latest().await?, Some(self.id(number)));
                assert_eq!(restore(checkpointer, self.id(number)).await?, expected);
                Ok(())
            }
            Step::Delete(number) => checkpointer.delete_checkpoint(self.id(number)).await,
            Step::Prune => {
                let newest = RetentionPolicy::default().keep(NonZeroU32::MIN);
                checkpointer.prune(newest.grace(Duration::ZERO)).await.map(drop)
            }
        }
    }

    /// What somebody finds who looks from outside: `_latest` and the complete checkpoints, every one of which can be
    /// restored, by epoch.
    async fn found(&self, store: &Arc<InMemory>) -> (Option<u64>, Vec<u64>) {
        let reader = open(Arc::clone(store) as _);
        let listed = reader.list_checkpoints().await.unwrap();
        let latest = reader.read_latest().await.unwrap();
        let epochs = async |id| *restore(&reader, id).await.unwrap().last().unwrap();
        let mut complete = Vec::new();
        for id in &listed {
            complete.push(epochs(*id).await);
        }
        let says = latest.map_or(Latest::None, Latest::Names);
        match (candidates(&says, &listed), latest) {
            (Candidates::Try(tried), Some(latest)) => assert_eq!(tried[0], latest),
            (Candidates::Try(_) | Candidates::Fresh, None) => {}
            (other, latest) => panic!("{latest:?} is named, and the decision is {other:?}"),
        }
        let latest = match latest {
            Some(id) => Some(epochs(id).await),
            None => None,
        };
        (latest, complete)
    }
}

/// One run with one fault. Gives whether it has come.
async fn run(fault: Fault, call: u64) -> bool {
    let store = Arc::new(InMemory::new());
    let faulty = FaultyStore::failing(Arc::clone(&store) as _, call, fault);
    let mut checkpointer = open(Arc::new(faulty.clone()));
    let mut run = Run::default();
    let mut before: (Option<u64>, Vec<u64>) = (None, Vec::new());
    for (step, latest, complete) in RUN {
        let when = format!("{fault:?} at call {call}, {step:?}");
        let after = (*latest, complete.to_vec());
        let mut failures = 0;
        while let Err(error) = run.perform(&checkpointer, *step).await {
            assert_eq!(error.kind(), ErrorKind::Transient, "{when}: {error:?}");
            assert_between(&before, &run.found(&store).await, &after, &when);
            failures += 1;
            // A fault passes, and death does not.
            if failures == 2 {
                let died = matches!(fault, Fault::CrashBefore | Fault::CrashAfter);
                assert!(died, "{when} does not recover: {error:?}");
                checkpointer = open(Arc::clone(&store) as _);
            }
        }
        assert_eq!(run.found(&store).await, after, "{when}");
        before = after;
    }
    assert_nothing_is_left(&store, &run).await;
    faulty.calls() >= call
}

/// Asserts that a step that failed is done or not: of many removals some may be.
fn assert_between(
    before: &(Option<u64>, Vec<u64>),
    found: &(Option<u64>, Vec<u64>),
    after: &(Option<u64>, Vec<u64>),
    when: &str,
) {
    assert!(
        found.0 == before.0 || found.0 == after.0,
        "{when}: _latest names {:?}",
        found.0
    );
    let stayed = before.1.iter().filter(|number| after.1.contains(number));
    let lost: Vec<_> = stayed.filter(|number| !found.1.contains(number)).collect();
    assert!(lost.is_empty(), "{when}: {lost:?} of {:?} are lost", before.1);
    let known = |number: &u64| before.1.contains(number) || after.1.contains(number);
    assert!(found.1.iter().all(known), "{when}: {:?} are there", found.1);
}

/// What was left by what failed is pruned, and nothing else is.
async fn assert_nothing_is_left(store: &Arc<InMemory>, run: &Run) {
    let checkpointer = open(Arc::clone(store) as _);
    let all = RetentionPolicy::default().keep(NonZeroU32::MAX);
    // Once for the files, once for the marks.
    for _ in 0..2 {
        checkpointer.prune(all.grace(Duration::ZERO)).await.unwrap();
    }
    let listed: Vec<_> = store.list(None).try_collect().await.unwrap();
    let own = [run.id(3), run.id(4)].map(|id| format!("checkpoints/{id}/"));
    let left = listed.iter().map(|object| object.location.as_ref());
    let garbage: Vec<&str> = left
        .filter(|path| *path != "checkpoints/_latest" && !own.iter().any(|own| path.starts_with(own)))
        .collect();
    assert!(garbage.is_empty(), "{garbage:?} is left");
}

every_call::faults!(run, at_least: 60);
