//! Replicas that start while leaders change and nodes lie behind: none takes what such a node tells for a log that lost its tail.

use std::sync::Arc;
use std::time::Instant;

use alluvium::{ErrorKind, KvLog, Mode, Plan, Replica, ReplicaError, Sequence, Table};
use alluvium_e2e::NatsCluster;
use alluvium_e2e::engine::EngineKind;
use alluvium_e2e::nats_cluster::{NODES, PATIENCE};
use alluvium_e2e::state::{OpenState, StateHome, open_table};

use crate::bucket::{Bucket, at_length};

/// What a replica is started on, again and again.
struct Place {
    log: Arc<KvLog>,
    table: Arc<dyn Table>,
    mode: Mode,
    _state: OpenState,
    _home: StateHome,
}

impl Place {
    async fn new(cluster: &NatsCluster, bucket: &Bucket, engine: EngineKind, mode: Mode) -> Self {
        let home = StateHome::new(engine);
        let (state, table) = open_table(&home.path(), engine).await;
        Self {
            log: Arc::new(bucket.log(cluster).await),
            table,
            mode,
            _state: state,
            _home: home,
        }
    }

    async fn start(&self) -> Result<Replica, ReplicaError> {
        let log = Arc::clone(&self.log);
        let replica = Replica::builder(log, Arc::clone(&self.table)).mode(self.mode);
        replica.start().await
    }

    /// Starts as soon as the cluster tells what is needed, reads on from where it was, and stops there.
    async fn goes_on_to(&self, last: Sequence) {
        let begin = Instant::now();
        let replica = loop {
            match self.start().await {
                Ok(replica) => break replica,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Transient, "{error:?}");
                    assert!(begin.elapsed() < PATIENCE, "it never starts: {error:?}");
                }
            }
        };
        let plan = replica.status().plan;
        assert!(matches!(plan, Some(Plan::Resume { .. })), "{plan:?}");
        tokio::time::timeout(PATIENCE, replica.wait_for(last))
            .await
            .unwrap_or_else(|_| panic!("{:?}", replica.status()))
            .expect("the replica goes on");
        let plan = replica.status().plan;
        assert!(matches!(plan, Some(Plan::Resume { .. })), "{plan:?}");
        replica.shutdown().await.expect("the replica stops");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_while_leaders_change_or_a_node_is_alone_reads_on() {
    let mut cluster = NatsCluster::start().await;
    let bucket = Bucket::create(&cluster, "routes", 1).await;
    let places = [
        Place::new(&cluster, &bucket, EngineKind::Memory, Mode::Mirror).await,
        Place::new(&cluster, &bucket, EngineKind::Fjall, Mode::Archive).await,
    ];
    let mut last = Sequence::ZERO;
    for round in 0..at_length(30, 6) {
        for number in 0..20 {
            last = bucket.put(&format!("key.{number}"), format!("{round}")).await;
        }
        for place in &places {
            place.goes_on_to(last).await;
            // The former leader may still be heard.
            cluster.step_down(&bucket.stream).await;
            place.goes_on_to(last).await;
        }
    }
    // One node that has missed what the tables have.
    cluster.in_step(&bucket.stream).await;
    let alone = (cluster.leader(&bucket.stream).await + 1) % NODES;
    let others: Vec<usize> = (0..NODES).filter(|node| *node != alone).collect();
    cluster.pause(alone);
    for &node in &others {
        cluster.kill(node).await;
        cluster.restart(node).await;
    }
    last = bucket.put("missed", "1").await;
    for place in &places {
        place.goes_on_to(last).await;
    }
    for &node in &others {
        cluster.kill(node).await;
    }
    cluster.resume(alone);
    let begin = Instant::now();
    let told = loop {
        match cluster.info(&bucket.stream).await {
            Some(info) => break info,
            None => assert!(begin.elapsed() < PATIENCE, "the node never tells anything"),
        }
    };
    assert!(told.state.last_sequence < last.get(), "{:?}", told.state);
    for place in &places {
        let error = place
            .start()
            .await
            .expect_err("nobody can tell where the log ends");
        assert_eq!(error.kind(), ErrorKind::Transient, "{error:?}");
    }
    for &node in &others {
        cluster.restart(node).await;
    }
    for place in &places {
        place.goes_on_to(last).await;
    }
}
