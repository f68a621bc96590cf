//! A mirror forgets what its log forgets, and lists that log only when the numbers leave open what is gone.

use std::sync::Arc;
use std::time::Duration;

use alluvium_core::{Batch, DeleteReason, Log, Operation, Scope, Sequence, Table};
use alluvium_memory::MemoryLog;
use alluvium_runtime::Replica;
use tokio::sync::mpsc;

use super::watched::Watched;
use super::{rows, table, truth};

const PATIENCE: Duration = Duration::from_mins(1);

/// A running mirror.
struct Mirror {
    log: Arc<Watched>,
    table: Arc<dyn Table>,
    replica: Replica,
    batches: mpsc::UnboundedReceiver<Batch>,
}

impl Mirror {
    async fn start(log: &MemoryLog, scope: Scope) -> Self {
        let (log, table) = (Watched::new(log.clone()), table());
        Self::start_on(log, table, scope).await
    }

    async fn start_on(log: Arc<Watched>, table: Arc<dyn Table>, scope: Scope) -> Self {
        let (tell, batches) = mpsc::unbounded_channel();
        let replica = Replica::builder(Arc::clone(&log) as Arc<dyn Log>, Arc::clone(&table))
            .scope(scope)
            .bounds_every(Duration::from_millis(2))
            .on_batch(move |batch| Ok(tell.send(batch.clone())?))
            .start()
            .await
            .unwrap();
        replica.caught_up().await.unwrap();
        Self {
            log,
            table,
            replica,
            batches,
        }
    }

    /// Waits until the table holds what the log holds.
    async fn is_right(&self) {
        let right = async {
            let mut status = self.replica.watch_status();
            while rows(&self.table) != truth(&self.log.log).await {
                status.changed().await.unwrap();
            }
        };
        let outcome = tokio::time::timeout(PATIENCE, right).await;
        assert!(outcome.is_ok(), "{:?}", self.replica.status());
    }

    /// Waits for so many more looks at the log.
    async fn looks(&self, count: u64) {
        let last = self.log.surveys() + count;
        let looked = async {
            let mut status = self.replica.watch_status();
            while self.log.surveys() < last {
                status.changed().await.unwrap();
            }
        };
        tokio::time::timeout(PATIENCE, looked).await.unwrap();
    }

    /// Waits until the log was once listed, as it is after a start.
    async fn is_settled(&self) {
        let listed = async {
            let mut status = self.replica.watch_status();
            while self.log.listings() == 0 {
                status.changed().await.unwrap();
            }
        };
        tokio::time::timeout(PATIENCE, listed).await.unwrap();
        // The next look finds what the listing has left.
        self.looks(2).await;
    }

    async fn stop(self) -> (Arc<Watched>, Arc<dyn Table>) {
        self.replica.shutdown().await.unwrap();
        (self.log, self.table)
    }
}

fn filled(keys: u64) -> MemoryLog {
    let log = MemoryLog::with_history("l", 1);
    for key in 0..keys {
        log.put(format!("a.{key}"), "1");
    }
    log
}

#[tokio::test]
async fn rows_below_the_first_message_go_and_the_cursor_stays() {
    let log = filled(200);
    let mut mirror = Mirror::start(&log, Scope::all()).await;
    for first in [2, 100, 150, 201] {
        log.evict_before(Sequence::new(first));
        mirror.is_right().await;
    }
    assert_eq!(mirror.table.cursor().unwrap().sequence, Sequence::new(200));
    let mut gone = 0;
    while let Ok(batch) = mirror.batches.try_recv() {
        let deletes = batch.changes.iter().filter(|change| {
            assert_eq!(batch.cursor.as_ref().unwrap().sequence, Sequence::new(200));
            change.operation == Operation::Delete(DeleteReason::Vanished)
        });
        let deletes = if batch.changes.iter().any(|change| change.value().is_some()) {
            0
        } else {
            deletes.count()
        };
        gone += deletes;
    }
    assert_eq!(gone, 200, "the hook is given each row that goes");
    mirror.stop().await;
}

#[tokio::test]
async fn a_message_that_vanishes_is_found_while_others_are_written() {
    let log = filled(100);
    let mirror = Mirror::start(&log, Scope::all()).await;
    mirror.is_settled().await;
    for round in 0..20 {
        log.put(format!("a.{}", 50 + round), "2");
        log.put(format!("new.{round}"), "1");
        log.remove(Sequence::new(1 + round));
        mirror.is_right().await;
    }
    mirror.stop().await;
}

#[tokio::test]
async fn a_message_before_the_one_that_vanished_is_shown_again() {
    let log = MemoryLog::with_history("l", 5);
    for value in ["1", "2", "3"] {
        for key in 0..10 {
            log.put(format!("a.{key}"), value);
        }
    }
    log.put("deleted", "1");
    log.delete("deleted");
    let after_the_marker = log.put("deleted", "2");
    let mirror = Mirror::start(&log, Scope::all()).await;
    mirror.is_settled().await;
    for round in 0..5 {
        log.remove(Sequence::new(21 + round));
        log.put(format!("new.{round}"), "1");
        mirror.is_right().await;
    }
    // Its marker is the last again.
    log.remove(after_the_marker);
    mirror.is_right().await;
    // The same key once more, and then for good.
    for gone in [11, 1] {
        log.remove(Sequence::new(gone));
        mirror.is_right().await;
    }
    assert_eq!(rows(&mirror.table).len(), 14);
    mirror.stop().await;
}

#[tokio::test]
async fn what_vanished_while_nobody_followed_is_found() {
    let log = filled(100);
    let (watched, table) = Mirror::start(&log, Scope::all()).await.stop().await;
    log.remove(Sequence::new(7));
    log.put("a.8", "2");
    let mirror = Mirror::start_on(watched, table, Scope::all()).await;
    mirror.is_right().await;
    mirror.stop().await;
}

#[tokio::test]
async fn of_a_part_of_a_log_it_is_found_too() {
    let log = filled(100);
    log.put("b", "1");
    let mirror = Mirror::start(&log, Scope::of(["a.>"]).unwrap()).await;
    mirror.is_settled().await;
    log.remove(Sequence::new(7));
    log.put("b", "2");
    let right = async {
        let mut status = mirror.replica.watch_status();
        while rows(&mirror.table).contains_key(&b"a.6"[..]) {
            status.changed().await.unwrap();
        }
    };
    tokio::time::timeout(PATIENCE, right).await.unwrap();
    assert_eq!(rows(&mirror.table).len(), 99);
    // A look at what the log holds is no reading of it.
    assert!(mirror.log.listings() > 0);
    assert_eq!(mirror.replica.status().received, 100);
    mirror.stop().await;
}

#[tokio::test]
async fn numbers_that_add_up_need_no_listing() {
    let log = filled(100);
    let mirror = Mirror::start(&log, Scope::all()).await;
    mirror.is_settled().await;
    let before = mirror.log.listings();
    // Overwritten, new, deleted, put again, evicted: all of it is in the count of keys.
    for round in 0..20 {
        log.put(format!("a.{}", 60 + round), "2");
        log.put(format!("new.{round}"), "1");
        log.delete(format!("a.{}", 30 + round));
        mirror.looks(3).await;
        log.put(format!("a.{}", 30 + round), "again");
        log.evict_before(Sequence::new(1 + round));
        mirror.looks(3).await;
        mirror.is_right().await;
    }
    assert_eq!(mirror.log.listings(), before);
    mirror.stop().await;
}

#[tokio::test]
async fn a_reconcile_has_room_in_the_smallest_queue() {
    for is_replaced in [false, true] {
        let (log, table) = super::with_a_lost_tail(3_000).await;
        if is_replaced {
            log.replace();
        }
        for key in 0..3_000 {
            log.put(format!("k{key}"), "again");
        }
        let replica = Replica::builder(Arc::new(log.clone()), Arc::clone(&table)).queue_bytes(1);
        let replica = replica.start().await.unwrap();
        tokio::time::timeout(Duration::from_mins(1), replica.caught_up())
            .await
            .unwrap()
            .unwrap();
        replica.shutdown().await.unwrap();
        assert_eq!(rows(&table), truth(&log).await);
    }
}
