//! An archive forgets what was purged without a marker while its log never evicts, and nothing of it once the log may evict.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alluvium_core::{
    Change, DeleteReason, Listed, Log, Mode, ReconcileReason, RefuseReason, Retention, Scope, Sequence, Table,
};
use alluvium_memory::MemoryLog;
use alluvium_runtime::{Replica, ReplicaError};

use super::stepped::Stepped;
use super::{rows, table, truth};

const PATIENCE: Duration = Duration::from_mins(1);

/// A running archive.
struct Archive {
    log: Arc<Stepped>,
    table: Arc<dyn Table>,
    replica: Replica,
}

impl Archive {
    async fn start(log: Stepped, table: Arc<dyn Table>) -> Self {
        Self::of(log, table, Scope::all()).await
    }

    async fn of(log: Stepped, table: Arc<dyn Table>, scope: Scope) -> Self {
        let log = Arc::new(log);
        let replica = Replica::builder(Arc::clone(&log) as Arc<dyn Log>, Arc::clone(&table))
            .mode(Mode::Archive)
            .scope(scope)
            .bounds_every(Duration::from_millis(2))
            .start()
            .await
            .unwrap();
        replica.caught_up().await.unwrap();
        Self { log, table, replica }
    }

    async fn until(&self, what: &str, holds: impl AsyncFn() -> bool) {
        let mut status = self.replica.watch_status();
        let come = async {
            while !holds().await {
                status.changed().await.unwrap();
            }
        };
        let outcome = tokio::time::timeout(PATIENCE, come).await;
        assert!(outcome.is_ok(), "{what}: {:?}", self.replica.status());
    }

    async fn is_right(&self) {
        let right = async || rows(&self.table) == truth(&self.log.log).await;
        self.until("the archive holds what the log holds", right).await;
    }

    /// Waits for so many more looks at the log.
    async fn looks(&self, count: u64) {
        let last = self.log.surveys.load(Ordering::SeqCst) + count;
        let looked = async || self.log.surveys.load(Ordering::SeqCst) >= last;
        self.until("the log is looked at", looked).await;
    }

    fn has(&self, key: &str) -> bool {
        self.table.get(key.as_bytes()).unwrap().is_some()
    }

    async fn stop(self) -> Arc<dyn Table> {
        self.replica.shutdown().await.unwrap();
        self.table
    }
}

fn filled(keys: u64) -> MemoryLog {
    let log = MemoryLog::with_history("l", 1);
    for key in 1..=keys {
        log.put(format!("k{key}"), "1");
    }
    log
}

fn may_evict(log: &MemoryLog) {
    log.set_retention(Retention {
        max_messages: Some(1_000),
        ..Retention::default()
    });
}

#[tokio::test]
async fn what_is_purged_without_a_marker_goes() {
    let log = filled(100);
    let archive = Archive::start(Stepped::new(&log), table()).await;
    archive.is_right().await;
    log.remove(Sequence::new(7));
    archive.is_right().await;
    for round in 0..20 {
        log.put(format!("k{}", 50 + round), "2");
        log.put(format!("new{round}"), "1");
        log.remove(Sequence::new(20 + round));
        archive.is_right().await;
    }
    log.evict_before(Sequence::new(45));
    archive.is_right().await;
    let last = log.bounds().await.unwrap().last;
    log.evict_before(last.next());
    archive.is_right().await;
    assert!(rows(&archive.table).is_empty());
    assert!(!archive.table.has_evicted());
    archive.stop().await;
}

#[tokio::test]
async fn what_was_purged_while_nobody_followed_goes() {
    let log = filled(100);
    let table = Archive::start(Stepped::new(&log), table()).await.stop().await;
    log.remove(Sequence::new(7));
    log.put("k8", "2");
    let archive = Archive::start(Stepped::new(&log), table).await;
    archive.is_right().await;
    let table = archive.stop().await;
    log.evict_before(Sequence::new(60));
    let archive = Archive::start(Stepped::new(&log), table).await;
    archive.is_right().await;
    archive.stop().await;
}

#[tokio::test]
async fn of_a_part_of_a_log_it_goes_too() {
    let log = filled(10);
    let archive = Archive::of(Stepped::new(&log), table(), Scope::of(["k3"]).unwrap()).await;
    archive.looks(3).await;
    log.remove(Sequence::new(3));
    archive
        .until("the row goes", async || rows(&archive.table).is_empty())
        .await;
    archive.stop().await;
}

/// The log begins to evict at each step of what the archive asks it while it is about to forget what was purged.
#[tokio::test]
async fn a_log_that_begins_to_evict_at_any_moment_takes_nothing_from_the_archive() {
    for step in 0.. {
        let log = filled(20);
        let stepped = Stepped::new(&log);
        let evicting = log.clone();
        let act = move || {
            may_evict(&evicting);
            evicting.evict_before(Sequence::new(8));
            evicting.remove(Sequence::new(12));
        };
        *stepped.act.lock().unwrap() = Some((step, Box::new(act)));
        let archive = Archive::start(stepped, table()).await;
        archive.is_right().await;
        log.remove(Sequence::new(1));
        log.remove(Sequence::new(10));
        archive.log.is_armed.store(true, Ordering::SeqCst);
        let is_over = async || archive.table.has_evicted() || !(archive.has("k1") || archive.has("k10"));
        archive.until("it goes or stays", is_over).await;
        if !archive.log.has_acted() {
            assert!(step > 6, "there are moments in between");
            return;
        }
        let remembers = async || archive.table.has_evicted();
        archive.until("it is remembered", remembers).await;
        archive.looks(3).await;
        for key in (2..=20).filter(|key| *key != 10) {
            assert!(archive.has(&format!("k{key}")), "k{key} at step {step}");
        }
        archive.stop().await;
    }
}

/// It is remembered by another way than a look at the log: the moment of the delete counts.
#[tokio::test]
async fn a_table_that_is_told_at_any_moment_forgets_nothing_any_more() {
    let mut stayed = 0;
    for step in 0.. {
        let log = filled(20);
        let table = table();
        let stepped = Stepped {
            surveys_are_steps: false,
            ..Stepped::new(&log)
        };
        let told = Arc::clone(&table);
        let held = Arc::new(Mutex::new(None));
        let then = Arc::clone(&held);
        let act = move || {
            told.remember_eviction().unwrap();
            *then.lock().unwrap() = Some(rows(&told));
        };
        *stepped.act.lock().unwrap() = Some((step, Box::new(act)));
        let archive = Archive::start(stepped, table).await;
        archive.is_right().await;
        log.remove(Sequence::new(1));
        log.remove(Sequence::new(10));
        archive.log.is_armed.store(true, Ordering::SeqCst);
        let is_over = async || archive.log.has_acted() || !(archive.has("k1") || archive.has("k10"));
        archive.until("it goes or stays", is_over).await;
        if !archive.log.has_acted() {
            break;
        }
        archive.looks(3).await;
        assert_eq!(
            Some(rows(&archive.table)),
            *held.lock().unwrap(),
            "at step {step}"
        );
        stayed += usize::from(archive.has("k10"));
        archive.stop().await;
    }
    assert!(stayed > 3, "{stayed}");
}

#[tokio::test]
async fn a_log_that_no_longer_evicts_takes_nothing_from_an_archive_that_saw_it() {
    let log = filled(20);
    may_evict(&log);
    let archive = Archive::start(Stepped::new(&log), table()).await;
    archive.looks(3).await;
    log.evict_before(Sequence::new(5));
    log.set_retention(Retention::default());
    log.remove(Sequence::new(10));
    archive.looks(5).await;
    assert_eq!(rows(&archive.table).len(), 20);
    let archive = Archive::start(Stepped::new(&log), archive.stop().await).await;
    archive.looks(5).await;
    assert_eq!(rows(&archive.table).len(), 20);
    archive.stop().await;
}

/// A log that lists the marker of an expiry of a key, though it says that it never evicts.
fn with_a_marker(log: &MemoryLog, key: &'static str, at: &Change) -> Stepped {
    let expired = Listed {
        key: key.into(),
        sequence: at.sequence,
        timestamp: at.timestamp,
        deleted: Some(DeleteReason::Expired),
    };
    Stepped {
        also_lists: Some(expired),
        ..Stepped::new(log)
    }
}

#[tokio::test]
async fn a_marker_of_an_expiry_tells_that_the_log_evicts() {
    let log = filled(20);
    let table = Archive::start(Stepped::new(&log), table()).await.stop().await;
    log.remove(Sequence::new(10));
    let last = log.message_at(Sequence::new(20)).await.unwrap().unwrap();
    let archive = Archive::start(with_a_marker(&log, "k10", &last), table).await;
    let remembers = async || archive.table.has_evicted();
    archive.until("it is remembered", remembers).await;
    archive.looks(3).await;
    assert!(archive.has("k10"));
    archive.stop().await;
}

#[tokio::test]
async fn a_repair_that_meets_a_marker_of_an_expiry_keeps_the_row() {
    let log = filled(20);
    let table = Archive::start(Stepped::new(&log), table()).await.stop().await;
    table.amend(&[]).unwrap();
    log.remove(Sequence::new(10));
    let last = log.message_at(Sequence::new(20)).await.unwrap().unwrap();
    let archive = Archive::start(with_a_marker(&log, "k10", &last), table).await;
    assert!(archive.has("k10"));
    assert!(archive.table.has_evicted());
    archive.stop().await;
}

/// What else is not listed may have expired, too.
#[tokio::test]
async fn a_repair_that_meets_a_marker_of_an_expiry_deletes_nothing_for_not_being_listed() {
    let log = filled(20);
    let table = Archive::start(Stepped::new(&log), table()).await.stop().await;
    table.amend(&[]).unwrap();
    for gone in [10, 11] {
        log.remove(Sequence::new(gone));
    }
    let last = log.message_at(Sequence::new(20)).await.unwrap().unwrap();
    is_refused(with_a_marker(&log, "k10", &last), &table).await;
    assert_eq!(rows(&table).len(), 20);
}

/// The archive cannot be repaired, and says so.
async fn is_refused(log: Stepped, table: &Arc<dyn Table>) {
    let replica = Replica::builder(Arc::new(log), Arc::clone(table)).mode(Mode::Archive);
    let replica = replica.start().await.unwrap();
    let stopped = tokio::time::timeout(PATIENCE, replica.stopped()).await;
    let Ok(Err(ReplicaError::Refused(RefuseReason::Archive { cause, .. }))) = stopped else {
        panic!("{stopped:?}: {:?}", replica.status())
    };
    assert_eq!(cause, ReconcileReason::Interrupted);
}

/// Its row is newer than the end of the log, and no other listing ever tells what it is.
#[tokio::test]
async fn a_repair_that_meets_a_marker_of_an_expiry_before_a_lost_row_ends() {
    let log = filled(20);
    log.put("k10", "lost");
    let table = Archive::start(Stepped::new(&log), table()).await.stop().await;
    log.cut_after(Sequence::new(20));
    let last = log.message_at(Sequence::new(20)).await.unwrap().unwrap();
    is_refused(with_a_marker(&log, "k10", &last), &table).await;
    assert_eq!(table.get(b"k10").unwrap().unwrap().value, "lost");
}

#[tokio::test]
async fn what_a_history_holds_before_what_is_gone_is_the_last_again() {
    let log = MemoryLog::with_history("l", 5);
    for value in ["1", "2"] {
        for key in 1..=20 {
            log.put(format!("k{key}"), value);
        }
    }
    log.put("once", "1");
    let archive = Archive::start(Stepped::new(&log), table()).await;
    archive.is_right().await;
    for gone in [25, 30] {
        // As many keys as before, and as many messages as there could be.
        log.remove(Sequence::new(gone));
        log.put("once", "2");
        archive.is_right().await;
    }
    log.remove(Sequence::new(41));
    archive.is_right().await;
    assert_eq!(rows(&archive.table).len(), 21);
    archive.stop().await;
}
