//! Purges, which leave no marker: a mirror forgets what is purged, and so does an archive whose bucket never evicts. One whose
//! bucket does cannot tell, and keeps it. While they run, and while they are stopped.

use std::time::Duration;

use alluvium_e2e::NatsServer;
use async_nats::jetstream::stream;

use crate::pair::{ENGINES, Pair, config, on_each};
use crate::written::Written;

/// A bucket that never evicts, and two that could.
fn configs() -> [stream::Config; 3] {
    let by_age = stream::Config {
        max_age: Duration::from_hours(1),
        ..config()
    };
    let by_count = stream::Config {
        max_messages: 10_000,
        ..config()
    };
    [config(), by_age, by_count]
}

async fn fill(written: &mut Written) {
    for prefix in ["one", "other", "third"] {
        written.fill(prefix, 20).await;
    }
}

async fn on_each_config(then: impl AsyncFn(&mut Written)) {
    for config in configs() {
        on_each(config, fill, &then).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_purged() {
    on_each_config(async |written| written.purge("one.3").await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_is_purged() {
    on_each_config(async |written| {
        written.purge("other.>").await;
        written.put("other.5", "again").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_purged() {
    on_each_config(async |written| written.purge(">").await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn purges_under_replicas_of_a_bucket_that_is_written_to() {
    let server = NatsServer::start().await;
    for config in configs() {
        for engine in ENGINES {
            let mut pair = Pair::start(&server, engine, config.clone()).await;
            fill(&mut pair.written).await;
            for (round, filter) in ["one.3", "other.>"].into_iter().enumerate() {
                pair.both_hold_what_they_should().await;
                pair.written.fill("third", 10).await;
                pair.written.purge(filter).await;
                pair.written.fill(&format!("new{round}"), 10).await;
            }
            pair.both_hold_what_they_should().await;
            pair.end().await;
        }
    }
}

/// Markers that were read go. A key that was put again before its marker was to go loses what was put.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn markers_are_compacted() {
    for config in configs() {
        let fill_and_delete = async |written: &mut Written| {
            fill(written).await;
            for key in 0..10 {
                written.delete(&format!("one.{key}")).await;
            }
            written.bucket.purge("other.1").await;
            written.kept.remove("other.1");
        };
        on_each(config, fill_and_delete, async |written| {
            let markers = written.markers().await;
            assert_eq!(markers.len(), 11);
            written.compact(&markers, true).await;
            // Whether one that evicts is read before it is purged is left to chance.
            if !written.evicts {
                written.put("one.5", "again").await;
            }
            written.compact(&markers, false).await;
            written.bucket_holds(49).await;
            assert!(written.markers().await.is_empty());
        })
        .await;
    }
}

/// An archive of a bucket that evicts keeps rows whose markers it never saw.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn markers_are_compacted_before_they_are_read() {
    let server = NatsServer::start().await;
    for config in configs() {
        for engine in ENGINES {
            let mut pair = Pair::start(&server, engine, config.clone()).await;
            fill(&mut pair.written).await;
            pair.both_come_to_the_end().await;
            let mut pair = pair
                .while_stopped(&server, async |written| {
                    let before = written.kept.clone();
                    for key in 0..10 {
                        written.delete(&format!("one.{key}")).await;
                    }
                    let markers = written.markers().await;
                    written.compact(&markers, false).await;
                    if written.evicts {
                        written.kept = before;
                    }
                    written.put("kept", "1").await;
                })
                .await;
            pair.both_hold_what_they_should().await;
            pair.end().await;
        }
    }
}
