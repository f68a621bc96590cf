//! A table that was exact at a cursor of a history that has ended is made what the log holds without a listing.
//!
//! A log that is put back to what it was is a new one here that lives through the same beginning: the instants of a log in memory
//! are those of its places, but for what takes the place of something else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alluvium_core::{
    Batch, DeleteReason, Log, LogEvent, Operation, Plan, ReconcileReason, Scope, Sequence, Timestamp,
};
use alluvium_memory::MemoryLog;
use alluvium_runtime::Replica;
use bytes::Bytes;
use futures_util::StreamExt as _;
use proptest::prelude::*;

use super::watched::Watched;
use super::{done_to, follow, rows, table, truth};

const PATIENCE: Duration = Duration::from_secs(10);
/// The messages that are asked for to find the end of a history, and those at cursors.
const PROBES: u64 = 20;
/// How many keys somebody writes who does anything.
const KEYS: u8 = 12;

/// What somebody does to a log.
#[derive(Clone, Copy, Debug)]
enum Step {
    Put(u8),
    Delete(u8),
    Purge(u8),
    /// Takes a message away, so many before the last.
    Remove(u8),
    /// Takes away the oldest, so many.
    Evict(u8),
}

impl Step {
    fn take(self, log: &MemoryLog, last: &mut Sequence) {
        match self {
            Self::Put(key) => *last = log.put(name(key), format!("after {last}")),
            Self::Delete(key) => *last = log.delete(name(key)),
            Self::Purge(key) => *last = log.purge(name(key)),
            Self::Remove(before) => {
                log.remove(Sequence::new(last.get().saturating_sub(before.into())));
            }
            Self::Evict(beyond) => log.evict_before(Sequence::new(u64::from(beyond))),
        }
    }
}

fn name(key: u8) -> String {
    format!("k{key}")
}

/// A log that began so.
fn lived(steps: &[Step]) -> (MemoryLog, Sequence) {
    let (log, mut last) = (MemoryLog::with_history("l", 1), Sequence::ZERO);
    for step in steps {
        step.take(&log, &mut last);
    }
    (log, last)
}

/// The same, put back to where these steps had taken it: what it writes from now on is another history.
fn put_back(steps: &[Step]) -> (MemoryLog, Sequence) {
    let (log, last) = lived(steps);
    log.put("lost", "and never seen");
    log.cut_after(last);
    (log, last)
}

/// Every message that a log holds of a key.
async fn held(log: &MemoryLog) -> BTreeMap<Bytes, (Sequence, Timestamp)> {
    let current: Vec<_> = log.current(&Scope::all()).await.unwrap().collect().await;
    let put = |event| match event {
        Ok(LogEvent::Change(change)) if change.value().is_some() => {
            Some((change.key, (change.sequence, change.timestamp)))
        }
        _ => None,
    };
    current.into_iter().filter_map(put).collect()
}

fn puts(keys: std::ops::Range<u8>) -> impl Iterator<Item = Step> {
    keys.map(Step::Put)
}

#[tokio::test]
async fn only_what_differs_is_fetched_and_nothing_is_listed() {
    let beginning: Vec<Step> = puts(0..200)
        .chain([Step::Delete(3), Step::Delete(4), Step::Put(200)])
        .collect();
    let (before, mut last) = lived(&beginning);
    let table = table();
    for step in [
        Step::Put(7),
        Step::Delete(8),
        Step::Put(250),
        Step::Put(251),
        Step::Purge(9),
    ] {
        step.take(&before, &mut last);
    }
    follow(&Watched::new(before), &table).await;
    let (log, mut last) = put_back(&beginning);
    // As many, so that the cursor's place is taken.
    for step in [
        Step::Put(10),
        Step::Put(250),
        Step::Put(8),
        Step::Delete(11),
        Step::Put(252),
    ] {
        step.take(&log, &mut last);
    }
    let log = Watched::telling(log, |_, _| {});
    let (batches, reason) = follow(&log, &table).await;
    assert_eq!(reason, Some(ReconcileReason::HistoryChanged));
    assert_eq!((log.listings(), log.listings_with_values()), (0, 0));
    // Two markers, and the keys 7 and 9, which are back.
    assert!(log.fetched() <= 4 + PROBES, "{}", log.fetched());
    assert_eq!(done_to(&batches, "k7").len(), 1);
    assert_eq!(
        done_to(&batches, "k251"),
        [Operation::Delete(DeleteReason::Vanished)]
    );
    assert_eq!(done_to(&batches, "k3"), []);
    let changes: usize = batches.iter().map(|batch| batch.changes.len()).sum();
    assert_eq!(changes, 2 + 5 + 1);
}

#[tokio::test]
async fn a_tail_that_is_lost_and_not_written_again_is_mended_too() {
    let beginning: Vec<Step> = puts(0..100).collect();
    let (before, mut last) = lived(&beginning);
    let table = table();
    for step in puts(90..110) {
        step.take(&before, &mut last);
    }
    follow(&Watched::new(before), &table).await;
    let log = Watched::telling(put_back(&beginning).0, |_, _| {});
    let (batches, reason) = follow(&log, &table).await;
    assert_eq!(reason, Some(ReconcileReason::TailLost));
    assert_eq!((log.listings(), log.listings_with_values()), (0, 0));
    assert_eq!(done_to(&batches, "k95").len(), 1);
    assert_eq!(table.cursor().unwrap().sequence, Sequence::new(100));
}

#[tokio::test]
async fn a_log_that_was_restored_from_a_backup_is_mended_too() {
    let (log, mut last) = lived(&puts(0..200).collect::<Vec<_>>());
    let (table, backed_up) = (table(), last);
    for step in puts(190..210) {
        step.take(&log, &mut last);
    }
    follow(&Watched::new(log.clone()), &table).await;
    log.restore_to(backed_up);
    for step in puts(195..240) {
        step.take(&log, &mut last);
    }
    let log = Watched::telling(log, |_, _| {});
    let (batches, reason) = follow(&log, &table).await;
    assert_eq!(reason, Some(ReconcileReason::LogReplaced));
    assert_eq!((log.listings(), log.listings_with_values()), (0, 0));
    assert_eq!(done_to(&batches, "k3"), []);
    assert_eq!(rows(&table), truth(&log.log).await);
}

#[tokio::test]
async fn a_log_that_shares_nothing_with_the_one_before_is_filled_anew() {
    let (log, mut last) = lived(&puts(0..200).collect::<Vec<_>>());
    let table = table();
    follow(&Watched::new(log.clone()), &table).await;
    log.replace();
    for step in puts(0..240) {
        step.take(&log, &mut last);
    }
    let log = Watched::telling(log, |_, _| {});
    let (_, reason) = follow(&log, &table).await;
    assert_eq!(reason, Some(ReconcileReason::LogReplaced));
    assert_eq!(log.listings(), 0);
    assert!(log.fetched() <= PROBES, "{}", log.fetched());
    assert_eq!(rows(&table), truth(&log.log).await);
}

#[tokio::test]
async fn what_differs_in_most_is_listed() {
    let (before, _) = lived(&puts(0..250).collect::<Vec<_>>());
    let table = table();
    follow(&Watched::new(before), &table).await;
    let (log, mut last) = put_back(&[]);
    for step in puts(0..200).chain(puts(0..200)) {
        step.take(&log, &mut last);
    }
    // Of these it holds nothing that the table has.
    let log = Watched::telling(log, |_, _| {});
    let (_, reason) = follow(&log, &table).await;
    assert_eq!(reason, Some(ReconcileReason::HistoryChanged));
    assert_eq!(log.listings_with_values(), 0);
}

/// What a reader of the table has seen, and what may come.
struct Reader {
    shown: BTreeMap<Bytes, (Sequence, Timestamp)>,
    /// Messages of this history, by key.
    history: BTreeMap<Bytes, BTreeSet<(Sequence, Timestamp)>>,
    /// Keys that were gone at some time since the table is being mended.
    were_gone: BTreeSet<Bytes>,
}

impl Reader {
    fn knows(&mut self, held: BTreeMap<Bytes, (Sequence, Timestamp)>) {
        let keys = (0..KEYS).map(|key| Bytes::from(name(key)));
        self.were_gone.extend(keys.filter(|key| !held.contains_key(key)));
        for (key, message) in held {
            self.history.entry(key).or_default().insert(message);
        }
    }

    fn sees(&mut self, batch: &Batch) {
        for change in &batch.changes {
            let of_key = self.history.entry(change.key.clone()).or_default();
            if change.value().is_none() {
                if change.operation == Operation::Delete(DeleteReason::Vanished) {
                    let was_held = !of_key.is_empty();
                    assert!(
                        !was_held || self.were_gone.contains(&change.key),
                        "{:?} was never gone",
                        change.key
                    );
                }
                self.shown.remove(&change.key);
                continue;
            }
            let now = (change.sequence, change.timestamp);
            assert!(of_key.contains(&now), "{:?} was never {now:?}", change.key);
            let before = self.shown.insert(change.key.clone(), now);
            if let Some(before) = before.filter(|before| of_key.contains(before)) {
                assert!(
                    before <= now,
                    "{:?} went back from {before:?} to {now:?}",
                    change.key
                );
            }
        }
    }
}

/// A table of a log that was put back is mended while it is written to and taken from.
async fn is_mended(
    beginning: &[Step],
    tail: &[Step],
    written: &[Step],
    meanwhile: Vec<Step>,
    restored: bool,
) {
    let (before, mut end) = lived(beginning);
    for step in tail {
        step.take(&before, &mut end);
    }
    let table = table();
    follow(&Watched::new(before), &table).await;
    let (log, mut last) = put_back(beginning);
    if restored {
        log.restore_to(last);
    }
    for step in written {
        step.take(&log, &mut last);
    }
    let shown = table
        .snapshot()
        .unwrap()
        .scan(&alluvium_core::KeyRange::all())
        .unwrap();
    let shown = shown.map(|row| {
        row.map(|(key, entry)| (key, (entry.sequence, entry.timestamp)))
            .unwrap()
    });
    let reader = Arc::new(Mutex::new(Reader {
        shown: shown.collect(),
        history: BTreeMap::new(),
        were_gone: BTreeSet::new(),
    }));
    let now = held(&log).await;
    reader.lock().unwrap().knows(now);
    let (known, seen) = (Arc::clone(&reader), Arc::clone(&reader));
    let mut rest = meanwhile.into_iter();
    let log = Watched::telling(log, move |log, _| {
        // Under the lock, so that nothing is seen of it before it is known.
        let mut reader = known.lock().unwrap();
        if let Some(step) = rest.next() {
            step.take(log, &mut last);
            let held = futures_util::FutureExt::now_or_never(held(log)).unwrap();
            reader.knows(held);
        }
    });
    let replica = Replica::builder(Arc::clone(&log) as Arc<dyn Log>, Arc::clone(&table))
        .bounds_every(Duration::from_millis(2))
        .on_batch(move |batch| {
            seen.lock().unwrap().sees(batch);
            Ok(())
        })
        .start()
        .await
        .unwrap();
    let plan = replica.status().plan;
    let is_found = tail.is_empty() || !matches!(plan, Some(Plan::Resume { .. }));
    if !is_found {
        // The message at the cursor's place is gone from a log that goes on after it, or it is the same as before and only what was
        // taken away before it is back. Nobody can tell.
        replica.shutdown().await.unwrap();
        return;
    }
    let right = async {
        replica.caught_up().await.unwrap();
        let mut status = replica.watch_status();
        while rows(&table) != truth(&log.log).await {
            status.changed().await.unwrap();
        }
    };
    let outcome = tokio::time::timeout(PATIENCE, right).await;
    assert!(
        outcome.is_ok(),
        "{plan:?}\n{:?}\nand not {:?}\n{:?}",
        rows(&table),
        truth(&log.log).await,
        replica.status()
    );
    replica.shutdown().await.unwrap();
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..KEYS).prop_map(Step::Put),
        2 => (0..KEYS).prop_map(Step::Delete),
        1 => (0..KEYS).prop_map(Step::Purge),
        2 => (0..10_u8).prop_map(Step::Remove),
        1 => (0..20_u8).prop_map(Step::Evict),
    ]
}

fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 0..most)
}

proptest! {
    #[test]
    fn whatever_was_lost_and_written_since_and_is_written_now_the_table_becomes_the_truth(
        beginning in steps(40),
        lost in steps(15),
        written in steps(25),
        meanwhile in steps(12),
        restored: bool,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(is_mended(&beginning, &lost, &written, meanwhile, restored));
    }
}
