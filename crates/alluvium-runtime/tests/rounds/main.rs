//! Rounds of exports beside replicas: real tables, leases and stores, and a log in memory.

mod fleet;
mod leases;
mod log;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use alluvium_conformance::{Fault, FaultyStore};
use alluvium_core::artifact::{BaseReason, ExportPlan};
use alluvium_core::{Cursor, RetentionPolicy, Sequence, Table as _, Transport as _};
use alluvium_runtime::{ExportError, Exported, Replica, Round, SkipReason, State};
use object_store::memory::InMemory;

use crate::fleet::{Fleet, exports, key, make_unreadable, mend, rows_of, table, until, until_exports};
use crate::log::identity;

const TICK: Duration = Duration::from_millis(20);

#[tokio::test]
async fn what_changes_is_published_round_by_round_and_nothing_else() {
    let fleet = Fleet::new();
    fleet.log.put("eu", "0");
    let replica = fleet.replica(fleet.schedule().every(TICK)).await;
    for round in 1..=5_u64 {
        until_exports(&replica, |exports| exports.published == round).await;
        assert_eq!(fleet.newest_rows().await, rows_of(replica.table().as_ref()));
        // Rounds in which nothing had changed.
        let idle = exports(&replica).rounds + 3;
        until_exports(&replica, |exports| exports.rounds >= idle).await;
        let status = exports(&replica);
        assert_eq!(
            (status.published, status.cursor.unwrap().sequence),
            (round, Sequence::new(round))
        );
        assert_eq!(fleet.published().await as u64, round);
        fleet.log.put("eu", &round.to_string());
    }
    let newest = fleet.transport.manifest(&key()).await.unwrap().unwrap();
    assert!(newest.parent.is_some());
    replica.shutdown().await.unwrap();
}

#[tokio::test]
async fn an_export_on_demand_is_told_what_came_of_it() {
    let fleet = Fleet::new();
    let last = fleet.log.put("eu", "1");
    let replica = fleet.replica(fleet.schedule()).await;
    let Round::Exported(Exported::Published(report)) = replica.export_now().await.unwrap() else {
        panic!("not published");
    };
    assert_eq!(
        (report.plan, report.published.manifest.cursor.sequence),
        (ExportPlan::Base(BaseReason::First), last)
    );
    let again = replica.export_now().await.unwrap();
    assert!(
        matches!(again, Round::Exported(Exported::Unchanged { .. })),
        "{again:?}"
    );
    let last = fleet.log.put("us", "1");
    replica.wait_for(last).await.unwrap();
    let Round::Exported(Exported::Published(report)) = replica.export_now().await.unwrap() else {
        panic!("not published");
    };
    // The change index was switched on when the replica had caught up.
    assert!(
        matches!(report.plan, ExportPlan::Delta { .. }),
        "{:?}",
        report.plan
    );
    assert_eq!((exports(&replica).published, exports(&replica).rounds), (2, 3));
    replica.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_replica_without_a_schedule_exports_nothing() {
    let fleet = Fleet::new();
    let replica = Replica::builder(fleet.log.clone(), table())
        .start()
        .await
        .unwrap();
    let error = replica.export_now().await.unwrap_err();
    assert!(matches!(*error, ExportError::NotScheduled), "{error:?}");
    assert!(replica.status().exports.is_none());
}

#[tokio::test]
async fn nothing_is_exported_before_the_replica_has_caught_up() {
    let fleet = Fleet::new();
    fleet.log.put("eu", "1");
    // What is applied in the middle of the first fill waits here.
    let (open, opened) = std::sync::mpsc::channel::<()>();
    let schedule = fleet.schedule().every(TICK);
    let replica = Replica::builder(fleet.log.clone(), table()).export(schedule);
    let replica = replica
        .on_batch(move |_| opened.recv().map_err(Into::into))
        .start()
        .await
        .unwrap();
    let skipped = replica.export_now().await.unwrap();
    assert_eq!(skipped, Round::Skipped(SkipReason::NotCaughtUp));
    assert_eq!((exports(&replica).rounds, exports(&replica).skipped), (0, 1));
    open.send(()).unwrap();
    until_exports(&replica, |exports| exports.published == 1).await;
    assert_eq!(fleet.newest_rows().await, rows_of(replica.table().as_ref()));
}

#[tokio::test]
async fn a_store_that_is_gone_stops_no_replica() {
    let store = FaultyStore::failing(Arc::new(InMemory::new()), 1, Fault::CrashBefore);
    let fleet = Fleet::on(Arc::new(store.clone()));
    let last = fleet.log.put("eu", "1");
    let replica = fleet.replica(fleet.schedule().every(TICK)).await;
    replica.wait_for(last).await.unwrap();
    let failed = until(&replica, |status| {
        status.exports.as_ref().unwrap().error.is_some()
    })
    .await;
    assert!(matches!(
        failed.exports.unwrap().error.as_deref(),
        Some(ExportError::Transport(_))
    ));
    // It is tried again.
    let calls = store.calls();
    let last = fleet.log.put("eu", "2");
    replica.wait_for(last).await.unwrap();
    until_exports(&replica, |_| store.calls() > calls).await;
    assert_eq!(replica.status().state, State::Live);
    replica.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_round_that_failed_is_mended_by_the_next() {
    let store = Arc::new(InMemory::new());
    let fleet = Fleet::on(store.clone());
    fleet.log.put("eu", "1");
    make_unreadable(store.as_ref()).await;
    let replica = fleet.replica(fleet.schedule()).await;
    replica.export_now().await.unwrap_err();
    assert!(exports(&replica).error.is_some());
    mend(store.as_ref()).await;
    replica.export_now().await.unwrap();
    assert!(exports(&replica).error.is_none());
    assert_eq!(fleet.published().await, 1);
}

#[tokio::test]
async fn old_artifacts_are_pruned_after_a_round() {
    let fleet = Fleet::new();
    let retention = RetentionPolicy::default()
        .keep(NonZeroU32::MIN)
        .grace(Duration::ZERO);
    fleet.log.put("eu", "0");
    let replica = fleet.replica(fleet.schedule().retention(retention)).await;
    for round in 1..5 {
        replica.export_now().await.unwrap();
        assert_eq!(fleet.published().await, 1);
        let last = fleet.log.put("eu", &round.to_string());
        replica.wait_for(last).await.unwrap();
    }
}

#[tokio::test]
async fn an_artifact_of_messages_that_the_log_has_lost_is_not_built_on() {
    let fleet = Fleet::new();
    for key in ["a", "b", "c", "d"] {
        fleet.log.put(key, "1");
    }
    let replica = fleet.replica(fleet.schedule()).await;
    replica.export_now().await.unwrap();
    replica.shutdown().await.unwrap();

    // Another node, which had only come to `b`, goes on from there and cannot know.
    let behind = table();
    let messages = [fleet.log.message(1), fleet.log.message(2)];
    let cursor = Cursor {
        log: identity(),
        sequence: Sequence::new(2),
        timestamp: messages[1].timestamp,
    };
    behind.apply(&messages, &cursor).unwrap();
    behind.track_changes(true).unwrap();
    fleet.log.lose_tail(Sequence::new(2));
    for key in ["x", "y", "z"] {
        fleet.log.put(key, "2");
    }
    let schedule = fleet.schedule();
    let replica = Replica::builder(fleet.log.clone(), behind)
        .export(schedule)
        .start()
        .await
        .unwrap();
    replica.caught_up().await.unwrap();
    let Round::Exported(Exported::Published(report)) = replica.export_now().await.unwrap() else {
        panic!("not published");
    };
    assert_eq!(report.plan, ExportPlan::Base(BaseReason::HistoryChanged));
    assert_eq!(fleet.newest_rows().await, rows_of(replica.table().as_ref()));
}
