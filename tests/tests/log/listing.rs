//! What the log holds now, `current` and `keys`: what they cost, and consumers that are lost.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use alluvium::{ListEvent, Listed, Log, LogEvent, LogStream, Scope, Sequence};
use async_nats::Statistics;
use futures_util::StreamExt as _;
use tokio::time::timeout;

use crate::forger::Forger;
use crate::support::{Fixture, Kind, PATIENCE, Tuned, client, event, open, tuned};

on_both! {
    the_end_of_a_listing_is_not_waited_for
    a_listing_is_what_is_current_without_the_values
    keys_come_without_their_values
    a_listing_overtaken_once_does_not_wait_at_each_key_that_moved
    a_listing_goes_on_when_its_consumer_is_lost
    a_pull_that_ends_early_does_not_end_a_listing
}

/// The last sequence listed of each key, and the sequence of `CaughtUp`. Asserts order and end.
async fn list(mut stream: LogStream) -> (BTreeMap<Vec<u8>, u64>, u64) {
    let mut keys = BTreeMap::new();
    let mut last = 0;
    loop {
        match event(&mut stream).await {
            LogEvent::Change(change) => {
                assert!(change.sequence.get() > last, "{change:?} after {last}");
                last = change.sequence.get();
                keys.insert(change.key.to_vec(), last);
            }
            LogEvent::CaughtUp(sequence) => {
                assert!(sequence.get() >= last, "{sequence} after {last}");
                assert!(stream.next().await.is_none(), "that is the end");
                return (keys, sequence.get());
            }
        }
    }
}

async fn the_end_of_a_listing_is_not_waited_for(kind: Kind) {
    for history in [1, 2] {
        let fixture = Fixture::with_history(kind, history).await;
        fixture.fill(0, 10, 10).await;
        let log = fixture.log().await;
        let begin = tokio::time::Instant::now();
        for _ in 0..30 {
            assert_eq!(list(log.current(&Scope::all()).await.unwrap()).await.1, 10);
        }
        // By heartbeats alone it would take a quarter of a second each.
        let elapsed = begin.elapsed();
        assert!(elapsed.as_secs() < 5, "history {history}: {elapsed:?}");
    }
}

/// A log of three keys with large values, and what its client has received.
async fn with_large_values(kind: Kind, fixture: &Fixture) -> (Arc<dyn Log>, Arc<Statistics>) {
    for key in ["a", "b.c", "b.d", "a"] {
        fixture.put(key, &"x".repeat(100_000)).await;
    }
    // The last message of the log may be looked at, to know where it ends.
    fixture.put("b.d", "short").await;
    let client = fixture.server.client().await;
    let statistics = client.statistics();
    (open(kind, client).await, statistics)
}

async fn a_listing_is_what_is_current_without_the_values(kind: Kind) {
    for history in [1, 3] {
        let fixture = Fixture::with_history(kind, history).await;
        let (log, statistics) = with_large_values(kind, &fixture).await;
        for scope in [Scope::all(), Scope::of(["b.*"]).unwrap()] {
            let current = log
                .current(&scope)
                .await
                .unwrap()
                .map(|event| match event.unwrap() {
                    LogEvent::Change(change) => ListEvent::Key(Listed::of(change)),
                    LogEvent::CaughtUp(sequence) => ListEvent::Complete(sequence),
                });
            let current: Vec<_> = current.collect().await;
            let before = statistics.in_bytes.load(Ordering::Relaxed);
            let listed: Vec<_> = log
                .list(&scope)
                .await
                .unwrap()
                .map(Result::unwrap)
                .collect()
                .await;
            assert_eq!(listed, current, "history {history}");
            let received = statistics.in_bytes.load(Ordering::Relaxed) - before;
            assert!(received < 10_000, "{received} bytes without values");
        }
    }
}

async fn keys_come_without_their_values(kind: Kind) {
    let fixture = Fixture::with_history(kind, 3).await;
    let (log, statistics) = with_large_values(kind, &fixture).await;
    let keys = log.keys(&Scope::all()).await.unwrap();
    let keys: BTreeSet<_> = timeout(PATIENCE, keys.map(Result::unwrap).collect())
        .await
        .unwrap();
    assert_eq!(keys.len(), 3);
    assert!(
        statistics.in_bytes.load(Ordering::Relaxed) < 100_000,
        "values were not asked for"
    );
}

async fn a_listing_overtaken_once_does_not_wait_at_each_key_that_moved(kind: Kind) {
    const KEYS: u64 = 3_000;
    let fixture = Fixture::with_history(kind, 3).await;
    fixture.fill(0, KEYS, 100).await;
    let few = Tuned {
        messages: 10,
        ..Tuned::default()
    };
    let log = tuned(kind, fixture.server.client().await, few).await.unwrap();
    let mut stream = log.current(&Scope::all()).await.unwrap();
    let LogEvent::Change(first) = event(&mut stream).await else {
        panic!("a key")
    };
    assert_eq!(first.sequence.get(), 1);
    // Every key moves while the server's list of last messages is still at its beginning; then nobody writes.
    for _ in 0..3 {
        fixture.fill(0, KEYS, 100).await;
    }
    let (keys, sequence) = timeout(PATIENCE, list(stream)).await.unwrap();
    assert_eq!(keys.len() as u64, KEYS);
    assert_eq!(sequence, 4 * KEYS);
    assert!(
        keys.values().all(|sequence| *sequence > 3 * KEYS),
        "the last message of each key"
    );
}

async fn a_listing_goes_on_when_its_consumer_is_lost(kind: Kind) {
    for history in [1, 2] {
        let fixture = Fixture::with_history(kind, history).await;
        fixture.fill(0, 10_000, 100).await;
        fixture.fill(0, 5_000, 100).await;
        let client = client(&fixture.server.url()).await;
        let log = open(kind, client.clone()).await;
        let mut stream = log.current(&Scope::all()).await.unwrap();
        let mut keys = BTreeSet::new();
        let mut last = 0;
        let caught_up = loop {
            let change = match event(&mut stream).await {
                LogEvent::Change(change) => change,
                LogEvent::CaughtUp(sequence) => break sequence,
            };
            assert!(change.sequence.get() > last, "{change:?} after {last}");
            last = change.sequence.get();
            assert!(keys.insert(change.key), "once, as nobody writes");
            match keys.len() {
                100 => fixture.delete_consumers().await,
                6_000 => client.force_reconnect().await.unwrap(),
                _ => {}
            }
        };
        assert_eq!(keys.len(), 10_000);
        assert_eq!(caught_up, Sequence::new(15_000));
        let stream = fixture.stream().await;
        assert_eq!(stream.cached_info().state.last_sequence, 15_000);
    }
}

/// The server ends a pull for want of messages also where it could not get at the next one just then, and says the same as at the
/// end. Here it is said in the middle, by somebody who sees the pulls.
async fn a_pull_that_ends_early_does_not_end_a_listing(kind: Kind) {
    for history in [1, 2] {
        let fixture = Fixture::with_history(kind, history).await;
        fixture.fill(0, 5_000, 1_000).await;
        fixture.fill(0, 2_500, 1_000).await;
        let mut forger = Forger::start(&fixture.server).await;
        // Few in flight, so that the rest is not on its way already.
        let few = Tuned {
            messages: 100,
            ..Tuned::default()
        };
        let log = tuned(kind, client(&fixture.server.url()).await, few)
            .await
            .unwrap();
        let mut stream = log.current(&Scope::all()).await.unwrap();
        let mut keys = BTreeSet::new();
        let caught_up = loop {
            match event(&mut stream).await {
                LogEvent::Change(change) => keys.insert(change.key),
                LogEvent::CaughtUp(sequence) => break sequence,
            };
            if keys.len().is_multiple_of(500) {
                forger.end_the_pull().await;
            }
        };
        assert_eq!(keys.len(), 5_000, "history {history}");
        assert_eq!(caught_up, Sequence::new(7_500));
        assert!(forger.forged > 5, "{} pulls were ended", forger.forged);
    }
}
