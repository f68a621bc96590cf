//! A stream of three replicas whose leader changes: what one leader knew the next one knows.

use std::time::Duration;

use alluvium::{Effects, ErrorKind, Flushed, Publisher};
use alluvium_e2e::NatsCluster;
use alluvium_e2e::nats_cluster::NODES;
use async_nats::jetstream::stream;

use crate::support::{config, create, effects, publish};

const STREAM: &str = "REPLICATED";
/// An election takes a while.
const PATIENCE: Duration = Duration::from_mins(1);

/// Flushes until all is acknowledged. Whatever goes wrong on the way passes.
async fn flushed(effects: &mut Effects) -> Flushed {
    let flushes = async {
        loop {
            match effects.flush().await {
                Ok(flushed) => return flushed,
                Err(error) => assert_eq!(error.kind(), ErrorKind::Transient, "{error:?}"),
            }
        }
    };
    tokio::time::timeout(PATIENCE, flushes)
        .await
        .expect("the cluster takes what it is given")
}

async fn again(publisher: &Publisher, sequences: std::ops::RangeInclusive<u64>) -> Flushed {
    let mut effects = effects(publisher);
    publish(&mut effects, STREAM, sequences).await;
    flushed(&mut effects).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_leader_knows_what_the_former_stored() {
    let mut cluster = NatsCluster::start().await;
    let client = cluster.client().await;
    let config = stream::Config {
        num_replicas: NODES,
        ..config(STREAM)
    };
    let stream = create(&client, config).await;
    let mails = Publisher::builder(client, STREAM).request_timeout(Duration::from_secs(2));
    let mails = mails.open().await.unwrap();
    assert_eq!(again(&mails, 1..=10).await.duplicates(), 0);
    cluster.in_step(STREAM).await;

    cluster.step_down(STREAM).await;
    assert_eq!(again(&mails, 1..=10).await.duplicates(), 10);

    // Killed in the middle of it: nothing is left out, and nothing is there twice.
    let mut effects = effects(&mails);
    publish(&mut effects, STREAM, 1..=100).await;
    let leader = cluster.leader(STREAM).await;
    cluster.kill(leader).await;
    publish(&mut effects, STREAM, 101..=200).await;
    assert_eq!(flushed(&mut effects).await.messages.len(), 200);
    cluster.another_leads(STREAM, leader).await;
    assert_eq!(again(&mails, 1..=200).await.duplicates(), 200);

    // Nor does the one that was killed know less than the others when it is back.
    cluster.restart(leader).await;
    cluster.in_step(STREAM).await;
    for _ in 0..NODES {
        cluster.step_down(STREAM).await;
        assert_eq!(again(&mails, 1..=200).await.duplicates(), 200);
    }
    assert_eq!(stream.get_info().await.unwrap().state.messages, 200);
}
