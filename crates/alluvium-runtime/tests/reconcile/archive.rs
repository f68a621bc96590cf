//! An archive keeps what was merely evicted, and never takes what is not listed for deleted once its log could evict.

use std::sync::Arc;
use std::time::Duration;

use alluvium_core::{
    Hindrance, Log, Mode, Plan, ReconcileReason, RefuseReason, Retention, Sequence, Table, TableError,
};
use alluvium_memory::MemoryLog;
use alluvium_runtime::{Replica, ReplicaBuilder, ReplicaError, State};

use super::watched::Watched;
use super::{rows, table};
use crate::eventually::eventually;

fn forgetful() -> Retention {
    Retention {
        max_messages: Some(1_000),
        ..Retention::default()
    }
}

fn builder(log: impl Log, table: &Arc<dyn Table>) -> ReplicaBuilder {
    Replica::builder(Arc::new(log), Arc::clone(table)).mode(Mode::Archive)
}

/// Follows until it is caught up, and tells what the plan was.
async fn follow(log: &MemoryLog, table: &Arc<dyn Table>) -> Plan {
    let replica = builder(log.clone(), table).start().await.unwrap();
    replica.caught_up().await.unwrap();
    let plan = replica.status().plan.unwrap();
    replica.shutdown().await.unwrap();
    plan
}

fn keys(table: &Arc<dyn Table>) -> Vec<String> {
    let keys = rows(table).into_keys();
    keys.map(|key| String::from_utf8(key.to_vec()).unwrap()).collect()
}

/// Why an archive is not continued.
async fn refused(log: &MemoryLog, table: &Arc<dyn Table>) -> (ReconcileReason, Hindrance) {
    let before = rows(table);
    let error = builder(log.clone(), table).start().await.unwrap_err();
    assert_eq!(rows(table), before, "a refused table is left alone");
    match error {
        ReplicaError::Refused(RefuseReason::Archive { cause, artifact, .. }) => (cause, artifact),
        error => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn what_is_evicted_stays_and_what_is_deleted_goes() {
    let (log, table) = (MemoryLog::new("l"), table());
    log.set_retention(forgetful());
    for key in ["evicted", "deleted", "kept"] {
        log.put(key, "1");
    }
    follow(&log, &table).await;
    log.evict_before(Sequence::new(3));
    log.delete("deleted");
    follow(&log, &table).await;
    assert_eq!(keys(&table), ["evicted", "kept"]);
    // The marker goes, too, and so does everything else.
    log.evict_before(Sequence::new(5));
    follow(&log, &table).await;
    assert_eq!(keys(&table), ["evicted", "kept"]);
}

#[tokio::test]
async fn one_that_its_log_overran_is_refused_and_left_alone() {
    let (log, table) = (MemoryLog::new("l"), table());
    log.set_retention(forgetful());
    log.put("a", "1");
    follow(&log, &table).await;
    for key in ["b", "c", "d"] {
        log.put(key, "1");
    }
    log.evict_before(Sequence::new(4));
    assert_eq!(
        refused(&log, &table).await,
        (ReconcileReason::Overrun, Hindrance::None)
    );
}

#[tokio::test]
async fn a_log_that_could_evict_once_is_never_listed_for_what_was_deleted() {
    let (log, table) = (MemoryLog::new("l"), table());
    log.set_retention(forgetful());
    log.put("evicted", "1");
    let kept = log.put("kept", "1");
    log.put("lost", "1");
    follow(&log, &table).await;
    log.evict_before(kept);
    log.set_retention(Retention::default());
    log.cut_after(kept);
    assert!(table.has_evicted());
    assert_eq!(
        refused(&log, &table).await,
        (ReconcileReason::TailLost, Hindrance::None)
    );
    assert_eq!(keys(&table), ["evicted", "kept", "lost"]);
}

#[tokio::test]
async fn one_whose_log_never_evicts_is_put_right_by_listing_it() {
    let (log, table) = (MemoryLog::new("l"), table());
    let kept = log.put("kept", "1");
    log.put("lost", "1");
    follow(&log, &table).await;
    assert!(!table.has_evicted());
    log.cut_after(kept);
    let plan = follow(&log, &table).await;
    assert_eq!(plan, Plan::Reconcile(ReconcileReason::TailLost));
    assert_eq!(keys(&table), ["kept"]);
}

#[tokio::test]
async fn a_log_that_begins_to_evict_under_a_running_replica_is_remembered() {
    let (log, table) = (MemoryLog::new("l"), table());
    log.put("a", "1");
    let replica = builder(log.clone(), &table)
        .bounds_every(Duration::from_millis(5))
        .start()
        .await
        .unwrap();
    replica.caught_up().await.unwrap();
    assert!(!table.has_evicted());
    log.set_retention(forgetful());
    let mut status = replica.watch_status();
    let remembered = async {
        while !table.has_evicted() {
            status.changed().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_mins(1), remembered)
        .await
        .unwrap();
    replica.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_a_log_may_have_evicted_while_it_was_listed_stays() {
    let (log, table) = (MemoryLog::new("l"), table());
    log.put("before", "1");
    let kept = log.put("kept", "1");
    log.put("before", "lost");
    log.put("lost", "1");
    follow(&log, &table).await;
    log.cut_after(kept);
    // It begins to evict when the first value is fetched.
    let log = Watched::with(log, |log, sequence| {
        if sequence == Sequence::FIRST {
            log.set_retention(forgetful());
        }
    });
    let replica = Replica::builder(log, Arc::clone(&table))
        .mode(Mode::Archive)
        .start()
        .await
        .unwrap();
    // Nobody can tell what has become of the row that was not listed.
    let error = replica.stopped().await.unwrap_err();
    let ReplicaError::Refused(RefuseReason::Archive { cause, .. }) = error else {
        panic!("{error:?}")
    };
    assert_eq!(cause, ReconcileReason::Interrupted);
    assert_eq!(keys(&table), ["before", "kept", "lost"]);
    assert_eq!(table.get(b"before").unwrap().unwrap().value, "1");
    assert!(table.has_evicted());
}

#[tokio::test]
async fn a_table_keeps_the_mode_it_was_made_with() {
    let (log, table) = (MemoryLog::new("l"), table());
    log.put("a", "1");
    follow(&log, &table).await;
    let error = Replica::builder(Arc::new(log.clone()), Arc::clone(&table))
        .start()
        .await
        .unwrap_err();
    let ReplicaError::Table(error) = error else {
        panic!("{error:?}")
    };
    let TableError::Mismatch { stored, expected } = &*error else {
        panic!("{error:?}")
    };
    assert_eq!((stored.mode, expected.mode), (Mode::Archive, Mode::Mirror));
    assert!(
        error.to_string().contains("use another state directory"),
        "{error}"
    );
    follow(&log, &table).await;
}

#[tokio::test]
async fn a_refused_table_is_served_stale_if_that_is_asked_for() {
    let (log, table) = (MemoryLog::new("l"), table());
    log.set_retention(forgetful());
    let kept = log.put("a", "1");
    log.put("b", "1");
    follow(&log, &table).await;
    log.cut_after(kept);
    let replica = builder(log.clone(), &table)
        .serve_when_refused(true)
        .bounds_every(Duration::from_millis(5))
        .start()
        .await
        .unwrap();
    let mut status = replica.watch_status();
    let refused = status.wait_for(|status| status.state == State::Refused);
    let status_then = tokio::time::timeout(Duration::from_mins(1), refused)
        .await
        .unwrap()
        .unwrap()
        .clone();
    assert!(status_then.is_stale());
    assert!(
        matches!(status_then.plan, Some(Plan::Refuse(_))),
        "{:?}",
        status_then.plan
    );
    assert!(matches!(status_then.error, Some(ReplicaError::Refused(_))));
    assert_eq!(replica.get("b").unwrap().unwrap().value, "1");
    replica.shutdown().await.unwrap();
    assert_eq!(keys(&table), ["a", "b"]);
}

/// A replica that is held up in its hook, of a log that evicts what it has not read.
async fn overrun_while_it_reads(mode: Mode) -> (MemoryLog, Arc<dyn Table>, Replica) {
    // Two pieces are received: one is being applied, one waits for room.
    const RECEIVED: u64 = 2 * 1_024;
    let (log, table) = (MemoryLog::new("l"), table());
    log.set_retention(forgetful());
    let (open, gate) = std::sync::mpsc::channel::<()>();
    let replica = builder(log.clone(), &table)
        .mode(mode)
        .queue_bytes(1)
        .bounds_every(Duration::from_millis(5))
        // Waits until the gate is open, and does not wait again.
        .on_batch(move |_| {
            // An error is what it waits for.
            let _ = gate.recv();
            Ok(())
        })
        .start()
        .await
        .unwrap();
    for key in 0..RECEIVED + 900 {
        log.put(format!("k{key}"), "1");
    }
    eventually("it has received that", || replica.status().received >= RECEIVED).await;
    log.evict_before(Sequence::new(RECEIVED + 800));
    drop(open);
    (log, table, replica)
}

#[tokio::test]
async fn one_that_is_overrun_while_it_reads_stops_where_it_is_sure() {
    let (_, table, replica) = overrun_while_it_reads(Mode::Archive).await;
    let stopped = tokio::time::timeout(Duration::from_mins(1), replica.stopped())
        .await
        .unwrap();
    let Err(ReplicaError::Refused(RefuseReason::Archive { cause, .. })) = stopped else {
        panic!("{stopped:?}")
    };
    assert_eq!(cause, ReconcileReason::Overrun);
    assert_eq!(keys(&table).len(), 2 * 1_024);
    assert_eq!(table.cursor().unwrap().sequence, Sequence::new(2 * 1_024));
}

#[tokio::test]
async fn a_mirror_that_is_overrun_while_it_reads_goes_on_and_holds_what_its_log_holds() {
    let (log, table, replica) = overrun_while_it_reads(Mode::Mirror).await;
    let mut status = replica.watch_status();
    let right = async {
        while rows(&table) != super::truth(&log).await {
            status.changed().await.unwrap();
        }
    };
    let outcome = tokio::time::timeout(Duration::from_mins(1), right).await;
    assert!(outcome.is_ok(), "{:?}", replica.status());
    replica.shutdown().await.unwrap();
}
