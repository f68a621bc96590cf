//! A reconcile fetches only what differs, whatever becomes of it meanwhile, and no reader sees a key go back.

mod another;
mod archive;
#[path = "../common/eventually.rs"]
mod eventually;
mod forgets;
mod mend;
mod mirror;
mod stepped;
mod watched;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use alluvium_core::{
    Batch, DeleteReason, KeyRange, ListEvent, Log, LogEvent, Operation, Plan, ReconcileReason, Scope,
    Sequence, Table,
};
use alluvium_engine::EngineTable;
use alluvium_memory::{MemoryEngine, MemoryLog};
use alluvium_runtime::Replica;
use bytes::Bytes;
use futures_util::StreamExt as _;

use self::watched::Watched;

/// A few messages are asked for to place a cursor, beside those that differ.
const FOR_CURSORS: u64 = 3;

fn table() -> Arc<dyn Table> {
    let engine = Arc::new(MemoryEngine::in_memory());
    Arc::new(EngineTable::open(engine, "t").unwrap())
}

fn rows(table: &Arc<dyn Table>) -> BTreeMap<Bytes, (Bytes, Sequence)> {
    let rows = table.snapshot().unwrap().scan(&KeyRange::all()).unwrap();
    rows.map(|row| {
        row.map(|(key, entry)| (key, (entry.value, entry.sequence)))
            .unwrap()
    })
    .collect()
}

/// What a table of the log has to hold.
async fn truth(log: &MemoryLog) -> BTreeMap<Bytes, (Bytes, Sequence)> {
    let current: Vec<_> = log.current(&Scope::all()).await.unwrap().collect().await;
    let put = |event| match event {
        Ok(LogEvent::Change(change)) => match change.operation {
            Operation::Put(value) => Some((change.key, (value, change.sequence))),
            Operation::Delete(_) => None,
        },
        Ok(LogEvent::CaughtUp(_)) => None,
        Err(error) => panic!("{error}"),
    };
    current.into_iter().filter_map(put).collect()
}

/// Follows a log until it is caught up. Every batch that was committed, and why it was reconciled.
async fn follow(log: &Arc<Watched>, table: &Arc<dyn Table>) -> (Vec<Batch>, Option<ReconcileReason>) {
    let batches = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&batches);
    let replica = Replica::builder(Arc::clone(log) as Arc<dyn Log>, Arc::clone(table))
        .on_batch(move |batch| {
            seen.lock().unwrap().push(batch.clone());
            Ok(())
        })
        .start()
        .await
        .unwrap();
    replica.caught_up().await.unwrap();
    let reason = match replica.status().plan {
        Some(Plan::Reconcile(reason)) => Some(reason),
        _ => None,
    };
    replica.shutdown().await.unwrap();
    assert_eq!(rows(table), truth(&log.log).await);
    (std::mem::take(&mut *batches.lock().unwrap()), reason)
}

/// What was done to a key.
fn done_to(batches: &[Batch], key: &str) -> Vec<Operation> {
    let changes = batches.iter().flat_map(|batch| &batch.changes);
    changes
        .filter(|change| change.key == key)
        .map(|change| change.operation.clone())
        .collect()
}

/// A log of so many keys and a table of it, and then twenty keys of which the tail is lost, five of them written before.
async fn with_a_lost_tail(keys: u64) -> (MemoryLog, Arc<dyn Table>) {
    let (log, table) = (MemoryLog::new("l"), table());
    for key in 0..keys {
        log.put(format!("k{key}"), format!("v{key}"));
    }
    let kept = log.put("last", "1");
    for key in 0..5 {
        log.put(format!("k{key}"), "lost");
    }
    for key in 0..15 {
        log.put(format!("new{key}"), "lost");
    }
    follow(&Watched::new(log.clone()), &table).await;
    log.cut_after(kept);
    (log, table)
}

#[tokio::test]
async fn only_what_differs_is_fetched() {
    let (log, table) = with_a_lost_tail(10_000).await;
    let log = Watched::new(log);
    let (batches, reason) = follow(&log, &table).await;
    assert_eq!(reason, Some(ReconcileReason::TailLost));
    assert_eq!(log.listings_with_values(), 0);
    // Of those that had gone on it is looked whether the log has what the row is of, too.
    assert!(log.fetched() <= 2 * 5 + FOR_CURSORS, "{}", log.fetched());
    let changes: usize = batches.iter().map(|batch| batch.changes.len()).sum();
    assert_eq!(changes, 20);
    assert_eq!(
        done_to(&batches, "new3"),
        [Operation::Delete(DeleteReason::Vanished)]
    );
}

#[tokio::test]
async fn a_row_of_another_message_with_a_number_that_was_listed_is_gone() {
    let (log, table) = (MemoryLog::new("l"), table());
    let kept = log.put("a", "1");
    log.put("lost", "1");
    log.put("lost too", "1");
    follow(&Watched::new(log.clone()), &table).await;
    log.cut_after(kept);
    // Its place is that of a message of another key now.
    log.put("other", "2");
    log.put("another", "2");
    let (_, reason) = follow(&Watched::new(log), &table).await;
    assert_eq!(reason, Some(ReconcileReason::HistoryChanged));
}

#[tokio::test]
async fn a_repair_that_was_cut_short_is_done_again_and_fetches_nothing_twice() {
    let (log, table) = with_a_lost_tail(1_000).await;
    table.amend(&[]).unwrap();
    let log = Watched::new(log);
    let (_, reason) = follow(&log, &table).await;
    assert_eq!(reason, Some(ReconcileReason::Interrupted));
    // Cut short again, when everything had been brought.
    table.amend(&[]).unwrap();
    let before = log.fetched();
    let (batches, reason) = follow(&log, &table).await;
    assert_eq!(reason, Some(ReconcileReason::Interrupted));
    assert!(log.fetched() - before <= FOR_CURSORS);
    assert!(
        batches.iter().all(|batch| batch.changes.is_empty()),
        "{batches:?}"
    );
}

#[tokio::test]
async fn a_key_that_is_written_again_before_it_is_fetched_is_never_gone() {
    let (log, table) = with_a_lost_tail(100).await;
    let listed = log.message_at(Sequence::FIRST.next()).await.unwrap().unwrap();
    assert_eq!(listed.key, "k1");
    let mut written = false;
    let log = Watched::with(log, move |log, sequence| {
        if sequence == listed.sequence && !written {
            written = true;
            log.remove(sequence);
            log.put("k1", "again");
        }
    });
    let (batches, reason) = follow(&log, &table).await;
    assert_eq!(done_to(&batches, "k1"), [Operation::Put("again".into())]);
    // Its row was newer than the end of the first listing.
    assert_eq!(reason, Some(ReconcileReason::Interrupted));
}

#[tokio::test]
async fn a_log_that_goes_past_its_listing_is_listed_again() {
    let (log, table) = with_a_lost_tail(100).await;
    let mut is_past = false;
    let log = Watched::with(log, move |log, sequence| {
        if sequence == Sequence::FIRST && !is_past {
            is_past = true;
            log.put("between", "1");
            let last = log.put("last", "2");
            log.evict_before(last);
        }
    });
    let (_, reason) = follow(&log, &table).await;
    assert_eq!(reason, Some(ReconcileReason::Overrun));
    assert_eq!((log.listings(), log.listings_with_values()), (2, 1));
}

#[tokio::test]
async fn a_key_that_is_gone_before_it_is_fetched_is_deleted() {
    let (log, table) = with_a_lost_tail(100).await;
    let log = Watched::with(log, |log, sequence| {
        if sequence == Sequence::FIRST.next() {
            log.remove(sequence);
        }
    });
    let (batches, _) = follow(&log, &table).await;
    assert_eq!(
        done_to(&batches, "k1"),
        [Operation::Delete(DeleteReason::Vanished)]
    );
}

#[tokio::test]
async fn a_key_whose_message_before_is_the_last_again_shows_that() {
    let (log, table) = (MemoryLog::new("l"), table());
    let before = log.put("k", "before");
    let last = log.put("k", "last");
    let kept = log.put("other", "1");
    log.put("k", "lost");
    follow(&Watched::new(log.clone()), &table).await;
    log.cut_after(kept);
    let log = Watched::with(log, move |log, sequence| {
        if sequence == last {
            log.remove(sequence);
        }
    });
    let (batches, _) = follow(&log, &table).await;
    assert_eq!(done_to(&batches, "k"), [Operation::Put("before".into())]);
    assert_eq!(table.get(b"k").unwrap().unwrap().sequence, before);
}

#[tokio::test]
async fn a_log_created_again_brings_its_values_with_the_listing() {
    let (log, table) = with_a_lost_tail(100).await;
    log.replace();
    for key in 0..50 {
        log.put(format!("k{key}"), "new");
    }
    let log = Watched::new(log);
    let (_, reason) = follow(&log, &table).await;
    assert_eq!(reason, Some(ReconcileReason::LogReplaced));
    assert_eq!(log.listings_with_values(), 1);
    assert!(log.fetched() <= FOR_CURSORS, "{}", log.fetched());
}

#[tokio::test]
async fn a_listing_is_what_is_current_without_the_values() {
    let (log, _) = with_a_lost_tail(100).await;
    log.delete("k7");
    let current = log.current(&Scope::all()).await.unwrap();
    let listed = log.list(&Scope::all()).await.unwrap();
    let (current, listed): (Vec<_>, Vec<_>) = (current.collect().await, listed.collect().await);
    assert_eq!(current.len(), listed.len());
    for pair in current.into_iter().zip(listed) {
        match pair {
            (Ok(LogEvent::Change(change)), Ok(ListEvent::Key(key))) => {
                assert_eq!((change.key, change.sequence), (key.key, key.sequence));
                assert_eq!(change.timestamp, key.timestamp);
                let reason = match change.operation {
                    Operation::Put(_) => None,
                    Operation::Delete(reason) => Some(reason),
                };
                assert_eq!(reason, key.deleted);
            }
            (Ok(LogEvent::CaughtUp(one)), Ok(ListEvent::Complete(other))) => assert_eq!(one, other),
            pair => panic!("{pair:?}"),
        }
    }
}
