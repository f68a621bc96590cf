//! Two nodes: the one follows a bucket on one engine and exports under load, the other begins with its artifact on another
//! engine, and receives the tail and nothing else. Every pair of engines.

use std::sync::Arc;
use std::time::Duration;

use alluvium::artifact::{ExportPlan, ExportPolicy};
use alluvium::{ArtifactKey, Bootstrap, ExportOptions, ExportSchedule, Exported, Replica, Round, Transport};
use alluvium_e2e::bucket::Bucket;
use alluvium_e2e::engine::EngineKind::{self, Fjall, Memory, RocksDb};
use alluvium_e2e::feed::Feed;
use alluvium_e2e::state::StateHome;
use alluvium_e2e::{Depot, Files, NatsServer, S3Server, StoreServer, wait};
use async_nats::jetstream::kv;

const PATIENCE: Duration = Duration::from_mins(1);
/// Messages of the feed, and messages per key: few enough that the history of the bucket holds them all.
const PER_KEY: u64 = 20;
/// Small ones, so that an artifact has several.
const SEGMENT_BYTES: usize = 8 << 10;

async fn pair(from: EngineKind, to: EngineKind, store: &dyn StoreServer) {
    let messages = if alluvium_e2e::full() { 60_000 } else { 4_000 };
    let server = NatsServer::start().await;
    let config = kv::Config {
        bucket: "b".to_owned(),
        history: 64,
        ..kv::Config::default()
    };
    let bucket = Bucket::create_with(&server, config).await;
    let transport: Arc<dyn Transport> = Depot::new(store, "pair").transport();
    let key: ArtifactKey = "Fleet/routes".parse().unwrap();

    let a = StateHome::new(from);
    let (_a_state, log, table) = a.parts(&server, "b").await;
    let options = ExportOptions::default()
        .segment_bytes(SEGMENT_BYTES)
        // So much changes here that what is exported would soon be a base again.
        .policy(ExportPolicy::default().deltas_percent(1_000))
        .exporter("a");
    let schedule = ExportSchedule::new(Arc::clone(&transport), key.clone()).options(options);
    let replica_a = Replica::builder(log, table)
        .export(schedule)
        .start()
        .await
        .unwrap();
    replica_a.caught_up().await.unwrap();

    let feed = Feed::start(bucket.context.clone(), "b", 7, messages / PER_KEY, messages);
    // A base, and what changed since, twice: while the feed goes on.
    for export in 1..=3 {
        let enough = messages * (export + 2) / 8;
        wait::until(PATIENCE, "the feed goes on", || {
            replica_a.status().position().get() >= enough
        })
        .await;
        let round = replica_a.export_now().await.unwrap();
        let Round::Exported(Exported::Published(report)) = round else {
            panic!("{round:?}")
        };
        let is_delta = matches!(report.plan, ExportPlan::Delta { .. });
        assert_eq!(is_delta, export > 1, "{:?}", report.plan);
        assert!(report.segments > 1, "{report:?}");
        let cursor = report.cursor().sequence.get();
        assert!(cursor >= enough);
    }
    assert!(!feed.is_finished(), "nothing was exported under load");

    let b = StateHome::new(to);
    let (_b_state, log, table) = b.parts(&server, "b").await;
    let scratch = tempfile::tempdir().unwrap();
    let bootstrap = Bootstrap::new(Arc::clone(&transport), key.clone(), scratch.path().join("b"));
    let replica_b = Replica::builder(log, table)
        .bootstrap_from(bootstrap)
        .start()
        .await
        .unwrap();
    let ledger = feed.finished().await;
    let last = bucket.last().await;
    assert_eq!((last.get(), ledger.len()), (messages, messages));
    replica_a.wait_for(last).await.unwrap();
    replica_b.wait_for(last).await.unwrap();

    let status = replica_b.status();
    let done = status.bootstrap.and_then(|bootstrap| bootstrap.done);
    let done = done.expect("it began with the artifact");
    let newest = transport.manifest(&key).await.unwrap().unwrap();
    assert_eq!((&done.cursor, newest.runs.len()), (&newest.cursor, 3));
    let from_artifact = done.cursor.sequence.get();
    assert_eq!(done.rows, ledger.at(from_artifact).len() as u64);
    let tail = messages - from_artifact;
    assert!(tail > 0 && from_artifact >= messages * 5 / 8, "{from_artifact}");
    assert_eq!(status.received, tail, "it received more or less than the tail");
    assert_eq!(status.restarts, 0);

    let truth = ledger.at(messages);
    assert_eq!(bucket.truth().await, truth);
    assert_eq!(a.rows(&replica_a), truth, "{from}");
    assert_eq!(b.rows(&replica_b), truth, "{to}");
    for replica in [replica_a, replica_b] {
        replica.shutdown().await.unwrap();
    }
}

/// A test for each pair: in short on one of the stores, which alternate, at full length on both.
macro_rules! pairs {
    ($($name:ident: $from:ident => $to:ident, $short:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let short = stringify!($short);
            if short == "file" || alluvium_e2e::full() {
                pair($from, $to, &Files::start()).await;
            }
            if short == "s3" || alluvium_e2e::full() {
                pair($from, $to, &S3Server::start()).await;
            }
        }
    )*};
}

pairs! {
    memory_to_memory: Memory => Memory, s3;
    memory_to_fjall: Memory => Fjall, file;
    memory_to_rocksdb: Memory => RocksDb, s3;
    fjall_to_memory: Fjall => Memory, file;
    fjall_to_fjall: Fjall => Fjall, s3;
    fjall_to_rocksdb: Fjall => RocksDb, file;
    rocksdb_to_memory: RocksDb => Memory, s3;
    rocksdb_to_fjall: RocksDb => Fjall, file;
    rocksdb_to_rocksdb: RocksDb => RocksDb, s3;
}
