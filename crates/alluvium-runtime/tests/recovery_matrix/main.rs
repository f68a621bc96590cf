//! The recovery matrix: of a chain of one snapshot and six deltas, over three operators of 16 partitions, each single
//! object is damaged and removed in turn. Recovery ends in a state that is exactly that of the newest whole checkpoint,
//! or in an error that names what is wrong: never in a mixture, never in silence.

mod chain;
mod program;

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use alluvium_conformance::{Fault, FaultyStore, Random};
use alluvium_core::checkpoint::{LATEST, MANIFEST, Manifest};
use alluvium_core::{Checkpointer as _, Epoch, ErrorKind};
use alluvium_runtime::{Recovered, RecoveredFrom, Recovery, RecoveryError, RecoveryReport, Skipped};
use bytes::Bytes;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};

use crate::chain::{ChainOf, Shape, checkpointer, watermark};
use crate::program::{Operator, Program, Source};

/// What is done to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Damage {
    /// One byte is another. Where there is none, there is one.
    Flip,
    /// The second half is missing.
    Cut,
    /// All of it is something else, as long as before.
    OtherContent,
    Remove,
}

impl Damage {
    const ALL: [Self; 4] = [Self::Flip, Self::Cut, Self::OtherContent, Self::Remove];

    /// Does it to an object, and says whether that is another one now.
    async fn apply(self, store: &InMemory, path: &str, content: &Bytes, at: usize) -> bool {
        let mut damaged = content.to_vec();
        match self {
            Self::Remove => {
                store.delete(&Path::parse(path).unwrap()).await.unwrap();
                return true;
            }
            Self::Cut => damaged.truncate(content.len() / 2),
            Self::Flip if content.is_empty() => damaged.push(0),
            Self::Flip => damaged[at % content.len()] ^= 1 << (at % 8),
            Self::OtherContent => damaged.fill(b'x'),
        }
        let changed = damaged != content[..];
        put(store, path, damaged).await;
        changed
    }
}

async fn put(store: &InMemory, path: &str, content: Vec<u8>) {
    let path = Path::parse(path).unwrap();
    store.put(&path, content.into()).await.unwrap();
}

/// Recovers into a program that holds something else before.
async fn recover(
    store: Arc<dyn ObjectStore>,
    partitions: usize,
) -> (Result<Recovered, RecoveryError>, Program) {
    let mut program = Program::dirty(partitions);
    let Program { operators, source } = &mut program;
    let [first, second, third] = &mut operators[..] else {
        panic!("three operators")
    };
    let recovery = Recovery::new(Arc::new(checkpointer(store)))
        .fall_backs(100)
        .concurrency(NonZeroUsize::new(5).unwrap());
    let recovered = recovery.run(&mut [first, second, third], &mut [source]).await;
    (recovered, program)
}

/// Nothing of the state before and nothing of any checkpoint is left, and no source was moved.
fn assert_empty(program: &Program, what: &str) {
    for operator in &program.operators {
        let empty = Operator::empty(operator.name, operator.partitions.len());
        assert_eq!(*operator, empty, "{what}");
    }
    assert_eq!(program.source.sought, [], "{what}");
}

/// Recovers with these objects damaged, and checks what comes out against the oracle.
async fn check(chain: &ChainOf, store: InMemory, damaged: &BTreeSet<String>, what: &str) {
    let store = Arc::new(store);
    let (recovered, program) = recover(store.clone(), chain.shape.partitions).await;
    let Some(whole) = chain.newest_whole(damaged) else {
        let error = recovered.expect_err(what);
        assert!(matches!(error, RecoveryError::Lost { .. }), "{what}: {error}");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}");
        let told = error.to_string();
        assert!(damaged.iter().any(|path| told.contains(path)), "{what}: {told}");
        assert_found_once(error.report().expect(what), damaged, what);
        assert_empty(&program, what);
        return;
    };
    let recovered = recovered.unwrap_or_else(|error| panic!("{what}: {error}"));
    let taken = &chain.taken[whole];
    let from = RecoveredFrom::Checkpoint {
        id: taken.id,
        epoch: taken.epoch,
        watermark_ms: Some(watermark(whole as u64)),
    };
    assert_eq!(recovered.from, from, "{what}");
    assert_eq!(program.state(), taken.state, "{what}");
    assert_eq!(
        program.source.sought,
        [Source::position(whole as u64 * 100)],
        "{what}"
    );

    // What `_latest` names is reported if there is no such checkpoint, and everything newer that there is.
    let report = &recovered.report;
    let skipped: Vec<_> = report.skipped.iter().map(|skipped| skipped.checkpoint).collect();
    let checkpointer = checkpointer(store.clone());
    let listed = checkpointer.list_checkpoints().await.unwrap();
    let latest = checkpointer.read_latest().await.ok().flatten();
    let gone = latest.filter(|id| !listed.contains(id));
    let newer = chain.taken[whole + 1..].iter().rev().map(|taken| taken.id);
    let newer = newer.filter(|id| listed.contains(id));
    let expected: Vec<_> = gone.into_iter().chain(newer).collect();
    assert_eq!(skipped, expected, "{what}: {report}");
    for skipped in &report.skipped {
        assert!(
            damaged.iter().any(|path| skipped.reason.contains(path)),
            "{what}: {skipped}"
        );
    }

    assert_found_once(report, damaged, what);

    write_on(&store, recovered.next_epoch, what).await;
}

/// What needs the damaged object as well is not loaded to find that again.
fn assert_found_once(report: &RecoveryReport, damaged: &BTreeSet<String>, what: &str) {
    let again = |skipped: &Skipped| skipped.reason.starts_with("it needs ");
    let found = report.skipped.iter().filter(|skipped| !again(skipped)).count();
    assert!(found <= damaged.len(), "{what}: {report}");
}

/// A new checkpoint of this epoch becomes the one to start from.
async fn write_on(store: &Arc<InMemory>, epoch: Epoch, what: &str) {
    let checkpointer = checkpointer(store.clone());
    let id = checkpointer.begin().await.unwrap();
    checkpointer
        .save_manifest(&Manifest::new(id, epoch, 0))
        .await
        .unwrap();
    let updated = checkpointer.update_latest(id).await;
    updated.unwrap_or_else(|error| panic!("{what}: {error}"));
}

/// Damages each object in turn, in this way.
async fn each_object_in_turn(shape: Shape, damage: Damage) {
    let chain = ChainOf::new(shape).await;
    let objects = chain.objects().await;
    let of_each_checkpoint = 3 * shape.partitions + 1;
    let checkpoints = chain.taken.len();
    assert_eq!(objects.len(), checkpoints * of_each_checkpoint + 1);
    check(&chain, chain.store.fork(), &BTreeSet::new(), "nothing").await;
    let mut outcomes = BTreeSet::new();
    for (number, (path, content)) in objects.iter().enumerate() {
        let store = chain.store.fork();
        if !damage.apply(&store, path, content, number * 31).await {
            continue;
        }
        let damaged = BTreeSet::from([path.clone()]);
        outcomes.insert(chain.newest_whole(&damaged));
        check(&chain, store, &damaged, &format!("{damage:?} {path}")).await;
    }
    // The newest was restored, each older one was fallen back to, and all was lost: the matrix has every row.
    let rows = (0..checkpoints).map(Some).chain([None]);
    assert_eq!(outcomes, rows.collect());
}

/// The chain of the matrix.
const WHOLE: Shape = Shape {
    partitions: 16,
    deltas: 6,
    snapshots_percent: 0,
};

#[tokio::test]
async fn a_flipped_byte_of_any_object_is_found() {
    each_object_in_turn(WHOLE, Damage::Flip).await;
}

#[tokio::test]
async fn a_cut_through_any_object_is_found() {
    each_object_in_turn(WHOLE, Damage::Cut).await;
}

#[tokio::test]
async fn another_content_of_any_object_is_found() {
    each_object_in_turn(WHOLE, Damage::OtherContent).await;
}

#[tokio::test]
async fn the_removal_of_any_object_is_found() {
    each_object_in_turn(WHOLE, Damage::Remove).await;
}

#[tokio::test]
async fn partitions_that_have_chains_of_their_own_are_not_mixed() {
    let shape = Shape {
        partitions: 4,
        deltas: 6,
        snapshots_percent: 30,
    };
    for damage in Damage::ALL {
        each_object_in_turn(shape, damage).await;
    }
}

/// Nothing but itself has the digest of a manifest, or of the pointer.
#[tokio::test]
async fn every_byte_of_a_manifest_and_of_the_pointer_is_flipped() {
    let chain = ChainOf::new(Shape {
        partitions: 1,
        deltas: 1,
        snapshots_percent: 0,
    })
    .await;
    let objects = chain.objects().await;
    let without_digest = objects
        .iter()
        .filter(|(path, _)| path.ends_with(MANIFEST) || *path == LATEST);
    for (path, content) in without_digest {
        let text = str::from_utf8(content).unwrap();
        // By another name it is a field that is not known, and not checked: the rest is as it was.
        let unchecked = text.find("checksum").map(|at| at..at + "checksum".len());
        for at in 0..content.len() {
            let store = chain.store.fork();
            let mut flipped = content.to_vec();
            flipped[at] ^= 1;
            put(&store, path, flipped).await;
            let mut damaged = BTreeSet::from([path.clone()]);
            if unchecked
                .as_ref()
                .is_some_and(|unchecked| unchecked.contains(&at))
            {
                damaged.clear();
            }
            check(&chain, store, &damaged, &format!("byte {at} of {path}")).await;
        }
    }
}

/// More than one object at once.
#[tokio::test]
async fn any_damage_falls_back_to_the_newest_whole_checkpoint() {
    let chain = ChainOf::new(Shape {
        partitions: 2,
        deltas: 6,
        snapshots_percent: 40,
    })
    .await;
    let objects: Vec<_> = chain.objects().await.into_iter().collect();
    for seed in 0..300 {
        let mut random = Random::nth(4, seed);
        let store = chain.store.fork();
        let mut damaged = BTreeSet::new();
        for _ in 0..=random.below(4) {
            let (path, content) = &objects[random.index(objects.len())];
            let damage = Damage::ALL[random.index(4)];
            let at = random.index(10_000);
            // What is damaged already would be mended.
            if !damaged.contains(path) && damage.apply(&store, path, content, at).await {
                damaged.insert(path.clone());
            }
        }
        check(&chain, store, &damaged, &format!("seed {seed}: {damaged:?}")).await;
    }
}

/// Every request of a recovery goes wrong in turn: it ends where it would have ended, or stops. It is never taken for
/// damage, nor for no state.
#[tokio::test(start_paused = true)]
async fn a_store_that_fails_is_no_reason_to_go_back() {
    let chain = ChainOf::new(Shape {
        partitions: 2,
        deltas: 2,
        snapshots_percent: 0,
    })
    .await;
    // As it is, and with the newest damaged: there is one to go back to then, and no further.
    let damaged = chain.store.fork();
    let objects = chain.objects().await;
    let newest = chain.taken[2].id.to_string();
    let delta = objects
        .iter()
        .filter(|(path, content)| path.starts_with(&newest) && content.len() > 2);
    let (path, content) = delta.clone().next().expect("a delta of the newest");
    assert!(Damage::Flip.apply(&damaged, path, content, 0).await);
    for (store, expected) in [(chain.store.fork(), 2), (damaged, 1)] {
        let store: Arc<dyn ObjectStore> = Arc::new(store);
        let counted = FaultyStore::sound(store.clone());
        let (sound, _) = recover(Arc::new(counted.clone()), 2).await;
        sound.unwrap();
        let mut stopped = 0;
        for call in 1..=counted.calls() {
            for fault in Fault::ALL {
                let what = format!("{fault:?} at call {call}, expecting {expected}");
                let faulty = FaultyStore::failing(store.clone(), call, fault);
                let (recovered, program) = recover(Arc::new(faulty), 2).await;
                match recovered {
                    Ok(_) => assert_eq!(program.state(), chain.taken[expected].state, "{what}"),
                    Err(error) => {
                        let kind = error.kind();
                        assert!(matches!(error, RecoveryError::Stopped { .. }), "{what}: {error}");
                        assert!(
                            matches!(kind, ErrorKind::Transient | ErrorKind::Unavailable),
                            "{what}: {kind:?}"
                        );
                        assert_empty(&program, &what);
                        stopped += 1;
                    }
                }
            }
        }
        assert!(
            stopped >= counted.calls(),
            "a dead store stops every recovery: {stopped}"
        );
    }
}

/// Before there is anything, and when a store that had something does not answer.
#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_is_not_an_empty_one() {
    let empty = Arc::new(InMemory::new());
    let (recovered, program) = recover(empty.clone(), 2).await;
    let recovered = recovered.unwrap();
    assert_eq!(
        (recovered.from, recovered.next_epoch),
        (RecoveredFrom::Fresh, Epoch::FIRST)
    );
    assert_empty(&program, "fresh");
    for call in 1..=2 {
        let dead = FaultyStore::failing(empty.clone(), call, Fault::CrashBefore);
        let (recovered, program) = recover(Arc::new(dead), 2).await;
        let error = recovered.unwrap_err();
        assert!(matches!(error, RecoveryError::Stopped { .. }), "{error}");
        assert_empty(&program, "dead");
    }
}

/// In the middle of the files, at a request that is never answered.
#[tokio::test(start_paused = true)]
async fn a_recovery_ends_when_its_time_is_up() {
    let chain = ChainOf::new(Shape {
        partitions: 2,
        deltas: 2,
        snapshots_percent: 0,
    })
    .await;
    let store: Arc<dyn ObjectStore> = Arc::new(chain.store.fork());
    let hanging = FaultyStore::failing(store, 8, Fault::TimeOut);
    let mut program = Program::dirty(2);
    let Program { operators, source } = &mut program;
    let [first, second, third] = &mut operators[..] else {
        panic!("three operators")
    };
    // Less than a request is given.
    let limit = Duration::from_secs(1);
    let recovery = Recovery::new(Arc::new(checkpointer(Arc::new(hanging)))).timeout(limit);
    let error = recovery
        .run(&mut [first, second, third], &mut [source])
        .await
        .unwrap_err();
    assert!(matches!(error, RecoveryError::TimedOut { .. }), "{error}");
    assert_empty(&program, "timed out");
}
