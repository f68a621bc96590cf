//! Obligation 1: a commit is there as a whole or not at all.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use alluvium_engine::{EngineError, WriteBatch};

use super::kills;
use crate::support::{OpenEngine, Stop, length, refused};
use crate::{Commits, Content, EngineHarness, Reach, ThisTest};

/// Every write of a commit is visible when it returns, in every space.
pub fn o1_a_commit_is_whole_across_spaces(harness: &dyn EngineHarness) {
    let engine = OpenEngine::new(harness);
    let spaces = Commits::spaces(&*engine).unwrap();
    let commits = Commits::new(1, Reach::Across);
    let mut expected = Content::default();
    for number in 1..=60 {
        engine.commit(commits.batch(number, spaces)).unwrap();
        commits.advance(&mut expected, number);
        let found = Content::of(&*engine).unwrap();
        assert_eq!(found.difference(&expected), None, "after commit {number}");
    }
}

/// A commit without writes changes nothing and is no error.
pub fn o1_a_commit_of_nothing_is_fine(harness: &dyn EngineHarness) {
    let engine = OpenEngine::new(harness);
    engine.put("a", b"key", b"value");
    engine.commit(WriteBatch::default()).unwrap();
    assert_eq!(engine.value("a", b"key").as_deref(), Some(&b"value"[..]));
}

/// A commit that names a dropped space is refused, and what it would have written to other spaces is not written,
/// whichever comes first.
pub fn o1_a_commit_with_a_dropped_handle_writes_nothing(harness: &dyn EngineHarness) {
    let engine = OpenEngine::new(harness);
    let kept = engine.space("kept").unwrap();
    let dropped = engine.space("dropped").unwrap();
    engine.drop_space("dropped").unwrap();
    for order in [[kept, dropped], [dropped, kept]] {
        let mut batch = WriteBatch::default();
        for space in order {
            batch.put(space, "key", "value");
        }
        refused!(engine.commit(batch), EngineError::NoSpace);
        assert_eq!(engine.get(kept, b"key").unwrap(), None);
    }
    engine.put("kept", b"key", b"later");
    assert_eq!(
        engine.value("kept", b"key").as_deref(),
        Some(&b"later"[..]),
        "a refused commit is no reason to refuse the next"
    );
}

/// Beside a writer, every snapshot has all writes of a commit or none, in every space.
pub fn o1_no_snapshot_sees_half_a_commit(harness: &dyn EngineHarness) {
    const KEYS: u32 = 300;
    let engine = OpenEngine::new(harness);
    let spaces = [engine.space("a").unwrap(), engine.space("b").unwrap()];
    let (snapshots, done) = (AtomicU64::new(0), AtomicBool::new(false));
    let wanted = length(100, 5_000);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                let snapshot = engine.snapshot().unwrap();
                let read = |space: usize, key: u32| snapshot.get(spaces[space], &key.to_be_bytes()).unwrap();
                let first = read(0, 0);
                for key in [KEYS - 1, KEYS / 2, 1] {
                    for space in [1, 0] {
                        assert_eq!(
                            read(space, key),
                            first,
                            "key {key} of space {space} is of another commit"
                        );
                    }
                }
                snapshots.fetch_add(1, Ordering::Release);
            }
        });
        let _stop = Stop(&done);
        let mut number = 0_u64;
        while !reader.is_finished() && (number < wanted || snapshots.load(Ordering::Acquire) < wanted) {
            number += 1;
            let mut batch = WriteBatch::default();
            for key in 0..KEYS {
                for space in spaces {
                    batch.put(space, key.to_be_bytes().to_vec(), format!("{number:0100}"));
                }
            }
            engine.commit(batch).unwrap();
        }
    });
}

/// A killed process leaves whole commits, across all their spaces.
pub fn o1_a_kill_leaves_whole_commits(harness: &dyn EngineHarness, test: ThisTest) {
    kills::survive(harness, test, Commits::new(11, Reach::Across));
}
