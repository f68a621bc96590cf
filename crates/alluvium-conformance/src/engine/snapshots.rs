//! Obligation 3: snapshots stand still.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use alluvium_core::KeyRange;
use alluvium_engine::{EngineError, EngineSnapshot, Space};

use crate::content::{difference, pairs};
use crate::support::{OpenEngine, Stop, length, refused};
use crate::{Commits, Content, EngineHarness, Reach};

fn content_of(snapshot: &dyn EngineSnapshot, spaces: [Space; 3]) -> Content {
    let names = Commits::SPACES.into_iter().map(str::to_owned);
    Content(
        names
            .zip(spaces)
            .map(|(name, space)| (name, pairs(snapshot, space).unwrap()))
            .collect(),
    )
}

/// A snapshot keeps what it had, in all spaces at once, while commits go on.
pub fn o3_a_snapshot_stands_still_across_spaces_while_commits_go_on(harness: &dyn EngineHarness) {
    let engine = OpenEngine::new(harness);
    let spaces = Commits::spaces(&*engine).unwrap();
    let commits = Commits::new(3, Reach::Across);
    let mut taken: Vec<(u64, Arc<dyn EngineSnapshot>)> = Vec::new();
    for number in 1..=100 {
        engine.commit(commits.batch(number, spaces)).unwrap();
        if number % 10 == 0 {
            taken.push((number, engine.snapshot().unwrap()));
        }
    }
    for (number, snapshot) in taken {
        let found = content_of(snapshot.as_ref(), spaces);
        assert_eq!(
            found.difference(&commits.content_at(number)),
            None,
            "the snapshot taken after commit {number} has moved"
        );
    }
}

/// A snapshot that a reader holds stands still at every moment while another thread commits.
pub fn o3_a_snapshot_stands_still_beside_a_concurrent_writer(harness: &dyn EngineHarness) {
    let engine = OpenEngine::new(harness);
    let spaces = Commits::spaces(&*engine).unwrap();
    let commits = Commits::new(4, Reach::Across);
    (1..=20).for_each(|number| engine.commit(commits.batch(number, spaces)).unwrap());
    let expected = commits.content_at(20);
    let snapshot = engine.snapshot().unwrap();
    let (begun, done) = (AtomicBool::new(false), AtomicBool::new(false));
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut number = 20;
            while !done.load(Ordering::Acquire) {
                number += 1;
                engine.commit(commits.batch(number, spaces)).unwrap();
                begun.store(true, Ordering::Release);
            }
        });
        let stop = Stop(&done);
        let mut reads = 0;
        let mut moved = None;
        while !writer.is_finished() && moved.is_none() && reads < length(30, 1_000) {
            if begun.load(Ordering::Acquire) {
                moved = content_of(snapshot.as_ref(), spaces).difference(&expected);
                reads += 1;
            } else {
                thread::yield_now();
            }
        }
        drop(stop);
        assert_eq!(moved, None, "the snapshot has moved");
    });
}

/// A snapshot keeps a space that is dropped afterwards, also when another one takes its name.
pub fn o3_a_snapshot_keeps_a_space_that_is_dropped(harness: &dyn EngineHarness) {
    let engine = OpenEngine::new(harness);
    let spaces = Commits::spaces(&*engine).unwrap();
    let commits = Commits::new(5, Reach::Across);
    (1..=30).for_each(|number| engine.commit(commits.batch(number, spaces)).unwrap());
    let expected = commits.content_at(30);
    let snapshot = engine.snapshot().unwrap();
    let mut scan = snapshot.scan(spaces[0], &KeyRange::all()).unwrap();
    let first = scan.next().unwrap().unwrap();
    for (step, name) in Commits::SPACES.into_iter().enumerate() {
        engine.drop_space(name).unwrap();
        let still = content_of(snapshot.as_ref(), spaces);
        assert_eq!(still.difference(&expected), None, "{name} was dropped");
        match step {
            0 => engine.put(name, b"key", b"of another space"),
            1 => {
                let mut source = std::iter::once(Ok(("key".into(), "ingested".into())));
                engine.ingest(name, &mut source).unwrap();
            }
            _ => {}
        }
        let still = content_of(snapshot.as_ref(), spaces);
        assert_eq!(still.difference(&expected), None, "{name} was made again");
    }
    let rest = std::iter::once(first).chain(scan.map(Result::unwrap)).collect();
    assert_eq!(
        difference(&rest, &expected.0[Commits::SPACES[0]]),
        None,
        "a scan that was under way when its space was dropped"
    );
}

/// A scan gives what its snapshot had when it began, though commits go on between its pairs, and may outlive the
/// snapshot.
pub fn o3_a_scan_stands_still_and_outlives_its_snapshot(harness: &dyn EngineHarness) {
    let engine = OpenEngine::new(harness);
    let space = engine.space("a").unwrap();
    let key = |number: u32| format!("{number:05}").into_bytes();
    for number in 0..500 {
        engine.put("a", &key(number * 2), b"before");
    }
    let snapshot = engine.snapshot().unwrap();
    let mut scan = snapshot.scan(space, &KeyRange::all()).unwrap();
    drop(snapshot);
    for number in 0..500 {
        let (found, value) = scan.next().expect("500 pairs").unwrap();
        assert_eq!(
            (found.as_ref(), value.as_ref()),
            (&*key(number * 2), &b"before"[..])
        );
        // Right behind and right ahead of the scan.
        engine.put("a", &key(number * 2 + 1), b"after");
        engine.put("a", &key(number * 2 + 2), b"after");
    }
    assert!(scan.next().is_none(), "a key that came later");
}

/// A space that was made after the snapshot is none that it knows.
pub fn o3_a_snapshot_does_not_know_later_spaces(harness: &dyn EngineHarness) {
    let engine = OpenEngine::new(harness);
    engine.put("early", b"key", b"value");
    let snapshot = engine.snapshot().unwrap();
    engine.put("late", b"key", b"value");
    let mut source = std::iter::once(Ok(("key".into(), "value".into())));
    let ingested = engine.ingest("ingested", &mut source).unwrap();
    for space in [engine.space("late").unwrap(), ingested] {
        refused!(snapshot.get(space, b"key"), EngineError::NoSpace);
        refused!(snapshot.scan(space, &KeyRange::all()), EngineError::NoSpace);
    }
}

/// A snapshot taken after a commit has returned has that commit.
pub fn o3_a_snapshot_has_every_commit_that_returned_before_it(harness: &dyn EngineHarness) {
    let engine = OpenEngine::new(harness);
    let space = engine.space("a").unwrap();
    for number in 0..200_u32 {
        engine.put("a", b"key", &number.to_be_bytes());
        let snapshot = engine.snapshot().unwrap();
        let found = snapshot.get(space, b"key").unwrap();
        assert_eq!(found.as_deref(), Some(&number.to_be_bytes()[..]));
    }
}
