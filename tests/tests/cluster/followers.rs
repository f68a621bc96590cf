//! Replicas that are watched: nobody who reads them may see a key go back.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alluvium::{KeyRange, Replica, Sequence, State, Status, SubscriptionError, Table};
use alluvium_e2e::NatsCluster;
use alluvium_e2e::bucket::Rows;
use alluvium_e2e::engine::EngineKind;
use alluvium_e2e::state::{OpenState, StateHome, open_table, rows};
use tokio::task::JoinHandle;

use crate::bucket::Bucket;

/// How often the log is asked for its bounds.
const BOUNDS_EVERY: Duration = Duration::from_millis(500);
/// After so long a silence a replica is stalled.
const STALLED_AFTER: Duration = Duration::from_secs(2);
/// Between two looks at the whole table.
const LOOK: Duration = Duration::from_millis(100);

/// What was seen that must not be.
type Wrongs = Arc<Mutex<Vec<String>>>;

/// A replica, and who looks at it.
pub(crate) struct Follower {
    pub(crate) engine: EngineKind,
    home: StateHome,
    replica: Replica,
    wrongs: Wrongs,
    over: Arc<AtomicBool>,
    watchers: Vec<JoinHandle<()>>,
    // Closed last.
    _state: OpenState,
}

impl Follower {
    pub(crate) async fn start(cluster: &NatsCluster, bucket: &Bucket, engine: EngineKind) -> Self {
        let home = StateHome::new(engine);
        let (replica, state) = replica(&home, cluster, bucket, engine).await;
        let (wrongs, over) = (Wrongs::default(), Arc::new(AtomicBool::new(false)));
        let watchers = vec![
            tokio::spawn(watch_changes(replica.subscribe(), Arc::clone(&wrongs))),
            tokio::spawn(watch_rows(
                Arc::clone(replica.table()),
                Arc::clone(&wrongs),
                Arc::clone(&over),
            )),
        ];
        Self {
            engine,
            home,
            replica,
            wrongs,
            over,
            watchers,
            _state: state,
        }
    }

    pub(crate) fn status(&self) -> Status {
        self.replica.status()
    }

    /// Waits until it is in a state.
    pub(crate) async fn becomes(&self, state: State, patience: Duration) {
        let mut status = self.replica.watch_status();
        let waited = tokio::time::timeout(patience, status.wait_for(|status| status.state == state)).await;
        assert!(
            waited.is_ok_and(|waited| waited.is_ok()),
            "{} did not become {state}: {:?}",
            self.engine,
            self.status()
        );
    }

    /// Waits until everything up to there is applied.
    pub(crate) async fn reaches(&self, sequence: Sequence, patience: Duration) {
        let waited = tokio::time::timeout(patience, self.replica.wait_for(sequence)).await;
        let reached = waited.as_ref().is_ok_and(Result::is_ok);
        assert!(
            reached,
            "{} never came to {sequence}: {waited:?}, {:?}",
            self.engine,
            self.status()
        );
    }

    pub(crate) fn rows(&self) -> Rows {
        rows(self.replica.table().as_ref())
    }

    pub(crate) fn table(&self) -> &Arc<dyn Table> {
        self.replica.table()
    }

    /// Ends it. Nothing wrong must have been seen.
    pub(crate) async fn stop(self) -> StateHome {
        self.replica.shutdown().await.expect("the replica ends well");
        self.over.store(true, Ordering::Relaxed);
        for watcher in self.watchers {
            watcher.await.expect("a watcher ends well");
        }
        let wrongs = self.wrongs.lock().unwrap().clone();
        assert!(wrongs.is_empty(), "{}: {wrongs:#?}", self.engine);
        self.home
    }
}

/// A replica that notices soon when nobody answers.
pub(crate) async fn replica(
    home: &StateHome,
    cluster: &NatsCluster,
    bucket: &Bucket,
    engine: EngineKind,
) -> (Replica, OpenState) {
    let (state, table) = open_table(&home.path(), engine).await;
    let replica = Replica::builder(Arc::new(bucket.log(cluster).await), table)
        .bounds_every(BOUNDS_EVERY)
        .stalled_after(STALLED_AFTER)
        .start()
        .await
        .expect("the replica starts");
    (replica, state)
}

/// Every change of a key comes later in the log than the one before.
async fn watch_changes(mut changes: alluvium::Subscription, wrongs: Wrongs) {
    let mut seen = BTreeMap::new();
    loop {
        match changes.next().await {
            Ok(batch) => {
                for change in &batch.changes {
                    let before = seen.insert(change.key.clone(), change.sequence);
                    if before.is_some_and(|before| before >= change.sequence) {
                        wrongs.lock().unwrap().push(format!(
                            "{:?} was at {before:?}, and was told at {}",
                            change.key, change.sequence
                        ));
                    }
                }
            }
            Err(SubscriptionError::Lagged { .. }) => {}
            Err(SubscriptionError::Closed) => return,
        }
    }
}

/// No row is ever older than it was.
async fn watch_rows(table: Arc<dyn Table>, wrongs: Wrongs, over: Arc<AtomicBool>) {
    let mut seen: BTreeMap<Vec<u8>, Sequence> = BTreeMap::new();
    let mut cursor = Sequence::ZERO;
    while !over.load(Ordering::Relaxed) {
        let snapshot = table.snapshot().expect("a snapshot");
        for row in snapshot.scan(&KeyRange::all()).expect("a scan") {
            let (key, entry) = row.expect("a row");
            let before = seen.insert(key.to_vec(), entry.sequence);
            if before.is_some_and(|before| before > entry.sequence) {
                wrongs.lock().unwrap().push(format!(
                    "{key:?} was at {before:?}, and is at {} in the table",
                    entry.sequence
                ));
            }
        }
        if let Some(now) = snapshot.cursor() {
            if now.sequence < cursor {
                let wrong = format!("the cursor went from {cursor} to {}", now.sequence);
                wrongs.lock().unwrap().push(wrong);
            }
            cursor = now.sequence;
        }
        tokio::time::sleep(LOOK).await;
    }
}
