//! A replica begins with an artifact where that is worth it, and without one where it is not.

use std::path::Path as FilePath;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use alluvium_core::artifact::Unfit;
use alluvium_core::{
    Binding, ErrorKind, LogIdentity, Mode, Plan, ReconcileReason, Scope, Sequence, Table, Timestamp,
    Transport,
};
use alluvium_runtime::{Bootstrap, BootstrapError, Replica, ReplicaError, State, Status};
use object_store::ObjectStoreExt as _;
use object_store::path::Path;

use crate::memory_log::MemoryLog;
use crate::shelf::{Content, Shelf, TRUTH, content, key, new_table};
use crate::watched::{Watched, no_answer};

/// An artifact at 2,000 of two runs, of a log that ends at 3,000.
async fn shelf() -> Shelf {
    let mut shelf = Shelf::new();
    shelf.base(1_500, 40, TRUTH).await;
    shelf.delta(2_000, 60, TRUTH).await;
    shelf
}

/// The log of it from a sequence on, up to another.
fn log_of(shelf: &Shelf, from: usize, to: usize) -> Arc<MemoryLog> {
    MemoryLog::new(&shelf.log, &shelf.changes[from - 1..to])
}

fn bootstrap(transport: Arc<dyn Transport>, scratch: &FilePath) -> Bootstrap {
    Bootstrap::new(transport, key(), scratch)
}

/// A table at a sequence.
fn table_at(shelf: &Shelf, at: usize) -> Arc<dyn Table> {
    let table = new_table();
    let binding = Binding {
        log: shelf.log.name.clone(),
        scope: Scope::all(),
        mode: Mode::default(),
    };
    table.bind(&binding).unwrap();
    table
        .apply(&shelf.changes[..at], &shelf.cursor(at as u64))
        .unwrap();
    table
}

/// Follows the log until it has caught up. What the status is then.
async fn follow(log: Arc<MemoryLog>, table: &Arc<dyn Table>, bootstrap: Bootstrap) -> Status {
    let builder = Replica::builder(log, Arc::clone(table)).bootstrap_when_behind(1_000);
    let replica = builder.bootstrap_from(bootstrap).start().await.unwrap();
    replica.caught_up().await.unwrap();
    let status = replica.status();
    replica.shutdown().await.unwrap();
    status
}

/// What a mirror holds at the end of the log, whose first sequence is this.
fn held(shelf: &Shelf, first: usize) -> Content {
    let mut content = shelf.state(3_000);
    content.retain(|_, entry| entry.sequence >= Sequence::new(first as u64));
    content
}

fn unfit(status: &Status) -> Unfit {
    let error = status.bootstrap.as_ref().unwrap().error.clone().unwrap();
    match &*error {
        BootstrapError::Unfit { source, .. } => source.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_new_replica_receives_exactly_the_tail() {
    let shelf = shelf().await;
    let scratch = tempfile::tempdir().unwrap();
    // What came before is gone from the log.
    for first in [1, 1_990] {
        let table = new_table();
        let status = follow(
            log_of(&shelf, first, 3_000),
            &table,
            bootstrap(shelf.transport.clone(), &scratch.path().join("s")),
        )
        .await;
        assert_eq!(status.received, 1_000, "from {first}");
        assert_eq!(content(table.as_ref()), held(&shelf, first));
        let done = status.bootstrap.unwrap().done.unwrap();
        assert_eq!(done.cursor, shelf.cursor(2_000));
        assert!(!scratch.path().join("s").exists());
    }
}

#[tokio::test]
async fn reads_go_on_and_the_status_tells_how_far_it_is() {
    let shelf = shelf().await;
    let scratch = tempfile::tempdir().unwrap();
    let table = table_at(&shelf, 500);
    let gated = Watched::gated(shelf.transport.clone());
    let log = log_of(&shelf, 1, 3_000);
    let builder = Replica::builder(log, Arc::clone(&table))
        .bootstrap_when_behind(1_000)
        .track_changes(true);
    let replica = builder
        .bootstrap_from(bootstrap(gated.clone(), scratch.path()))
        .start()
        .await
        .unwrap();
    let mut status = replica.watch_status();

    gated.let_pass(3);
    let here = |status: &Status| {
        let progress = status.bootstrap.as_ref().and_then(|bootstrap| bootstrap.progress);
        status.state == State::Bootstrapping && progress.is_some_and(|progress| progress.bytes > 0)
    };
    let now = status.wait_for(here).await.unwrap().clone();
    assert!(now.is_stale());
    let progress = now.bootstrap.unwrap().progress.unwrap();
    assert!(progress.bytes < progress.bytes_total);
    assert_eq!(content(table.as_ref()), shelf.state(500));
    assert_eq!(now.cursor, Some(shelf.cursor(500)));

    gated.let_pass(1_000);
    replica.wait_for(Sequence::new(3_000)).await.unwrap();
    replica.caught_up().await.unwrap();
    let now = status
        .wait_for(|status| !status.is_stale())
        .await
        .unwrap()
        .clone();
    assert_eq!((now.state, now.received), (State::Live, 1_000));
    assert!(now.bootstrap.unwrap().progress.is_none());
    assert_eq!(content(table.as_ref()), shelf.state(3_000));
    assert_eq!(table.stats().unwrap().changes_floor, Some(Sequence::new(2_000)));
    replica.shutdown().await.unwrap();
}

#[tokio::test]
async fn only_who_is_far_behind_or_was_overrun_needs_it() {
    let shelf = shelf().await;
    let scratch = tempfile::tempdir().unwrap();
    for (at, first, received, bootstraps) in [
        // Far behind, and not.
        (999, 1, 1_000, true),
        (1_000, 1, 2_000, false),
        (2_500, 1, 500, false),
        // Overrun, the artifact not, and both.
        (1_500, 1_800, 1_000, true),
    ] {
        let table = table_at(&shelf, at);
        let watched = Watched::new(shelf.transport.clone());
        let status = follow(
            log_of(&shelf, first, 3_000),
            &table,
            bootstrap(watched.clone(), scratch.path()),
        )
        .await;
        assert_eq!(status.received, received, "at {at}");
        let of_it = status.bootstrap.unwrap();
        assert_eq!(
            (of_it.done.is_some(), !watched.take().is_empty()),
            (bootstraps, bootstraps),
            "at {at}"
        );
        assert!(of_it.error.is_none());
        assert_eq!(content(table.as_ref()), held(&shelf, first), "at {at}");
    }
    let table = table_at(&shelf, 1_000);
    let status = follow(
        log_of(&shelf, 2_500, 3_000),
        &table,
        bootstrap(shelf.transport.clone(), scratch.path()),
    )
    .await;
    assert!(matches!(unfit(&status), Unfit::Overrun { .. }));
    // What the log has forgotten is not in a mirror.
    let mut expected = shelf.state(3_000);
    expected.retain(|_, entry| entry.sequence.get() >= 2_500);
    assert_eq!(content(table.as_ref()), expected);
}

#[tokio::test]
async fn a_repair_that_was_cut_short_is_done_again_and_not_ended_by_an_artifact() {
    let shelf = shelf().await;
    let scratch = tempfile::tempdir().unwrap();
    let table = table_at(&shelf, 1_700);
    table.amend(&shelf.changes[1_800..1_900]).unwrap();
    let status = follow(
        log_of(&shelf, 1_900, 3_000),
        &table,
        bootstrap(shelf.transport.clone(), scratch.path()),
    )
    .await;
    // Some rows may be newer than it.
    assert_eq!(status.plan, Some(Plan::Reconcile(ReconcileReason::Interrupted)));
    assert!(status.bootstrap.unwrap().done.is_none());
    assert_eq!(content(table.as_ref()), held(&shelf, 1_900));
}

#[tokio::test]
async fn an_artifact_of_another_history_is_left_alone() {
    let shelf = shelf().await;
    let scratch = tempfile::tempdir().unwrap();
    // Created again.
    let again = LogIdentity::new(shelf.log.name.clone(), Timestamp::from_nanos(9));
    let table = new_table();
    let log = MemoryLog::new(&again, &shelf.changes);
    let status = follow(log, &table, bootstrap(shelf.transport.clone(), scratch.path())).await;
    assert!(matches!(unfit(&status), Unfit::LogReplaced { .. }));
    assert_eq!(
        (content(table.as_ref()), status.received),
        (shelf.state(3_000), 3_000)
    );
    // It lost its tail.
    let table = new_table();
    let status = follow(
        log_of(&shelf, 1, 1_700),
        &table,
        bootstrap(shelf.transport.clone(), scratch.path()),
    )
    .await;
    assert!(matches!(unfit(&status), Unfit::TailLost { .. }));
    assert_eq!(content(table.as_ref()), shelf.state(1_700));
    // It lost its tail and went on.
    let mut changed = shelf.changes.clone();
    for change in &mut changed[1_700..] {
        change.timestamp = Timestamp::from_nanos(change.timestamp.as_nanos() + 1);
    }
    let table = new_table();
    let status = follow(
        MemoryLog::new(&shelf.log, &changed),
        &table,
        bootstrap(shelf.transport.clone(), scratch.path()),
    )
    .await;
    assert!(matches!(unfit(&status), Unfit::HistoryChanged { .. }));
    assert_eq!(content(table.as_ref()).len(), shelf.state(3_000).len());
    assert_eq!(status.received, 3_000);
}

#[tokio::test]
async fn a_key_of_something_else_stops_the_replica() {
    let mut shelf = Shelf::new();
    shelf.scope = Scope::of(["routes.eu.>"]).unwrap();
    shelf.changes.retain(|change| shelf.scope.matches(&change.key));
    let last = shelf.changes[300].sequence.get();
    shelf.base(last, 40, TRUTH).await;
    let scratch = tempfile::tempdir().unwrap();
    let other = LogIdentity::new("KV_flags", shelf.log.created);
    for identity in [&shelf.log, &other] {
        let table = new_table();
        let log = MemoryLog::new(identity, &shelf.changes);
        let builder = Replica::builder(log, Arc::clone(&table));
        let replica = builder
            .bootstrap_from(bootstrap(shelf.transport.clone(), scratch.path()))
            .start()
            .await
            .unwrap();
        let error = replica.stopped().await.unwrap_err();
        assert!(matches!(error, ReplicaError::Bootstrap(_)), "{error:?}");
        assert_eq!(replica.status().state, State::Failed);
        assert!(content(table.as_ref()).is_empty());
    }
}

#[tokio::test]
async fn without_an_artifact_the_log_is_read() {
    let shelf = Shelf::new();
    let scratch = tempfile::tempdir().unwrap();
    let table = new_table();
    let status = follow(
        log_of(&shelf, 1, 3_000),
        &table,
        bootstrap(shelf.transport.clone(), scratch.path()),
    )
    .await;
    let error = status.bootstrap.unwrap().error.unwrap();
    assert!(matches!(&*error, BootstrapError::NoArtifact { .. }), "{error:?}");
    assert_eq!(
        (content(table.as_ref()), status.received),
        (shelf.state(3_000), 3_000)
    );
}

#[tokio::test]
async fn damage_is_told_and_an_older_artifact_taken_or_none() {
    let mut shelf = Shelf::new();
    shelf.base(1_500, 40, TRUTH).await;
    let older = shelf.newest.clone().unwrap().1.packs()[0];
    shelf.base(2_000, 40, TRUTH).await;
    let newer = shelf.newest.clone().unwrap().1.packs()[0];
    let scratch = tempfile::tempdir().unwrap();
    for (damaged, received) in [(newer, 1_500), (older, 3_000)] {
        let path = Path::parse(format!("artifacts/{}", key().pack(damaged))).unwrap();
        shelf.store.put(&path, "gone bad".into()).await.unwrap();
        let table = new_table();
        let status = follow(
            log_of(&shelf, 1, 3_000),
            &table,
            bootstrap(shelf.transport.clone(), scratch.path()),
        )
        .await;
        assert!(status.bootstrap.unwrap().error.unwrap().is_damage());
        assert_eq!(status.received, received);
        assert_eq!(content(table.as_ref()), shelf.state(3_000));
    }
}

#[tokio::test]
async fn what_may_pass_is_tried_again() {
    let shelf = shelf().await;
    let scratch = tempfile::tempdir().unwrap();
    let failures = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&failures);
    let failing = Watched::with(shelf.transport.clone(), move |number, _| {
        if number % 5 == 4 && number < 15 {
            counted.fetch_add(1, Ordering::SeqCst);
            return Err(no_answer());
        }
        Ok(())
    });
    let table = new_table();
    let status = follow(
        log_of(&shelf, 1, 3_000),
        &table,
        bootstrap(failing.clone(), scratch.path()).segments_in_flight(1),
    )
    .await;
    assert_eq!(failures.load(Ordering::SeqCst), 3);
    assert_eq!(
        failing.take().len(),
        shelf.newest.as_ref().unwrap().1.segments().count()
    );
    assert_eq!(
        (content(table.as_ref()), status.received),
        (shelf.state(3_000), 1_000)
    );
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_silent_store_for_ever_and_who_can_go_on_not_at_all() {
    let shelf = shelf().await;
    let scratch = tempfile::tempdir().unwrap();
    for (table, waits) in [(table_at(&shelf, 500), false), (new_table(), true)] {
        let silent = Watched::silent(shelf.transport.clone());
        let status = follow(
            log_of(&shelf, 1, 3_000),
            &table,
            bootstrap(silent.clone(), scratch.path()),
        )
        .await;
        let error = status.bootstrap.unwrap().error.unwrap();
        assert_eq!(error.kind(), ErrorKind::Transient);
        assert_eq!(content(table.as_ref()), shelf.state(3_000));
        assert_eq!(silent.asked() > 1, waits);
    }
}

#[tokio::test]
async fn who_is_shut_down_on_the_way_goes_on_there() {
    let shelf = shelf().await;
    let scratch = tempfile::tempdir().unwrap();
    let gated = Watched::gated(shelf.transport.clone());
    let table = table_at(&shelf, 500);
    let builder = Replica::builder(log_of(&shelf, 1, 3_000), Arc::clone(&table)).bootstrap_when_behind(1_000);
    let replica = builder
        .bootstrap_from(bootstrap(gated.clone(), scratch.path()))
        .start()
        .await
        .unwrap();
    gated.let_pass(4);
    let mut status = replica.watch_status();
    let fetched = |status: &Status| {
        let progress = status.bootstrap.as_ref().and_then(|bootstrap| bootstrap.progress);
        progress.is_some_and(|progress| progress.bytes > 0) && gated.given() == 4
    };
    status.wait_for(fetched).await.unwrap();
    replica.shutdown().await.unwrap();
    assert_eq!(content(table.as_ref()), shelf.state(500));

    let watched = Watched::new(shelf.transport.clone());
    let status = follow(
        log_of(&shelf, 1, 3_000),
        &table,
        bootstrap(watched.clone(), scratch.path()),
    )
    .await;
    let all = shelf.newest.as_ref().unwrap().1.segments().count();
    assert!(watched.take().len() < all);
    assert_eq!(
        (content(table.as_ref()), status.received),
        (shelf.state(3_000), 1_000)
    );
}
