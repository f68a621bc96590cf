//! Obligation 7: readers do not wait for writers.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

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

/// While a large commit is under way a reader reads at the pace at which it reads otherwise.
///
/// Of two threads that pause alike, one reads and the other does nothing but count its turns. Within a commit a reader
/// that does not wait comes about as far as the one that counts; one that waits ends no read within it, but for what it
/// gets done before the engine has taken its lock. Which of the two it is shows over some commits, whatever else the
/// machine has to do.
pub fn o7_readers_do_not_wait_for_a_commit(harness: &dyn EngineHarness) {
    const COMMITS: usize = 9;
    const AT_MOST: usize = 40;
    const TURNS: u64 = 30;
    let engine = OpenEngine::new(harness);
    engine.put("a", b"key", b"value");
    let (read, written) = (engine.space("a").unwrap(), engine.space("b").unwrap());
    // Odd while a commit is under way.
    let (phase, done) = (AtomicUsize::new(0), AtomicBool::new(false));
    let long_enough = AtomicUsize::new(0);
    let count_turns = |turn: &dyn Fn(), reached: &dyn Fn(u64)| {
        let mut turns = vec![0_u64; AT_MOST];
        while !done.load(Ordering::Acquire) {
            let before = phase.load(Ordering::SeqCst);
            turn();
            if before % 2 == 1 && before == phase.load(Ordering::SeqCst) {
                turns[before / 2] += 1;
                reached(turns[before / 2]);
            }
            thread::sleep(Duration::from_micros(100));
        }
        turns
    };
    let (reads, turns) = thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let read = || assert_eq!(engine.get(read, b"key").unwrap().as_deref(), Some(&b"value"[..]));
            count_turns(&read, &|_| {})
        });
        let counter = scope.spawn(|| {
            let reached = |turns| {
                long_enough.fetch_add(usize::from(turns == TURNS), Ordering::Release);
            };
            count_turns(&|| {}, &reached)
        });
        let stop = Stop(&done);
        for number in 0..AT_MOST {
            // Later ones are larger, for a machine on which the first are over in no time.
            let writes = 30_000_u32 << (number / COMMITS);
            let mut batch = WriteBatch::with_capacity(writes as usize);
            for key in 0..writes {
                batch.put(written, key.to_be_bytes().to_vec(), number.to_be_bytes().to_vec());
            }
            phase.fetch_add(1, Ordering::SeqCst);
            engine.commit(batch).unwrap();
            phase.fetch_add(1, Ordering::SeqCst);
            if long_enough.load(Ordering::Acquire) >= COMMITS {
                break;
            }
        }
        drop(stop);
        (reader.join().unwrap(), counter.join().unwrap())
    });
    let within: Vec<_> = reads
        .into_iter()
        .zip(turns)
        .filter(|(_, turns)| *turns >= TURNS)
        .collect();
    assert!(
        within.len() >= COMMITS,
        "no commit takes long enough to be looked into: {within:?}"
    );
    let kept_pace = within.iter().filter(|(reads, turns)| reads * 2 >= *turns).count();
    assert!(
        kept_pace * 2 > within.len(),
        "of {} commits only {kept_pace} saw a reader keep its pace (reads, turns): {within:?}",
        within.len()
    );
}
