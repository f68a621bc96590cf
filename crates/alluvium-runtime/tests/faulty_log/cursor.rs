//! A `LogCursor` gives every message, whatever step of its log goes wrong.

use std::sync::Arc;
use std::time::Duration;

use alluvium_conformance::{FaultyLog, LogFault};
use alluvium_core::{CursorStore as _, ErrorKind, Scope};
use alluvium_memory::{MemoryCursorStore, MemoryLog};
use alluvium_runtime::{LogCursor, LogCursorError};
use tokio::time::timeout;

const NAME: &str = "mailer";
/// As many as whoever works with logs waits for one.
const LIMIT: Duration = Duration::from_secs(5);

/// A log of 20 messages, every other one under `a.>`.
fn log() -> MemoryLog {
    let log = MemoryLog::new("orders");
    for number in 1..=20 {
        let kind = if number % 2 == 1 { "a" } else { "b" };
        log.put(format!("{kind}.{number}"), "value");
    }
    log
}

/// Calls until it goes well. What does not answer is dropped.
async fn open(log: &FaultyLog, store: &MemoryCursorStore, scope: &Scope) -> LogCursor {
    loop {
        let builder = LogCursor::builder(Arc::new(log.clone()), scope.clone());
        let opening = builder.held_in(Arc::new(store.clone()), NAME).open();
        match timeout(LIMIT, opening).await {
            Ok(Ok(cursor)) => return cursor,
            Ok(Err(error)) => assert_eq!(error.kind(), ErrorKind::Transient, "{error:?}"),
            Err(_) => {}
        }
    }
}

/// Works on every message of a scope in batches, each committed, and goes back to the last commit when something goes wrong.
/// Half of the way it is opened again. What was committed, in the order in which it was.
async fn work(log: &FaultyLog, scope: &Scope, last: u64) -> Vec<u64> {
    let store = MemoryCursorStore::new();
    let mut cursor = open(log, &store, scope).await;
    let mut done: Vec<u64> = Vec::new();
    while done.last() != Some(&last) {
        let step = async {
            let batch = cursor.poll_batch(3).await?;
            cursor.commit().await?;
            Ok::<_, LogCursorError>(batch)
        };
        match timeout(LIMIT, step).await {
            Ok(Ok(batch)) => {
                let before = done.len();
                done.extend(batch.iter().map(|change| change.sequence.get()));
                if before < 5 && done.len() >= 5 {
                    cursor = open(log, &store, scope).await;
                }
            }
            Ok(Err(error)) => {
                assert_eq!(error.kind(), ErrorKind::Transient, "{error:?}");
                cursor.rollback().await.unwrap();
            }
            Err(_) => cursor.rollback().await.unwrap(),
        }
    }
    let gaps = cursor.take_gaps();
    assert!(gaps.gaps.is_empty(), "nothing was lost: {gaps:?}");
    let stored = store.load(NAME).await.unwrap().expect("it was committed");
    assert!(stored.cursor.sequence.get() >= last, "{stored:?}");
    done
}

#[tokio::test(start_paused = true)]
async fn every_message_is_given_whatever_step_goes_wrong() {
    let everything: Vec<u64> = (1..=20).collect();
    let of_a: Vec<u64> = (1..=20).step_by(2).collect();
    for (scope, expected) in [(Scope::all(), everything), (Scope::of(["a.>"]).unwrap(), of_a)] {
        let last = *expected.last().unwrap();
        let sound = FaultyLog::sound(Arc::new(log()));
        assert_eq!(work(&sound, &scope, last).await, expected);
        assert!(sound.steps() > 20, "{} steps", sound.steps());
        for step in 1..=sound.steps() {
            for fault in LogFault::ALL {
                let faulty = FaultyLog::failing(Arc::new(log()), step, fault);
                let done = work(&faulty, &scope, last).await;
                assert_eq!(done, expected, "{fault:?} at step {step} in {scope}");
                assert!(faulty.steps() >= step, "the step was never taken");
            }
        }
    }
}
