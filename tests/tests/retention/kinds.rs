//! Each way of a server to forget: expiry, limits, purges; with markers and without.

use std::time::Duration;

use alluvium_e2e::NatsServer;
use async_nats::jetstream::stream;

use crate::pair::{ENGINES, Pair, config};

const SECOND: Duration = Duration::from_secs(1);

/// Does this to a mirror and an archive of a bucket like this, on each engine.
async fn on_each(config: stream::Config, scenario: impl AsyncFn(&mut Pair)) {
    let server = NatsServer::start().await;
    for engine in ENGINES {
        let mut pair = Pair::start(&server, engine, config.clone()).await;
        scenario(&mut pair).await;
        pair.end().await;
    }
}

async fn expire(pair: &mut Pair) {
    pair.fill("old", 50).await;
    pair.delete("old.7").await;
    pair.bucket_holds(0).await;
    pair.fill("new", 5).await;
    pair.both_hold_what_they_should().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expiry_by_age_without_markers() {
    let config = stream::Config {
        max_age: SECOND,
        ..config()
    };
    on_each(config, expire).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expiry_by_age_with_markers() {
    let config = stream::Config {
        max_age: SECOND,
        allow_message_ttl: true,
        subject_delete_marker_ttl: Some(SECOND),
        ..config()
    };
    on_each(config, expire).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_oldest_discarded_by_count() {
    let config = stream::Config {
        max_messages: 100,
        ..config()
    };
    on_each(config, async |pair| {
        pair.fill("old", 120).await;
        pair.delete("old.105").await;
        pair.fill("new", 50).await;
        pair.both_hold_what_they_should().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_oldest_discarded_by_bytes() {
    let config = stream::Config {
        max_bytes: 10_000,
        ..config()
    };
    on_each(config, async |pair| {
        pair.fill("old", 150).await;
        pair.fill("new", 150).await;
        assert!(pair.bucket.truth().await.len() < 300, "something is discarded");
        pair.both_hold_what_they_should().await;
    })
    .await;
}

async fn let_some_expire(pair: &mut Pair) {
    pair.fill("stays", 10).await;
    for key in 0..10 {
        pair.put_for_a_second(&format!("goes.{key}")).await;
    }
    pair.fill("stays.too", 10).await;
    pair.bucket_holds(20).await;
    pair.both_hold_what_they_should().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_with_a_time_to_live_without_markers() {
    let config = stream::Config {
        allow_message_ttl: true,
        ..config()
    };
    on_each(config, let_some_expire).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_with_a_time_to_live_with_markers() {
    let config = stream::Config {
        allow_message_ttl: true,
        subject_delete_marker_ttl: Some(SECOND),
        ..config()
    };
    on_each(config, let_some_expire).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_edited_to_a_shorter_age() {
    on_each(config(), async |pair| {
        pair.fill("old", 20).await;
        pair.both_hold_what_they_should().await;
        let shorter = stream::Config {
            max_age: SECOND,
            ..config()
        };
        pair.bucket.context.update_stream(shorter).await.unwrap();
        pair.bucket_holds(0).await;
        pair.both_hold_what_they_should().await;
    })
    .await;
}
