//! Obligation 7: readers do not wait for writers.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;

use alluvium_core::KeyRange;
use alluvium_engine::WriteBatch;
use bytes::Bytes;

use crate::EngineHarness;
use crate::support::{OpenEngine, Stop, patience};

/// An ingest that cannot go on before a reader has read, by every way to read, does go on.
pub fn o7_readers_do_not_wait_for_an_ingest(harness: &dyn EngineHarness) {
    let engine = OpenEngine::new(harness);
    engine.put("a", b"key", b"value");
    let space = engine.space("a").unwrap();
    let (half_way, wait) = mpsc::channel();
    let (read, finish) = mpsc::channel();
    let mut waited = None;
    thread::scope(|scope| {
        // Gone with this thread's part, in a panic too: the reader must not wait for ever.
        let half_way = half_way;
        let engine = &engine;
        scope.spawn(move || {
            if wait.recv().is_err() {
                return;
            }
            for _ in 0..200 {
                assert_eq!(engine.get(space, b"key").unwrap().as_deref(), Some(&b"value"[..]));
                let snapshot = engine.snapshot().unwrap();
                assert_eq!(
                    snapshot.get(space, b"key").unwrap().as_deref(),
                    Some(&b"value"[..])
                );
                assert_eq!(snapshot.scan(space, &KeyRange::all()).unwrap().count(), 1);
            }
            let _ = read.send(());
        });
        let mut pairs = (0..2_000_u32).map(|number| {
            if number == 1_000 {
                half_way.send(()).unwrap();
                waited = Some(finish.recv_timeout(patience()));
            }
            Ok((
                Bytes::copy_from_slice(&number.to_be_bytes()),
                Bytes::from(vec![7; 100]),
            ))
        });
        engine.ingest("filled", &mut pairs).unwrap();
    });
    assert_eq!(
        waited,
        Some(Ok(())),
        "a reader waits for as long as an ingest is under way"
    );
}

/// While large commits are made one after the other, most of them see many reads that begin and end within them.
///
/// A reader that waits for a commit ends no read within it, but for what it gets done before the engine has taken its
/// lock; one that does not wait reads all the time. Which of the two it is shows over some commits, whatever else the
/// machine has to do.
pub fn o7_readers_do_not_wait_for_a_commit(harness: &dyn EngineHarness) {
    const COMMITS: usize = 9;
    const WRITES: u32 = 60_000;
    const READS: u64 = 300;
    let engine = OpenEngine::new(harness);
    engine.put("a", b"key", b"value");
    let (read, written) = (engine.space("a").unwrap(), engine.space("b").unwrap());
    // Odd while a commit is under way.
    let (phase, done) = (AtomicU64::new(0), AtomicBool::new(false));
    let within = thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut within = vec![0_u64; COMMITS];
            while !done.load(Ordering::Acquire) {
                let before = phase.load(Ordering::SeqCst);
                assert_eq!(engine.get(read, b"key").unwrap().as_deref(), Some(&b"value"[..]));
                let after = phase.load(Ordering::SeqCst);
                if before == after && before % 2 == 1 {
                    within[usize::try_from(before / 2).unwrap()] += 1;
                }
            }
            within
        });
        let stop = Stop(&done);
        for number in 0..COMMITS {
            let mut batch = WriteBatch::with_capacity(WRITES as usize);
            for key in 0..WRITES {
                batch.put(
                    written,
                    key.to_be_bytes().to_vec(),
                    vec![u8::try_from(number).unwrap(); 40],
                );
            }
            phase.fetch_add(1, Ordering::SeqCst);
            engine.commit(batch).unwrap();
            phase.fetch_add(1, Ordering::SeqCst);
        }
        drop(stop);
        reader.join().unwrap()
    });
    let busy = within.iter().filter(|reads| **reads >= READS).count();
    assert!(
        busy > COMMITS / 2,
        "of {COMMITS} commits only {busy} saw {READS} reads within them: {within:?}"
    );
}
