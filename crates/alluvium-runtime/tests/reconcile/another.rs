//! A log that becomes another one, or loses its tail, under a running replica.

use std::sync::Arc;
use std::time::Duration;

use alluvium_core::{Log, LogError, Sequence, Table};
use alluvium_memory::MemoryLog;
use alluvium_runtime::{Replica, ReplicaError, State, Status};

use super::{rows, table, truth};

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
