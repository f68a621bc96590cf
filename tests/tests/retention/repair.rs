//! Purges, which leave no marker: a mirror forgets what is purged. While running, and while nobody followed.

use alluvium_e2e::NatsServer;
use alluvium_e2e::bucket::Bucket;

use crate::pair::{ENGINES, Pair, config};

/// What an operator purges by hand: a key, a filter, or everything.
async fn purge(bucket: &Bucket, filter: &str) {
    let stream = bucket.context.get_stream("KV_b").await.unwrap();
    stream.purge().filter(format!("$KV.b.{filter}")).await.unwrap();
}

async fn filled(server: &NatsServer, engine: alluvium_e2e::engine::EngineKind) -> Pair {
    let mut pair = Pair::start(server, engine, config()).await;
    for prefix in ["one", "other", "third"] {
        pair.fill(prefix, 20).await;
    }
    pair
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn purges_under_a_running_mirror() {
    let server = NatsServer::start().await;
    for engine in ENGINES {
        let pair = filled(&server, engine).await;
        for (filter, left) in [("one.3", 59), ("other.>", 39), (">", 0)] {
            purge(&pair.bucket, filter).await;
            pair.bucket_holds(left).await;
            pair.mirror_holds_what_it_should().await;
        }
        pair.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn purges_under_a_mirror_that_is_written_to() {
    let server = NatsServer::start().await;
    for engine in ENGINES {
        let mut pair = filled(&server, engine).await;
        for (round, filter) in ["one.3", "other.>"].into_iter().enumerate() {
            pair.mirror_holds_what_it_should().await;
            pair.fill("third", 10).await;
            purge(&pair.bucket, filter).await;
            pair.fill(&format!("new{round}"), 10).await;
        }
        pair.mirror_holds_what_it_should().await;
        pair.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn purges_while_nobody_followed() {
    let server = NatsServer::start().await;
    for engine in ENGINES {
        let pair = filled(&server, engine).await;
        let pair = pair
            .while_stopped(&server, async |bucket| {
                purge(bucket, "other.>").await;
                bucket.put("one.1", "again").await;
            })
            .await;
        pair.mirror_holds_what_it_should().await;
        pair.end().await;
    }
}

/// What `nats kv compact` does: markers go, and the keys that they deleted with them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn markers_compacted_before_they_were_read() {
    let server = NatsServer::start().await;
    for engine in ENGINES {
        let pair = filled(&server, engine).await;
        let pair = pair
            .while_stopped(&server, async |bucket| {
                for key in 0..10 {
                    bucket.delete(&format!("one.{key}")).await;
                }
                for key in 0..10 {
                    purge(bucket, &format!("one.{key}")).await;
                }
                bucket.put("kept", "1").await;
            })
            .await;
        pair.mirror_holds_what_it_should().await;
        pair.end().await;
    }
}
