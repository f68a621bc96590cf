//! A replica that its bucket overran, while it runs and while it was stopped, with an artifact and without.

use std::collections::BTreeSet;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use alluvium::{
    ArtifactKey, Bootstrap, ExportOptions, Exporter, KvLog, Mode, Replica, ReplicaBuilder, ReplicaError,
    Sequence, Transport,
};
use alluvium_e2e::bucket::Bucket;
use alluvium_e2e::engine::EngineKind;
use alluvium_e2e::state::{StateHome, open_table, rows};
use alluvium_e2e::{Depot, Files, NatsServer, wait};
use async_nats::jetstream::stream;

use crate::pair::{ENGINES, PATIENCE, config};

/// What the bucket holds at most.
const HELD: u32 = 500;
/// What is written until then: far more than is in flight.
const WRITTEN: u32 = 2_000;

struct Scenario {
    server: NatsServer,
    bucket: Bucket,
    transport: Arc<dyn Transport>,
    engine: EngineKind,
    mode: Mode,
    with_artifact: bool,
    scratch: tempfile::TempDir,
}

impl Scenario {
    async fn start(files: &Files, engine: EngineKind, mode: Mode, with_artifact: bool) -> Self {
        let server = NatsServer::start().await;
        let config = stream::Config {
            max_messages: HELD.into(),
            ..config()
        };
        let name = format!("{engine}-{mode}-{with_artifact}");
        Self {
            bucket: Bucket::of_stream(&server, "b", config).await,
            transport: Depot::new(files, &name).transport(),
            server,
            engine,
            mode,
            with_artifact,
            scratch: tempfile::tempdir().unwrap(),
        }
    }

    fn key() -> ArtifactKey {
        "routes".parse().unwrap()
    }

    /// One that has few messages in flight.
    async fn slow(&self, table: &Arc<dyn alluvium::Table>) -> ReplicaBuilder {
        let log = KvLog::builder(self.server.client().await, "b").max_in_flight_messages(64);
        let builder = Replica::builder(Arc::new(log.open().await.unwrap()), Arc::clone(table))
            .mode(self.mode)
            .queue_bytes(1)
            .bounds_every(Duration::from_millis(100));
        if !self.with_artifact {
            return builder;
        }
        let scratch = self.scratch.path().join("s");
        builder.bootstrap_from(Bootstrap::new(Arc::clone(&self.transport), Self::key(), scratch))
    }

    /// Writes what the bucket does not hold, follows that without a gap, exports it, and writes a little more. The last message.
    async fn write(&self) -> Sequence {
        let home = StateHome::new(self.engine);
        let (_state, log, table) = home.parts(&self.server, "b").await;
        let replica = Replica::builder(log, Arc::clone(&table)).mode(self.mode);
        let replica = replica.start().await.unwrap();
        let mut last = Sequence::ZERO;
        for number in 0..WRITTEN {
            last = self.bucket.put(&format!("k{number}"), "1").await;
            if number % 100 == 0 {
                replica.wait_for(last).await.unwrap();
            }
        }
        replica.wait_for(last).await.unwrap();
        let options = ExportOptions::default();
        let exporter = Exporter::new(table, Arc::clone(&self.transport), Self::key(), options);
        exporter.export().await.unwrap();
        for number in 0..10 {
            last = self.bucket.put(&format!("more{number}"), "1").await;
        }
        replica.shutdown().await.unwrap();
        last
    }

    /// Whether the replica comes to hold what it should, or says that it cannot.
    async fn holds_what_it_should(&self, replica: Result<Replica, ReplicaError>, last: Sequence) {
        if self.mode == Mode::Archive && !self.with_artifact {
            let error = match replica {
                Ok(replica) => tokio::time::timeout(PATIENCE, replica.stopped())
                    .await
                    .unwrap()
                    .unwrap_err(),
                Err(error) => error,
            };
            assert!(matches!(error, ReplicaError::Refused(_)), "{error:?}");
            return;
        }
        let replica = replica.unwrap();
        tokio::time::timeout(PATIENCE, replica.wait_for(last))
            .await
            .unwrap_or_else(|_| panic!("{:?}", replica.status()))
            .unwrap();
        if self.mode == Mode::Mirror {
            let truth = self.bucket.truth().await;
            let table = replica.table();
            wait::until(PATIENCE, "the mirror holds what the bucket holds", || {
                rows(table.as_ref()) == truth
            })
            .await;
        } else {
            let keys: BTreeSet<_> = rows(replica.table().as_ref()).into_keys().collect();
            let more = (0..10).map(|number| format!("more{number}"));
            let all = (0..WRITTEN).map(|number| format!("k{number}")).chain(more);
            assert_eq!(keys, all.map(String::into_bytes).collect());
            assert!(replica.status().bootstrap.unwrap().done.is_some());
        }
        replica.shutdown().await.unwrap();
    }
}

async fn on_each(scenario: impl AsyncFn(Scenario)) {
    let files = Files::start();
    for engine in ENGINES {
        for mode in [Mode::Mirror, Mode::Archive] {
            for with_artifact in [false, true] {
                scenario(Scenario::start(&files, engine, mode, with_artifact).await).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn overrun_while_it_was_held_up() {
    on_each(async |scenario| {
        let home = StateHome::new(scenario.engine);
        let (_state, table) = open_table(&home.path(), scenario.engine).await;
        let (open, gate) = mpsc::channel::<()>();
        let builder = scenario.slow(&table).await;
        // Waits until the gate is open, and does not wait again.
        let builder = builder.on_batch(move |_| {
            // An error is what it waits for.
            let _ = gate.recv();
            Ok(())
        });
        let replica = builder.start().await;
        let last = scenario.write().await;
        drop(open);
        scenario.holds_what_it_should(replica, last).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn overrun_while_it_was_stopped() {
    on_each(async |scenario| {
        let home = StateHome::new(scenario.engine);
        let (_state, table) = open_table(&home.path(), scenario.engine).await;
        let first = scenario.bucket.put("k0", "0").await;
        let replica = scenario.slow(&table).await.start().await.unwrap();
        replica.wait_for(first).await.unwrap();
        replica.shutdown().await.unwrap();
        let last = scenario.write().await;
        let replica = scenario.slow(&table).await.start().await;
        scenario.holds_what_it_should(replica, last).await;
    })
    .await;
}
