//! A log that becomes another one, or loses its tail, under a running replica.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use alluvium_core::{
    Bounds, Change, KeyStream, ListStream, Log, LogError, LogStream, Plan, ReconcileReason, Scope, Sequence,
    Table,
};
use alluvium_memory::MemoryLog;
use alluvium_runtime::{Replica, ReplicaError, State, Status};
use async_trait::async_trait;

use super::watched::Watched;
use super::{follow, rows, table, truth};

const PATIENCE: Duration = Duration::from_mins(1);

async fn start(log: &MemoryLog, table: &Arc<dyn Table>, missing_for: Duration) -> Replica {
    let replica = Replica::builder(Arc::new(log.clone()) as Arc<dyn Log>, Arc::clone(table))
        .missing_for(missing_for)
        .start()
        .await
        .unwrap();
    replica.caught_up().await.unwrap();
    replica
}

async fn tells(replica: &Replica, told: impl Fn(&Status) -> bool) {
    let mut status = replica.watch_status();
    let found = tokio::time::timeout(PATIENCE, status.wait_for(|status| told(status)));
    assert!(matches!(found.await, Ok(Ok(_))), "{:?}", replica.status());
}

/// However far it had come in the log as it was before.
#[tokio::test]
async fn a_write_after_the_change_is_waited_for() {
    let changes: [fn(&MemoryLog); 2] = [
        |log| log.replace(),
        |log| {
            log.cut_after(Sequence::FIRST);
        },
    ];
    for change in changes {
        let (log, table) = (MemoryLog::new("l"), table());
        for key in 0..100 {
            log.put(format!("k{key}"), "1");
        }
        let replica = start(&log, &table, PATIENCE).await;
        change(&log);
        tells(&replica, |status| {
            status
                .cursor
                .as_ref()
                .is_some_and(|cursor| cursor.sequence.get() < 2)
        })
        .await;
        assert!(replica.status().position().get() < 2, "{:?}", replica.status());
        for round in 0..50 {
            let last = log.put("new", round.to_string());
            let there = tokio::time::timeout(PATIENCE, replica.wait_for(last)).await;
            there.unwrap().unwrap();
            assert_eq!(replica.get("new").unwrap().unwrap().value, round.to_string());
        }
        assert_eq!(rows(&table), truth(&log).await);
        replica.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_log_that_comes_back_is_followed() {
    let (log, table) = (MemoryLog::new("l"), table());
    log.put("old", "1");
    log.put("older", "1");
    let replica = start(&log, &table, PATIENCE).await;
    log.destroy();
    tells(&replica, |status| {
        status.state == State::Stalled && matches!(status.error, Some(ReplicaError::Log(_)))
    })
    .await;
    assert!(replica.get("old").unwrap().is_some());
    log.replace();
    let last = log.put("new", "1");
    tells(&replica, |status| {
        status.state == State::Live && status.error.is_none() && status.position() == last
    })
    .await;
    assert_eq!(rows(&table), truth(&log).await);
    replica.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_log_that_does_not_come_back_stops_the_replica() {
    let (log, table) = (MemoryLog::new("l"), table());
    log.put("k", "1");
    let replica = start(&log, &table, Duration::from_millis(100)).await;
    log.destroy();
    let stopped = tokio::time::timeout(PATIENCE, replica.stopped()).await;
    match stopped.unwrap() {
        Err(ReplicaError::Log(error)) => assert!(matches!(*error, LogError::NotFound { .. })),
        other => panic!("{other:?}"),
    }
    assert_eq!(replica.get("k").unwrap().unwrap().value, "1", "reads go on");
}

/// The message at the cursor is gone, and those before it tell.
#[tokio::test]
async fn a_message_in_the_place_of_one_before_the_cursor_tells_of_another_history() {
    // With one, nothing of what was there before is in another one's place.
    for lost in 2..10 {
        let (log, table) = (MemoryLog::with_history("l", 1), table());
        for key in 0..20 {
            log.put(format!("k{key}"), "1");
        }
        let last = log.put("last", "1");
        follow(&Watched::new(log.clone()), &table).await;
        log.cut_after(Sequence::new(last.get() - lost));
        for key in 1..lost {
            log.put(format!("other{key}"), "2");
        }
        assert_eq!(log.put("over", "2"), last);
        log.put("over", "3");
        let (_, reason) = follow(&Watched::new(log), &table).await;
        assert_eq!(reason, Some(ReconcileReason::HistoryChanged), "{lost} lost");
    }
}

#[tokio::test]
async fn a_key_at_the_cursor_that_was_written_again_is_read_on_from() {
    let (log, table) = (MemoryLog::with_history("l", 1), table());
    for key in 0..50 {
        log.put(format!("k{key}"), "1");
    }
    follow(&Watched::new(log.clone()), &table).await;
    for key in 40..50 {
        log.put(format!("k{key}"), "2");
    }
    let log = Watched::new(log);
    let (_, reason) = follow(&log, &table).await;
    assert_eq!(reason, None);
    assert!(log.fetched() < 20, "{}", log.fetched());
}

/// A log that tells now and then that it ends after its first message, as a node of a cluster that lies behind does.
struct Behind {
    log: MemoryLog,
    /// So often still.
    lies: AtomicU32,
}

impl Behind {
    fn new(log: &MemoryLog, lies: u32) -> Arc<Self> {
        Arc::new(Self {
            log: log.clone(),
            lies: lies.into(),
        })
    }
}

#[async_trait]
impl Log for Behind {
    fn name(&self) -> &str {
        self.log.name()
    }

    async fn bounds(&self) -> Result<Bounds, LogError> {
        let mut bounds = self.log.bounds().await?;
        let lies = self
            .lies
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |lies| lies.checked_sub(1));
        if lies.is_ok() {
            bounds.last = Sequence::FIRST;
        }
        Ok(bounds)
    }

    async fn read(&self, from: Sequence, scope: &Scope) -> Result<LogStream, LogError> {
        self.log.read(from, scope).await
    }

    async fn current(&self, scope: &Scope) -> Result<LogStream, LogError> {
        self.log.current(scope).await
    }

    async fn list(&self, scope: &Scope) -> Result<ListStream, LogError> {
        self.log.list(scope).await
    }

    async fn keys(&self, scope: &Scope) -> Result<KeyStream, LogError> {
        self.log.keys(scope).await
    }

    async fn message_at(&self, sequence: Sequence) -> Result<Option<Change>, LogError> {
        self.log.message_at(sequence).await
    }
}

#[tokio::test]
async fn a_log_that_is_told_to_be_shorter_is_asked_once_more() {
    let (log, table) = (MemoryLog::new("l"), table());
    for key in 0..10 {
        log.put(format!("k{key}"), "1");
    }
    follow(&Watched::new(log.clone()), &table).await;
    let start = async |behind: Arc<Behind>| Replica::builder(behind, Arc::clone(&table)).start().await;
    let replica = start(Behind::new(&log, 1)).await.unwrap();
    assert!(matches!(replica.status().plan, Some(Plan::Resume { .. })));
    replica.shutdown().await.unwrap();
    // Where the answers go on to differ, there is no telling.
    match start(Behind::new(&log, 2)).await {
        Err(ReplicaError::Log(error)) => assert!(matches!(*error, LogError::Unavailable { .. }), "{error:?}"),
        other => panic!("{other:?}"),
    }
    log.cut_after(Sequence::FIRST);
    let replica = start(Behind::new(&log, 0)).await.unwrap();
    let plan = replica.status().plan;
    assert_eq!(plan, Some(Plan::Reconcile(ReconcileReason::TailLost)));
    replica.shutdown().await.unwrap();
}
