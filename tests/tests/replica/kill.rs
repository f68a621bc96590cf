//! A replicating process killed with SIGKILL at random moments, again and again, while the bucket is written.

use std::time::Duration;

use alluvium_e2e::NatsServer;
use alluvium_e2e::bucket::Bucket;
use alluvium_e2e::command::{Replicate, stored_cursor};
use alluvium_e2e::engine::EngineKind;
use alluvium_e2e::feed::{Feed, Random};
use alluvium_e2e::state::StateHome;
use async_nats::jetstream::kv;

/// Keys of a feed, and the messages after which it ends, for each kill: enough that the feed goes on to the last kill,
/// and few enough per key that the bucket's history holds them all, so that the state at every cursor is known exactly.
const KEYS: u64 = 300;
const MESSAGES: u64 = 8_000;

async fn survives_kills(engine: EngineKind, durability: &str) {
    let kills = if alluvium_e2e::full() { 50 } else { 6 };
    let server = NatsServer::start().await;
    let config = kv::Config {
        bucket: "b".to_owned(),
        history: 64,
        ..kv::Config::default()
    };
    let bucket = Bucket::create_with(&server, config).await;
    let home = StateHome::new(engine);
    let more = ["--durability", durability];
    let feed = Feed::start(bucket.context.clone(), "b", 7, KEYS * kills, MESSAGES * kills);
    let mut random = Random(11);
    let mut resumed = 0;
    for kill in 0..kills {
        let mut replicate = Replicate::start(&server.url(), "b", &home.url(), &more).unwrap();
        // At any moment: while it starts, while it catches up, while it is live.
        if random.below(3) > 0 {
            replicate.wait_for_cursor(1).await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(random.below(60))).await;
        let told = replicate.kill().await.unwrap();
        if !home.path().join("alluvium.json").exists() {
            assert_eq!(told, 0, "kill {kill}: a cursor was told without a state");
            continue;
        }
        let stored = stored_cursor(&home.path()).await.unwrap().unwrap_or(0);
        assert!(stored >= told, "kill {kill}: {told} was told, {stored} is stored");
        assert!(
            stored >= resumed,
            "kill {kill}: the cursor fell from {resumed} to {stored}"
        );
        assert_eq!(
            home.stored_rows().await,
            feed.ledger().at(stored),
            "kill {kill} at {stored}"
        );
        resumed = stored;
    }
    assert!(!feed.is_finished(), "the feed ended before the last kill");
    let ledger = feed.stop().await;
    assert!(resumed > 0, "no kill came late enough to leave a cursor");
    let replicate = Replicate::start(&server.url(), "b", &home.url(), &["--until-caught-up"]).unwrap();
    let read = replicate.ended().await.unwrap();
    assert_eq!(
        read,
        ledger.len() - resumed,
        "the last run read more or less than what came after its cursor"
    );
    assert_eq!(home.stored_rows().await, ledger.at(ledger.len()));
    assert_eq!(home.stored_rows().await, bucket.truth().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_buffered_survives_kills() {
    survives_kills(EngineKind::Memory, "buffered").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_fsync_survives_kills() {
    survives_kills(EngineKind::Memory, "fsync").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fjall_buffered_survives_kills() {
    survives_kills(EngineKind::Fjall, "buffered").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fjall_fsync_survives_kills() {
    survives_kills(EngineKind::Fjall, "fsync").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rocksdb_buffered_survives_kills() {
    survives_kills(EngineKind::RocksDb, "buffered").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rocksdb_fsync_survives_kills() {
    survives_kills(EngineKind::RocksDb, "fsync").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_servers_death_in_mid_flood_loses_nothing() {
    let deaths = if alluvium_e2e::full() { 20 } else { 4 };
    for engine in EngineKind::ALL {
        let mut server = NatsServer::start().await;
        let config = kv::Config {
            bucket: "b".to_owned(),
            history: 64,
            ..kv::Config::default()
        };
        let bucket = Bucket::create_with(&server, config).await;
        let home = StateHome::new(engine);
        let (replica, _state) = home.replica(&server, "b").await;
        let feed = Feed::start(bucket.context.clone(), "b", 3, KEYS * deaths, MESSAGES * deaths);
        let mut random = Random(5);
        for _ in 0..deaths {
            let enough = feed.ledger().len() + 200 + random.below(300);
            alluvium_e2e::wait::until(Duration::from_mins(1), "the feed goes on", || {
                feed.ledger().len() >= enough
            })
            .await;
            server.kill().await;
            server.restart().await;
        }
        let ledger = feed.stop().await;
        let last = bucket.last().await;
        replica.wait_for(last).await.unwrap();
        assert_eq!(home.rows(&replica), bucket.truth().await, "{engine}");
        assert!(!ledger.is_empty());
        replica.shutdown().await.unwrap();
    }
}
