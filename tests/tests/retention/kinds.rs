//! Each way of a server to forget by itself: expiry and limits, with markers and without. While the replicas run, and while they
//! are stopped.

use std::time::Duration;

use alluvium::{ReconcileReason, RefuseReason, ReplicaError};
use alluvium_e2e::{NatsServer, wait};
use async_nats::jetstream::stream;

use crate::pair::{ENGINES, PATIENCE, Pair, config, on_each};
use crate::written::{A_WHILE, Written};

/// How long a marker that the server puts stays itself.
const MARKER: Option<Duration> = Some(Duration::from_mins(10));

async fn fill_and_delete(written: &mut Written) {
    written.fill("old", 50).await;
    written.delete("old.7").await;
}

async fn wait_until_all_is_expired(written: &mut Written) {
    written.bucket_holds(0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expiry_by_age_without_markers() {
    let config = stream::Config {
        max_age: A_WHILE,
        ..config()
    };
    on_each(config, fill_and_delete, wait_until_all_is_expired).await;
}

fn with_markers(max_age: Duration) -> stream::Config {
    stream::Config {
        max_age,
        allow_message_ttl: true,
        subject_delete_marker_ttl: MARKER,
        ..config()
    }
}

/// The markers are there when they are read: they, too, are as old as the bucket allows at most.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expiry_by_age_with_markers() {
    let config = with_markers(Duration::from_hours(1));
    on_each(config, fill_and_delete, async |written| {
        let last = written.bucket.last().await.get();
        written.edit(with_markers(A_WHILE)).await;
        wait::until_ok(PATIENCE, "there is a marker for each key", async || {
            let now = written.bucket.last().await.get();
            if now >= last + 49 { Ok(()) } else { Err(now) }
        })
        .await;
        written.edit(with_markers(Duration::from_hours(1))).await;
        written.bucket_holds(0).await;
    })
    .await;
}

/// An archive that was stopped for longer than markers last does not go on: what went unread may have been a delete.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expiry_by_age_with_markers_that_expire() {
    let server = NatsServer::start().await;
    for engine in ENGINES {
        let mut pair = Pair::start(&server, engine, with_markers(A_WHILE)).await;
        fill_and_delete(&mut pair.written).await;
        pair.both_come_to_the_end().await;
        pair.written.bucket_is_empty().await;
        pair.both_hold_what_they_should().await;
        pair.written.fill("more", 10).await;
        pair.both_come_to_the_end().await;
        let (mirror, archive) = (pair.mirror.stop().await, pair.archive.stop().await);
        pair.written.bucket_is_empty().await;
        let error = archive.try_start(&server).await.err();
        assert!(
            matches!(&error, Some(ReplicaError::Refused(RefuseReason::Archive { cause, .. })) if *cause == ReconcileReason::Overrun),
            "{error:?}"
        );
        let mirror = mirror.start(&server).await;
        mirror.holds_what_there_is(&pair.written.bucket).await;
        mirror.stop().await;
        pair.written.remove_the_bucket().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_oldest_discarded_by_count() {
    let config = stream::Config {
        max_messages: 100,
        ..config()
    };
    on_each(
        config,
        async |written| {
            written.fill("old", 120).await;
            written.delete("old.105").await;
        },
        async |written| {
            written.fill("new", 50).await;
            written.delete("old.110").await;
            written.bucket_holds(98).await;
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_oldest_discarded_by_bytes() {
    let config = stream::Config {
        max_bytes: 10_000,
        ..config()
    };
    on_each(
        config,
        async |written| written.fill("old", 150).await,
        async |written| {
            let before = written.bucket.truth().await;
            written.fill("new", 150).await;
            let after = written.bucket.truth().await;
            assert!(
                before.keys().any(|key| !after.contains_key(key)),
                "some are discarded"
            );
        },
    )
    .await;
}

async fn put_some_for_a_while(written: &mut Written) {
    written.fill("stays", 10).await;
    for key in 0..10 {
        written.put_for_a_while(&format!("goes.{key}")).await;
    }
}

async fn wait_until_they_are_expired(written: &mut Written) {
    written.fill("stays.too", 10).await;
    written.bucket_holds(20).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_with_a_time_to_live_without_markers() {
    let config = stream::Config {
        allow_message_ttl: true,
        ..config()
    };
    on_each(config, put_some_for_a_while, wait_until_they_are_expired).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_with_a_time_to_live_with_markers() {
    let config = stream::Config {
        allow_message_ttl: true,
        subject_delete_marker_ttl: MARKER,
        ..config()
    };
    on_each(config, put_some_for_a_while, wait_until_they_are_expired).await;
}

/// The last message of a key goes before the one that it replaced: that is the last again, and what a mirror holds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_time_to_live_in_a_history() {
    let config = stream::Config {
        max_messages_per_subject: 5,
        allow_message_ttl: true,
        ..config()
    };
    on_each(
        config,
        async |written| {
            written.fill("key", 10).await;
            for key in 0..3 {
                written.put_for_a_while(&format!("key.{key}")).await;
            }
            written.put_for_a_while("goes").await;
        },
        async |written| {
            written.put("key.2", "again").await;
            written.fill("more", 5).await;
            written.bucket_holds(15).await;
            let is_back = async || {
                let truth = written.bucket.truth().await;
                let back = truth.get(&b"key.0"[..]).filter(|(value, _)| value == b"of key");
                back.map(drop).ok_or(truth)
            };
            wait::until_ok(PATIENCE, "the message before is the last again", is_back).await;
        },
    )
    .await;
}

/// What the archive would forget the moment before, it keeps.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_edited_to_a_shorter_age() {
    on_each(config(), fill_and_delete, async |written| {
        let shorter = stream::Config {
            max_age: A_WHILE,
            ..config()
        };
        written.edit(shorter).await;
        written.bucket_holds(0).await;
    })
    .await;
}

/// An archive that saw its bucket evict never again takes what is gone for deleted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_no_longer_evicts() {
    let evicting = stream::Config {
        max_messages: 100,
        ..config()
    };
    let server = NatsServer::start().await;
    for engine in ENGINES {
        let mut pair = Pair::start(&server, engine, evicting.clone()).await;
        pair.written.fill("old", 120).await;
        pair.both_hold_what_they_should().await;
        pair.written.edit(config()).await;
        for filter in ["old.50", "old.>"] {
            pair.written.purge(filter).await;
            pair.both_hold_what_they_should().await;
            pair = pair
                .while_stopped(&server, async |written| written.fill("new", 10).await)
                .await;
            pair.both_hold_what_they_should().await;
        }
        assert_eq!(pair.written.kept.len(), 131, "nothing went");
        pair.end().await;
    }
}
