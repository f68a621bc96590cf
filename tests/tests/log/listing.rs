//! What the bucket holds now: `current` and `keys`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use alluvium::{ListEvent, Listed, LogEvent, LogStream, Scope, Sequence};
use alluvium_e2e::feed::Random;
use futures_util::StreamExt as _;
use tokio::time::timeout;

use crate::support::{Fixture, Kind, PATIENCE, Tuned, client, event, open, tuned};

on_both! {
    current_is_the_last_message_of_each_key_and_then_the_end
    the_end_of_a_listing_is_not_waited_for
    keys_are_those_of_the_scope_without_their_values
    a_listing_is_what_is_current_without_the_values
    no_key_is_missing_from_a_listing_that_writers_overtake
    a_listing_overtaken_once_does_not_wait_at_each_key_that_moved
    a_listing_goes_on_when_its_consumer_is_lost
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

async fn current_is_the_last_message_of_each_key_and_then_the_end(kind: Kind) {
    for history in [1, 5] {
        let fixture = Fixture::with_history(kind, history).await;
        let log = fixture.log().await;
        let nothing = list(log.current(&Scope::all()).await.unwrap()).await;
        assert_eq!(nothing, (BTreeMap::new(), 0));
        for (key, value) in [
            ("a", "1"),
            ("b", "1"),
            ("a", "2"),
            ("c.d", "1"),
            ("b", "2"),
            ("b", "3"),
        ] {
            fixture.put(key, value).await;
        }
        fixture.delete_key("a").await;
        let (keys, sequence) = list(log.current(&Scope::all()).await.unwrap()).await;
        let expected =
            [("c.d", 4), ("b", 6), ("a", 7)].map(|(key, sequence)| (key.as_bytes().to_vec(), sequence));
        assert_eq!(keys, BTreeMap::from(expected), "history {history}");
        assert_eq!(sequence, 7);
        // The end of a scope is the end of the log, not of what the scope has.
        let (keys, sequence) = list(log.current(&Scope::of(["c.>"]).unwrap()).await.unwrap()).await;
        assert_eq!(keys.into_keys().collect::<Vec<_>>(), [b"c.d"]);
        assert_eq!(sequence, 7);
        let (keys, sequence) = list(log.current(&Scope::of(["none"]).unwrap()).await.unwrap()).await;
        assert_eq!((keys.len(), sequence), (0, 7));
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

async fn a_listing_is_what_is_current_without_the_values(kind: Kind) {
    for history in [1, 3] {
        let fixture = Fixture::with_history(kind, history).await;
        for key in ["a", "b.c", "b.d", "a"] {
            fixture.put(key, &"x".repeat(100_000)).await;
        }
        fixture.delete_key("b.d").await;
        let client = fixture.server.client().await;
        let statistics = client.statistics();
        let log = open(kind, client).await;
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

async fn keys_are_those_of_the_scope_without_their_values(kind: Kind) {
    let fixture = Fixture::with_history(kind, 3).await;
    for key in ["a", "b.c", "b.d", "a"] {
        fixture.put(key, &"x".repeat(100_000)).await;
    }
    fixture.delete_key("b.d").await;
    let client = fixture.server.client().await;
    let statistics = client.statistics();
    let log = open(kind, client).await;
    for (scope, expected) in [
        (Scope::all(), vec!["a", "b.c", "b.d"]),
        (Scope::of(["b.*"]).unwrap(), vec!["b.c", "b.d"]),
    ] {
        let keys = log.keys(&scope).await.unwrap();
        let keys: BTreeSet<_> = timeout(PATIENCE, keys.map(Result::unwrap).collect())
            .await
            .unwrap();
        assert_eq!(keys, expected.into_iter().map(bytes::Bytes::from).collect());
    }
    assert!(
        statistics.in_bytes.load(Ordering::Relaxed) < 100_000,
        "values were not asked for"
    );
}

/// Overwrites keys all the time. Gives what it wrote last, when told to stop.
async fn overwrite(fixture: Arc<Fixture>, keys: u64, stop: Arc<AtomicBool>) {
    let mut random = Random(7);
    while !stop.load(Ordering::Relaxed) {
        let mut sent = Vec::new();
        for _ in 0..50 {
            let subject = fixture.kind.subject(&format!("key.{}", random.below(keys)));
            sent.push(fixture.context.publish(subject, "new".into()).await.unwrap());
        }
        for acknowledgement in sent {
            acknowledgement.await.unwrap();
        }
    }
}

async fn no_key_is_missing_from_a_listing_that_writers_overtake(kind: Kind) {
    const KEYS: u64 = 5_000;
    for history in [1, 3] {
        let fixture = Arc::new(Fixture::with_history(kind, history).await);
        fixture.fill(0, KEYS, 100).await;
        fixture.fill(0, KEYS, 100).await;
        let log = fixture.log().await;
        let stop = Arc::new(AtomicBool::new(false));
        let writer = tokio::spawn(overwrite(Arc::clone(&fixture), KEYS, Arc::clone(&stop)));
        for _ in 0..3 {
            let listing = list(log.current(&Scope::all()).await.unwrap());
            let (keys, sequence) = timeout(PATIENCE, listing).await.unwrap();
            assert_eq!(keys.len() as u64, KEYS, "history {history}");
            assert!(sequence > 2 * KEYS);
        }
        stop.store(true, Ordering::Relaxed);
        writer.await.unwrap();
    }
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
