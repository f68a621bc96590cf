//! Nodes that lie behind: whatever they say, nothing that the log holds is taken for gone.

use std::collections::BTreeSet;
use std::time::Duration;

use alluvium::{ErrorKind, KvLog, Log as _, LogEvent, LogStream, Scope, Sequence};
use alluvium_e2e::NatsCluster;
use alluvium_e2e::nats_cluster::{NODES, PATIENCE};
use futures_util::{StreamExt as _, TryStreamExt as _};

use crate::bucket::{Bucket, at_length, consumers_become};

/// Values that take a node a while to fetch.
const VALUE: usize = 256 << 10;

/// While a node catches up, the server makes consumers on it, too. They know only what the node has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_lies_behind_ends_no_listing_and_no_read_too_early() {
    let mut cluster = NatsCluster::start().await;
    for history in [1, 4] {
        let name = if history == 1 { "last" } else { "several" };
        let bucket = Bucket::create(&cluster, name, history).await;
        let log = bucket.log(&cluster).await;
        let count = at_length(1_200, 400);
        let mut keys = BTreeSet::new();
        let (mut listings, mut behind) = (0, 0);
        // A node may be too quick to be caught lying behind.
        for round in 0..10 {
            if round >= at_length(6, 2) && behind > 1 {
                break;
            }
            let leader = cluster.leader(&bucket.stream).await;
            let node = (leader + 1 + round % 2) % NODES;
            cluster.kill(node).await;
            for number in 0..count {
                let key = format!("key.{round}.{number}");
                bucket.put(&key, vec![b'x'; VALUE]).await;
                keys.insert(key);
            }
            let last = bucket.put("end", "here").await;
            keys.insert("end".to_owned());
            cluster.restart(node).await;
            // From here on the node catches up, while it is asked.
            loop {
                let info = cluster
                    .info(&bucket.stream)
                    .await
                    .expect("the stream has a leader");
                let peers = info.cluster.expect("a cluster").replicas;
                let in_step = peers
                    .iter()
                    .all(|peer| peer.current && peer.lag.unwrap_or(0) == 0);
                let Some(listed) = list(&log).await else {
                    continue;
                };
                let missing: Vec<_> = keys.difference(&listed).collect();
                assert!(
                    missing.is_empty(),
                    "{} of {} keys are missing in a listing, the first is {:?}",
                    missing.len(),
                    keys.len(),
                    missing.first()
                );
                caught_up_means_given(&log, Sequence::new(last.get() - 10), last).await;
                listings += 1;
                behind += u32::from(!in_step);
                if in_step {
                    break;
                }
            }
        }
        eprintln!("{listings} listings, {behind} of them while a node lay behind");
        assert!(behind > 1, "hardly any node ever lay behind");
        consumers_become(&cluster, &bucket.stream, 0).await;
    }
}

/// The keys of a log. None if the cluster was not able to, which it says.
async fn list(log: &KvLog) -> Option<BTreeSet<String>> {
    let listed = async {
        let keys = log.keys(&Scope::all()).await?;
        keys.map_ok(|key| String::from_utf8_lossy(&key).into_owned())
            .try_collect()
            .await
    };
    match listed.await {
        Ok(keys) => Some(keys),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Transient, "{error:?}");
            None
        }
    }
}

/// What is said to have been given has been.
async fn caught_up_means_given(log: &KvLog, from: Sequence, last: Sequence) {
    let mut stream = log.read(from, &Scope::all()).await.expect("the log is read");
    let mut given = from.previous();
    let reading = async {
        loop {
            match stream
                .next()
                .await
                .expect("a read does not end")
                .expect("the log is read")
            {
                LogEvent::Change(change) => {
                    assert_eq!(change.sequence, given.next(), "a message was left out");
                    given = change.sequence;
                }
                LogEvent::CaughtUp(sequence) => {
                    assert!(sequence <= given, "{given} was given, and {sequence} was said");
                    if sequence >= last {
                        return;
                    }
                    panic!("{sequence} is said to be the end, and that is {last}");
                }
            }
        }
    };
    tokio::time::timeout(Duration::from_mins(1), reading)
        .await
        .expect("the end is reached");
}

/// A node that has no leader tells what it has itself, and that is not the log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_alone_does_not_make_the_log_shorter() {
    let mut cluster = NatsCluster::start().await;
    let bucket = Bucket::create(&cluster, "routes", 1).await;
    let log = bucket.log(&cluster).await;
    let first = bucket.put("a", "1").await;
    let mut stream = log.read(first, &Scope::all()).await.expect("the log is read");
    cluster.in_step(&bucket.stream).await;
    let alone = (cluster.leader(&bucket.stream).await + 1) % NODES;
    cluster.pause(alone);
    // The others come back as what they were, but for their connections to it: nothing waits for it in a buffer.
    for node in (0..NODES).filter(|node| *node != alone) {
        cluster.kill(node).await;
        cluster.restart(node).await;
    }
    let last = bucket.put("b", "2").await;
    follow(&mut stream, last).await;
    for node in (0..NODES).filter(|node| *node != alone) {
        cluster.kill(node).await;
    }
    cluster.resume(alone);
    // It says so, after a while.
    let begin = std::time::Instant::now();
    let told = loop {
        match cluster.info(&bucket.stream).await {
            Some(info) => break info,
            None => assert!(begin.elapsed() < PATIENCE, "the node never tells anything"),
        }
    };
    assert!(
        told.state.last_sequence < last.get(),
        "the node does not lie behind: {:?}",
        told.state
    );
    for wanted in [
        log.bounds().await.map(drop),
        log.read(last.next(), &Scope::all()).await.map(drop),
    ] {
        let error = wanted.expect_err("nobody can tell where the log ends");
        assert_eq!(error.kind(), ErrorKind::Transient, "{error:?}");
    }
    for node in (0..NODES).filter(|node| *node != alone) {
        cluster.restart(node).await;
    }
    let next = bucket.put("c", "3").await;
    follow(&mut stream, next).await;
    assert!(log.bounds().await.expect("the log is there").last >= next);
}

/// Reads on until this is given.
async fn follow(stream: &mut LogStream, to: Sequence) {
    let mut given = Sequence::ZERO;
    let reading = async {
        while given != to {
            match stream
                .next()
                .await
                .expect("a read does not end")
                .expect("the log is read")
            {
                LogEvent::Change(change) => given = change.sequence,
                LogEvent::CaughtUp(sequence) => assert!(sequence <= given.max(to)),
            }
        }
    };
    let reading = tokio::time::timeout(PATIENCE, reading).await;
    reading.expect("the read goes on");
}
