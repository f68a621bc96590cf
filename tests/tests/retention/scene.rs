//! A bucket that loses what a replica has followed, and what becomes of the replica.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use alluvium::{
    ArtifactKey, Bootstrap, ExportOptions, Exporter, KvLog, Plan, ReconcileReason, Replica, ReplicaError,
    Sequence, Table, Transport,
};
use alluvium_e2e::bucket::{Bucket, Rows};
use alluvium_e2e::engine::EngineKind;
use alluvium_e2e::state::{StateHome, open_table};
use alluvium_e2e::{Depot, Files, NatsServer, wait};

use crate::follower::{Ended, FirstBatch, Follower, tell};
use crate::history::{History, Reader};
use crate::kind::{Kind, is_plan};
use crate::pair::{ENGINES, EVERY, PATIENCE};

/// Keys that are there before anything goes wrong: more than that.
const KEPT: u32 = 230;

/// What is written before anybody looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    Nothing,
    /// Other messages, past the cursor.
    Past,
    /// The same, and nothing is left where the cursor is.
    PastAndOver,
}

/// A bucket, what it was told, and where a replica of it lies.
pub(crate) struct Scene {
    pub(crate) server: NatsServer,
    pub(crate) bucket: Bucket,
    pub(crate) history: History,
    pub(crate) kind: Kind,
    engine: EngineKind,
    home: StateHome,
    transport: Arc<dyn Transport>,
    scratch: tempfile::TempDir,
    /// What the bucket has held ever since somebody could look.
    held: Rows,
    /// Every key that was ever written.
    keys: BTreeSet<String>,
    writes: u32,
}

/// Does this to a bucket with a replica of each kind, on each engine.
pub(crate) async fn on_each(scenario: impl AsyncFn(Scene)) {
    on_each_of(&Kind::ALL, scenario).await;
}

/// The same, with a replica of each of these kinds.
pub(crate) async fn on_each_of(kinds: &[Kind], scenario: impl AsyncFn(Scene)) {
    let files = Files::start();
    for engine in ENGINES {
        for &kind in kinds {
            eprintln!("{kind:?} on {engine}");
            scenario(Scene::start(&files, engine, kind).await).await;
        }
    }
}

impl Scene {
    async fn start(files: &Files, engine: EngineKind, kind: Kind) -> Self {
        let server = NatsServer::start().await;
        Self {
            bucket: Bucket::of_stream(&server, "b", kind.config()).await,
            transport: Depot::new(files, &format!("{engine}-{kind:?}")).transport(),
            server,
            history: History::default(),
            kind,
            engine,
            home: StateHome::new(engine),
            scratch: tempfile::tempdir().expect("a temporary directory"),
            held: Rows::new(),
            keys: BTreeSet::new(),
            writes: 0,
        }
    }

    pub(crate) async fn put(&mut self, key: &str) -> Sequence {
        self.writes += 1;
        let value = format!("write {}", self.writes);
        let sequence = self.bucket.put(key, &value).await;
        self.history.put(key, &value, sequence);
        self.keys.insert(key.to_owned());
        sequence
    }

    pub(crate) async fn delete(&mut self, key: &str) -> Sequence {
        let sequence = self.bucket.delete(key).await;
        self.history.delete(key, sequence);
        sequence
    }

    /// Writes what is there before anything goes wrong, and leaves an artifact of that.
    pub(crate) async fn begin(&mut self, follower: &Follower) {
        for number in 0..KEPT {
            let written = self.put(&format!("kept.{number}")).await;
            // An archive that falls behind an evicting log is another story.
            if number % 50 == 0 {
                follower.comes_to(written).await;
            }
        }
        // Stays: the log has to hold what the artifact ends with.
        let last = self.put("mark").await;
        follower.comes_to(last).await;
        if self.kind == Kind::Restorable {
            self.export(follower).await;
        }
    }

    /// Writes what is going to be lost: over what was there, and new. Where it is followed up to.
    pub(crate) async fn doomed(&mut self, follower: &Follower) -> Sequence {
        for number in 100..110 {
            self.put(&format!("kept.{number}")).await;
        }
        for number in 110..115 {
            self.delete(&format!("kept.{number}")).await;
        }
        let mut last = Sequence::ZERO;
        for number in 0..15 {
            last = self.put(&format!("lost.{number}")).await;
        }
        follower.comes_to(last).await;
        last
    }

    /// Writes other things instead, over some of what was overwritten and deleted before, and over other keys.
    pub(crate) async fn anew(&mut self) -> Sequence {
        for number in 105..113 {
            self.put(&format!("kept.{number}")).await;
        }
        self.delete("kept.120").await;
        self.put("new").await
    }

    /// What is written after the loss, to a log that was followed up to here.
    pub(crate) async fn then(&mut self, then: Then, followed: Sequence) {
        if then == Then::Nothing {
            return;
        }
        self.anew().await;
        self.up_to(followed.previous()).await;
        let there = self.put("there").await;
        assert_eq!(there, followed, "the message at the cursor is another one");
        self.anew().await;
        if then == Then::PastAndOver {
            self.put("there").await;
        }
    }

    /// Writes on until the log ends here. Each key is written once.
    pub(crate) async fn up_to(&mut self, sequence: Sequence) {
        while self.bucket.last().await < sequence {
            let key = format!("new.{}", self.writes);
            self.put(&key).await;
        }
    }

    pub(crate) async fn export(&self, follower: &Follower) {
        let table = Arc::clone(follower.replica.table());
        let exporter = Exporter::new(
            table,
            Arc::clone(&self.transport),
            key(),
            ExportOptions::default(),
        );
        exporter.export().await.expect("the table is exported");
    }

    /// Deletes the stream, and with it what it was told.
    pub(crate) async fn delete_stream(&mut self) {
        let gone = self.bucket.context.delete_stream("KV_b").await;
        gone.expect("the stream goes");
    }

    /// Makes the stream once more.
    pub(crate) async fn create_stream(&mut self) {
        self.bucket = Bucket::of_stream(&self.server, "b", self.kind.config()).await;
        self.holds(History::default());
    }

    /// What was written after this is lost.
    pub(crate) fn holds(&mut self, history: History) {
        self.held = history.rows();
        self.history = history;
    }

    /// A follower that starts, through a client of this address.
    pub(crate) async fn follow(&self, url: &str) -> Follower {
        self.follow_in(&self.home, url).await
    }

    /// A place for another replica's state.
    pub(crate) fn elsewhere(&self) -> StateHome {
        StateHome::new(self.engine)
    }

    /// The same, with its state elsewhere.
    pub(crate) async fn follow_in(&self, home: &StateHome, url: &str) -> Follower {
        let (state, table) = open_table(&home.path(), self.engine).await;
        let reader = self.reader(&table).await;
        let first = Arc::default();
        let replica = self.replica(url, &table, &first, true).await;
        let replica = replica.expect("the replica starts");
        Follower {
            told: tell(&replica),
            replica,
            first,
            reader,
            _state: state,
        }
    }

    async fn reader(&self, table: &Arc<dyn Table>) -> Reader {
        let keys = self.keys.iter().cloned().collect();
        Reader::start(Arc::clone(table), keys).await
    }

    /// From here on it is looked what a running replica shows, and what it does first. What it shows now.
    pub(crate) async fn watch(&self, follower: &mut Follower) -> Rows {
        let reader = self.reader(follower.replica.table()).await;
        std::mem::replace(&mut follower.reader, reader).end();
        *follower.first.lock().unwrap_or_else(PoisonError::into_inner) = None;
        follower.rows()
    }

    async fn replica(
        &self,
        url: &str,
        table: &Arc<dyn Table>,
        first: &FirstBatch,
        serve: bool,
    ) -> Result<Replica, ReplicaError> {
        let client = async_nats::ConnectOptions::new()
            .reconnect_delay_callback(|_| EVERY / 2)
            .connect(url)
            .await
            .expect("a client connects");
        let log = KvLog::open(client, "b").await.expect("the bucket is there");
        let first = Arc::clone(first);
        let mut builder = Replica::builder(Arc::new(log), Arc::clone(table))
            .mode(self.kind.mode())
            .bounds_every(EVERY)
            .serve_when_refused(serve)
            .on_batch(move |batch| {
                let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
                first.get_or_insert_with(|| batch.cursor.clone());
                Ok(())
            });
        if self.kind == Kind::Restorable {
            let scratch = tempfile::tempdir_in(self.scratch.path())
                .expect("a directory")
                .keep();
            builder = builder.bootstrap_from(Bootstrap::new(Arc::clone(&self.transport), key(), scratch));
        }
        builder.start().await
    }

    /// Starts a replica on what an earlier one has left, and checks that it is found before anything is applied what happened
    /// to the log, and what comes of it.
    pub(crate) async fn find_at_a_start(mut self, cause: ReconcileReason) {
        let expected = self.kind.expected(cause);
        self.held = self.history.rows();
        let before = self.home.stored_rows().await;
        if let Plan::Refuse(reason) = &expected {
            let (_state, table) = open_table(&self.home.path(), self.engine).await;
            let refused = self
                .replica(&self.server.url(), &table, &Arc::default(), false)
                .await;
            match refused.err() {
                Some(ReplicaError::Refused(found)) => assert_eq!(found, *reason),
                other => panic!("{other:?}"),
            }
        }
        let follower = self.follow(&self.server.url()).await;
        if !matches!(expected, Plan::Restore { .. }) {
            assert_eq!(follower.replica.status().plan.as_ref(), Some(&expected));
        }
        self.ends_well(follower, &expected, &before).await;
    }

    /// Waits until a replica that runs has found what happened to the log, and checks what comes of it.
    pub(crate) async fn find_with(mut self, follower: Follower, cause: ReconcileReason, before: &Rows) {
        let expected = self.kind.expected(cause);
        self.ends_well(follower, &expected, before).await;
    }

    pub(crate) async fn ends_well(&mut self, follower: Follower, expected: &Plan, before: &Rows) {
        follower
            .tells(&format!("{expected:?}"), |status| {
                let restored = status
                    .bootstrap
                    .as_ref()
                    .is_some_and(|status| status.done.is_some());
                let planned = status.plan.as_ref().is_some_and(|plan| is_plan(plan, expected));
                planned || restored && matches!(expected, Plan::Restore { .. })
            })
            .await;
        // Others write meanwhile.
        let mut last = Sequence::ZERO;
        for number in 100..120 {
            last = self.put(&format!("kept.{number}")).await;
        }
        if matches!(expected, Plan::Refuse(_)) {
            follower.is_refused().await;
            assert_eq!(follower.rows(), *before, "what was there is served");
            follower.end().await;
            return;
        }
        follower.comes_to(last).await;
        let truth = self.history.rows();
        if !self.kind.evicts() {
            assert_eq!(truth, self.bucket.truth().await, "the test knows the truth");
        }
        wait::until(PATIENCE, "the table holds the truth", || follower.rows() == truth).await;
        if matches!(expected, Plan::Reconcile(_)) {
            let first = follower
                .first
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone();
            assert_eq!(
                first,
                Some(None),
                "the first thing that was applied was of a reconcile"
            );
        }
        let Ended { plans, seen } = follower.end().await;
        assert!(plans.iter().any(|plan| is_plan(plan, expected)), "{plans:?}");
        seen.never_went_back(&self.history, &self.held);
    }
}

fn key() -> ArtifactKey {
    "routes".parse().expect("a key")
}
