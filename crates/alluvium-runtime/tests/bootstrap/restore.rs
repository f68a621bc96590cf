//! A table that its log has overrun is replaced by an artifact, or refused, and never a wrong one.

mod beginners;
mod running;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use alluvium_conformance::{Fault, FaultyStore};
use alluvium_core::artifact::Unfit;
use alluvium_core::{
    Hindrance, Mode, Plan, ReconcileReason, RefuseReason, RestoreReason, Retention, Scope, Sequence, Table,
    Transport,
};
use alluvium_memory::MemoryLog;
use alluvium_object_store::{ObjectStoreTransport, TransportOptions};
use alluvium_runtime::{
    Bootstrap, ExportOptions, Exporter, Replica, ReplicaBuilder, ReplicaError, State, Status,
};
use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::path::Path;

use crate::shelf::{content, key, new_table};
use crate::watched::Watched;

const LONG: Duration = Duration::from_mins(1);

/// A log that may evict, and a place for artifacts.
struct World {
    log: MemoryLog,
    store: Arc<InMemory>,
    scratch: tempfile::TempDir,
    mode: Mode,
}

impl World {
    fn new(mode: Mode) -> Self {
        let log = MemoryLog::new("l");
        log.set_retention(forgetful());
        Self {
            log,
            store: Arc::new(InMemory::new()),
            scratch: tempfile::tempdir().unwrap(),
            mode,
        }
    }

    fn transport(&self) -> Arc<dyn Transport> {
        transport(self.store.clone())
    }

    fn scratch(&self) -> PathBuf {
        self.scratch.path().join("s")
    }

    fn builder(&self, table: &Arc<dyn Table>) -> ReplicaBuilder {
        Replica::builder(Arc::new(self.log.clone()), Arc::clone(table)).mode(self.mode)
    }

    fn with_artifacts(&self, table: &Arc<dyn Table>, transport: Arc<dyn Transport>) -> ReplicaBuilder {
        let bootstrap = Bootstrap::new(transport, key(), self.scratch()).segments_in_flight(1);
        self.builder(table).bootstrap_from(bootstrap)
    }

    /// Has a table follow the log without an artifact.
    async fn follow(&self, table: &Arc<dyn Table>) {
        caught_up(self.builder(table)).await;
    }

    /// Exports what a table that missed nothing holds now.
    async fn export(&self, table: &Arc<dyn Table>) {
        self.follow(table).await;
        export(table, self.transport()).await;
    }

    /// A table at 1, an artifact at 3, and a log that goes on from 3 and not from 1. Its keys are those of the alphabet.
    async fn overrun(&self) -> Arc<dyn Table> {
        let (table, other) = (new_table(), new_table());
        self.log.put("a", "1");
        self.follow(&table).await;
        self.log.put("b", "1");
        self.log.put("c", "1");
        self.export(&other).await;
        self.log.put("d", "1");
        self.log.evict_before(Sequence::new(3));
        table
    }
}

fn forgetful() -> Retention {
    Retention {
        max_messages: Some(1_000),
        ..Retention::default()
    }
}

fn transport(store: Arc<dyn ObjectStore>) -> Arc<dyn Transport> {
    let options = TransportOptions::default();
    Arc::new(ObjectStoreTransport::new(store, Path::from("artifacts"), options))
}

async fn export(table: &Arc<dyn Table>, transport: Arc<dyn Transport>) {
    let exporter = Exporter::new(Arc::clone(table), transport, key(), ExportOptions::default());
    exporter.export().await.unwrap();
}

/// Follows until it is caught up. What the status is then.
async fn caught_up(builder: ReplicaBuilder) -> Status {
    let replica = builder.start().await.unwrap();
    tokio::time::timeout(LONG, replica.caught_up())
        .await
        .unwrap()
        .unwrap();
    let status = replica.status();
    replica.shutdown().await.unwrap();
    status
}

fn keys(table: &Arc<dyn Table>) -> String {
    let keys: BTreeSet<_> = content(table.as_ref()).into_keys().collect();
    let keys = keys.iter().map(|key| String::from_utf8_lossy(key).into_owned());
    keys.collect::<Vec<_>>().join(" ")
}

/// Why an archive does not start, and is left alone.
async fn refused(builder: ReplicaBuilder, table: &Arc<dyn Table>) -> (ReconcileReason, Hindrance) {
    let before = content(table.as_ref());
    let error = builder.start().await.unwrap_err();
    assert_eq!(content(table.as_ref()), before);
    match error {
        ReplicaError::Refused(RefuseReason::Archive { cause, artifact, .. }) => (cause, artifact),
        error => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn an_archive_is_restored_with_what_was_evicted() {
    let world = World::new(Mode::Archive);
    let table = world.overrun().await;
    let status = caught_up(world.with_artifacts(&table, world.transport())).await;
    assert_eq!(keys(&table), "a b c d");
    let bootstrap = status.bootstrap.unwrap();
    assert_eq!(bootstrap.done.unwrap().cursor.sequence, Sequence::new(3));
    assert!(bootstrap.error.is_none() && bootstrap.progress.is_none());
    assert_eq!(status.received, 1);
    assert!(!world.scratch().exists());
}

#[tokio::test]
async fn a_mirror_is_restored_without_what_was_evicted() {
    let world = World::new(Mode::Mirror);
    let table = world.overrun().await;
    let status = caught_up(world.with_artifacts(&table, world.transport())).await;
    assert_eq!(keys(&table), "c d");
    let done = status.bootstrap.unwrap().done.unwrap();
    assert_eq!((done.cursor.sequence, done.rows), (Sequence::new(3), 1));
    assert_eq!(status.received, 1);
}

#[tokio::test]
async fn without_an_artifact_a_mirror_is_reconciled_and_an_archive_refused() {
    for mode in [Mode::Mirror, Mode::Archive] {
        let world = World::new(mode);
        let table = world.overrun().await;
        let empty = transport(Arc::new(InMemory::new()));
        let builder = world.with_artifacts(&table, empty);
        if mode == Mode::Archive {
            let expected = (ReconcileReason::Overrun, Hindrance::None);
            assert_eq!(refused(builder, &table).await, expected);
            continue;
        }
        let status = caught_up(builder).await;
        assert_eq!(status.plan, Some(Plan::Reconcile(ReconcileReason::Overrun)));
        assert_eq!(keys(&table), "c d");
    }
}

#[tokio::test]
async fn an_artifact_that_does_not_fit_restores_nothing() {
    let archive = |table: &Arc<dyn Table>, log: &MemoryLog| {
        Replica::builder(Arc::new(log.clone()), Arc::clone(table)).mode(Mode::Archive)
    };
    let unfit = |hindrance: Hindrance| match hindrance {
        Hindrance::Unfit(unfit) => unfit,
        other => panic!("{other:?}"),
    };
    // What it is of, and what is told of it.
    for case in 0..6 {
        let world = World::new(Mode::Archive);
        let table = world.overrun().await;
        let (other, store) = (new_table(), transport(Arc::new(InMemory::new())));
        let of = match case {
            0 => archive(&other, &world.log).scope(Scope::of(["c"]).unwrap()),
            1 => world.builder(&other).mode(Mode::Mirror),
            2 => {
                let log = MemoryLog::new("m");
                log.put("a", "1");
                archive(&other, &log)
            }
            3 => {
                let log = MemoryLog::new("l");
                log.replace();
                log.put("a", "1");
                archive(&other, &log)
            }
            _ => {
                // A table that stopped at 1, and one that went on to what the log has lost.
                let log = MemoryLog::new("l");
                for _ in 0..if case == 4 { 1 } else { 10 } {
                    log.put("a", "1");
                }
                archive(&other, &log)
            }
        };
        caught_up(of).await;
        export(&other, store.clone()).await;
        let (cause, hindrance) = refused(world.with_artifacts(&table, store), &table).await;
        assert_eq!(cause, ReconcileReason::Overrun);
        let unfit = unfit(hindrance);
        let is_told = match case {
            0 => matches!(unfit, Unfit::Scope { .. }),
            1 => matches!(unfit, Unfit::Mode { .. }),
            2 => matches!(unfit, Unfit::OtherLog { .. }),
            3 => matches!(unfit, Unfit::LogReplaced { .. }),
            4 => matches!(unfit, Unfit::Overrun { .. }),
            _ => matches!(unfit, Unfit::TailLost { .. }),
        };
        assert!(is_told, "case {case}: {unfit:?}");
    }
}

#[tokio::test]
async fn an_archive_waits_for_a_store_that_does_not_answer_and_tells_why() {
    let world = World::new(Mode::Archive);
    let table = world.overrun().await;
    let silent = Watched::silent(world.transport());
    let replica = world
        .with_artifacts(&table, silent.clone())
        .start()
        .await
        .unwrap();
    let mut status = replica.watch_status();
    let waits = status.wait_for(|status| status.state == State::Restoring && silent.asked() > 2);
    let waiting = tokio::time::timeout(LONG, waits).await.unwrap().unwrap().clone();
    assert!(waiting.is_stale());
    let told = waiting.why().unwrap();
    assert!(
        told.starts_with(&ReconcileReason::Overrun.to_string()) && told.contains("artifact"),
        "{told}"
    );
    // However often it asks, it waits all the time.
    let asked = silent.asked();
    let again = status.wait_for(|_| silent.asked() > asked + 2);
    let again = tokio::time::timeout(LONG, again).await.unwrap().unwrap().clone();
    assert_eq!((again.state, again.since), (State::Restoring, waiting.since));
    let why = waiting.bootstrap.unwrap().error.unwrap();
    assert_eq!(why.kind(), alluvium_core::ErrorKind::Transient);
    assert_eq!(keys(&table), "a");
    silent.answer();
    tokio::time::timeout(LONG, replica.caught_up())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(keys(&table), "a b c d");
    replica.shutdown().await.unwrap();
}

#[tokio::test]
async fn whichever_request_is_not_answered_the_table_is_right() {
    for mode in [Mode::Mirror, Mode::Archive] {
        let expected = if mode == Mode::Archive { "a b c d" } else { "c d" };
        let mut call = 1;
        loop {
            let world = World::new(mode);
            let table = world.overrun().await;
            let store = Arc::new(FaultyStore::failing(world.store.clone(), call, Fault::Fail));
            let status = caught_up(world.with_artifacts(&table, transport(store.clone()))).await;
            assert_eq!(keys(&table), expected, "call {call} as {mode}");
            assert!(status.bootstrap.unwrap().done.is_some(), "call {call} as {mode}");
            if store.calls() < call {
                break;
            }
            call += 1;
        }
        assert!(call > 2, "{call}");
    }
}

#[tokio::test]
async fn an_artifact_that_the_log_left_behind_while_it_was_fetched_is_not_loaded() {
    let world = World::new(Mode::Archive);
    let table = world.overrun().await;
    let gated = Watched::gated(world.transport());
    let replica = world.with_artifacts(&table, gated.clone()).start().await.unwrap();
    let plan = replica.status().plan;
    let Some(Plan::Restore { reason, artifact }) = plan else {
        panic!("{plan:?}")
    };
    assert_eq!(
        (reason, artifact.sequence),
        (RestoreReason::Overrun, Sequence::new(3))
    );
    // It was found to fit, and is being fetched.
    let fetched = |status: &Status| {
        let progress = status.bootstrap.as_ref().and_then(|bootstrap| bootstrap.progress);
        progress.is_some_and(|progress| progress.bytes_total > 0)
    };
    let mut status = replica.watch_status();
    tokio::time::timeout(LONG, status.wait_for(fetched))
        .await
        .unwrap()
        .unwrap();
    world.log.put("e", "1");
    world.log.evict_before(Sequence::new(5));
    gated.let_pass(1_000);
    let stopped = tokio::time::timeout(LONG, replica.stopped()).await.unwrap();
    let Err(ReplicaError::Refused(RefuseReason::Archive { cause, artifact, .. })) = stopped else {
        panic!("{stopped:?}")
    };
    assert_eq!(cause, ReconcileReason::Overrun);
    assert!(
        matches!(artifact, Hindrance::Unfit(Unfit::Overrun { .. })),
        "{artifact:?}"
    );
    assert_eq!((keys(&table).as_str(), gated.given()), ("a", 1));
}

#[tokio::test]
async fn one_that_is_cut_short_is_done_again() {
    let world = World::new(Mode::Archive);
    let table = world.overrun().await;
    let gated = Watched::gated(world.transport());
    let replica = world.with_artifacts(&table, gated.clone()).start().await.unwrap();
    let mut status = replica.watch_status();
    let begun = status.wait_for(|status| status.state == State::Restoring);
    let why = tokio::time::timeout(LONG, begun).await.unwrap().unwrap().why();
    assert_eq!(why, Some(RestoreReason::Overrun.to_string()));
    replica.shutdown().await.unwrap();
    assert_eq!(keys(&table), "a");
    assert_eq!(table.cursor().unwrap().sequence, Sequence::new(1));
    caught_up(world.with_artifacts(&table, world.transport())).await;
    assert_eq!(keys(&table), "a b c d");
}

#[tokio::test]
async fn an_archive_remembers_what_the_table_of_its_artifact_saw() {
    let world = World::new(Mode::Archive);
    let (table, other) = (new_table(), new_table());
    world.log.set_retention(Retention::default());
    world.log.put("a", "1");
    world.follow(&table).await;
    world.log.put("b", "1");
    world.log.set_retention(forgetful());
    world.log.put("c", "1");
    world.export(&other).await;
    world.log.set_retention(Retention::default());
    world.log.evict_before(Sequence::new(3));
    assert!(!table.has_evicted());
    // For all that it knows itself, what is not listed was deleted.
    caught_up(world.with_artifacts(&table, world.transport())).await;
    assert_eq!(keys(&table), "a b c");
    assert!(table.has_evicted());
}
