//! A `Replica` becomes what its log holds, whatever step of the log fails or ends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use alluvium_conformance::{FaultyLog, LogFault};
use alluvium_core::{ErrorKind, KeyRange, Log as _, LogEvent, Scope, Sequence, Table};
use alluvium_engine::EngineTable;
use alluvium_memory::{MemoryEngine, MemoryLog};
use alluvium_runtime::Replica;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use tokio::time::timeout;

/// Until what is there must be in the table.
const PATIENCE: Duration = Duration::from_mins(1);
/// So many at once: each waits a moment after what went wrong.
const AT_ONCE: usize = 16;

fn write(log: &MemoryLog, count: u64) -> Sequence {
    for number in 1..count {
        log.put(format!("key.{}", number % 7), number.to_string());
    }
    log.delete("key.3")
}

/// What the log holds.
async fn truth(log: &MemoryLog) -> BTreeMap<Bytes, Bytes> {
    let listing = log.current(&Scope::all()).await.unwrap();
    let events: Vec<_> = listing.map(Result::unwrap).collect().await;
    let puts = events.into_iter().filter_map(|event| match event {
        LogEvent::Change(change) => change.value().cloned().map(|value| (change.key, value)),
        LogEvent::CaughtUp(_) => None,
    });
    puts.collect()
}

fn content(table: &dyn Table) -> BTreeMap<Bytes, Bytes> {
    let rows = table.snapshot().unwrap().scan(&KeyRange::all()).unwrap();
    rows.map(|row| row.unwrap())
        .map(|(key, entry)| (key, entry.value))
        .collect()
}

async fn start(log: &FaultyLog, table: &Arc<dyn Table>) -> Replica {
    loop {
        match Replica::builder(Arc::new(log.clone()), Arc::clone(table))
            .start()
            .await
        {
            Ok(replica) => return replica,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Transient, "{error:?}"),
        }
    }
}

/// A new table follows the log, stops, is overrun by what the log evicts, and follows again.
async fn follow(log: &MemoryLog, faulty: &FaultyLog) {
    let engine = Arc::new(MemoryEngine::in_memory());
    let table: Arc<dyn Table> = Arc::new(EngineTable::open(engine, "routes").unwrap());
    write(log, 20);
    let replica = start(faulty, &table).await;
    replica.caught_up().await.unwrap();
    let last = write(log, 5);
    replica.wait_for(last).await.unwrap();
    replica.shutdown().await.unwrap();
    assert_eq!(content(table.as_ref()), truth(log).await, "after the first start");

    let last = write(log, 30);
    log.evict_before(Sequence::new(last.get() - 10));
    let replica = start(faulty, &table).await;
    replica.caught_up().await.unwrap();
    assert_eq!(content(table.as_ref()), truth(log).await, "after it was overrun");
    let last = write(log, 3);
    replica.wait_for(last).await.unwrap();
    replica.shutdown().await.unwrap();
    assert_eq!(content(table.as_ref()), truth(log).await, "at the end");
}

#[tokio::test]
async fn the_table_is_what_the_log_holds_whatever_step_goes_wrong() {
    let log = MemoryLog::new("routes");
    let sound = FaultyLog::sound(Arc::new(log.clone()));
    timeout(PATIENCE, follow(&log, &sound)).await.unwrap();
    assert!(sound.steps() > 50, "{} steps", sound.steps());
    let faults = [LogFault::Fail, LogFault::EndEarly];
    let cases = (1..=sound.steps()).flat_map(|step| faults.map(|fault| (step, fault)));
    stream::iter(cases)
        .for_each_concurrent(AT_ONCE, async |(step, fault)| {
            let log = MemoryLog::new("routes");
            let broken = FaultyLog::failing(Arc::new(log.clone()), step, fault);
            let followed = timeout(PATIENCE, follow(&log, &broken)).await;
            assert!(followed.is_ok(), "{fault:?} at step {step}: it never got there");
        })
        .await;
}
