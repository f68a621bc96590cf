//! Obligations 6 and 7: one consumer for each reader, and none afterwards.

use std::sync::atomic::Ordering;
use std::time::Duration;

use alluvium::{LogEvent, Scope, Sequence};
use alluvium_e2e::wait::until;
use alluvium_e2e::{Proxy, full};

use crate::support::{Fixture, Kind, PATIENCE, change, client, event, expect, open, read};

on_both! {
    obligation_6_a_scope_of_several_filters_is_one_consumer
    obligation_6_the_end_is_told_where_the_last_message_is_not_wanted
    obligation_6_the_end_moves_on_with_what_is_not_wanted
    obligation_7_a_thousand_reconnects_leave_one_consumer
    obligation_7_readers_and_listings_leave_nothing
}

async fn obligation_6_a_scope_of_several_filters_is_one_consumer(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    for key in [
        "routes.eu.a",
        "routes.us.a",
        "flags.x",
        "flags.x.y",
        "certs.a",
        "eu",
    ] {
        fixture.put(key, key).await;
    }
    let log = fixture.log().await;
    let cases: [(&[&str], &[&str]); 5] = [
        // Apart from each other.
        (
            &["routes.>", "flags.*"],
            &["routes.eu.a", "routes.us.a", "flags.x"],
        ),
        // One within the other.
        (&["routes.>", "routes.eu.*"], &["routes.eu.a", "routes.us.a"]),
        // Overlapping: the server takes no such filters, and a wider one brings more than is wanted.
        (
            &["*.eu.*", "routes.*.a", "flags.x"],
            &["routes.eu.a", "routes.us.a", "flags.x"],
        ),
        (&["*.x", "flags.>"], &["flags.x", "flags.x.y"]),
        // Nothing.
        (&["none.>"], &[]),
    ];
    for (filters, expected) in cases {
        let mut stream = log
            .read(Sequence::FIRST, &Scope::of(filters).unwrap())
            .await
            .unwrap();
        assert_eq!(fixture.consumers().await.len(), 1, "{filters:?}");
        let mut keys = Vec::new();
        while let LogEvent::Change(change) = event(&mut stream).await {
            keys.push(String::from_utf8(change.key.to_vec()).unwrap());
        }
        assert_eq!(keys, expected, "{filters:?}");
        drop(stream);
        fixture.consumers_become(0).await;
    }
}

async fn obligation_6_the_end_is_told_where_the_last_message_is_not_wanted(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    fixture.put("flags.x", "1").await;
    fixture.put("certs.x.y", "1").await;
    // Joined, the filters are `>`, which brings the second key too.
    let scope = Scope::of(["*.x", "flags.>"]).unwrap();
    let log = fixture.log().await;
    let mut stream = log.read(Sequence::FIRST, &scope).await.unwrap();
    assert_eq!(change(&mut stream).await.sequence.get(), 1);
    assert_eq!(event(&mut stream).await, LogEvent::CaughtUp(Sequence::new(2)));
}

async fn obligation_6_the_end_moves_on_with_what_is_not_wanted(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    fixture.put("flags.x", "1").await;
    let log = fixture.log().await;
    let mut stream = log
        .read(Sequence::FIRST, &Scope::of(["flags.>"]).unwrap())
        .await
        .unwrap();
    assert_eq!(change(&mut stream).await.sequence.get(), 1);
    assert_eq!(event(&mut stream).await, LogEvent::CaughtUp(Sequence::new(1)));
    // Whoever waits for this one is told, though it does not come.
    fixture.put("certs.x", "1").await;
    assert_eq!(event(&mut stream).await, LogEvent::CaughtUp(Sequence::new(2)));
}

async fn obligation_7_a_thousand_reconnects_leave_one_consumer(kind: Kind) {
    let reconnects = if full() { 1_000 } else { 200 };
    let fixture = Fixture::new(kind).await;
    let client = fixture.server.client().await;
    let statistics = client.statistics();
    let log = open(kind, client.clone()).await;
    let mut stream = read(&log, 1).await;
    for round in 1..=reconnects {
        client.force_reconnect().await.unwrap();
        until(PATIENCE, "the client reconnected", || {
            statistics.connects.load(Ordering::Relaxed) > round
        })
        .await;
        fixture.put("key", "value").await;
        assert_eq!(change(&mut stream).await.sequence.get(), round);
    }
    fixture.consumers_become(1).await;
    drop(stream);
    fixture.consumers_become(0).await;
}

async fn obligation_7_readers_and_listings_leave_nothing(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    fixture.fill(0, 5_000, 100).await;
    let proxy = Proxy::start(fixture.server.port()).await;
    let log = open(kind, client(&proxy.url()).await).await;
    let mut streams = vec![
        read(&log, 1).await,
        read(&log, 100).await,
        log.current(&Scope::all()).await.unwrap(),
    ];
    for stream in &mut streams {
        change(stream).await;
    }
    assert_eq!(fixture.consumers().await.len(), 3);
    proxy.cut();
    expect(&mut streams[0], 2, 5_000).await;
    expect(&mut streams[1], 101, 5_000).await;
    expect(&mut streams[2], 2, 5_000).await;
    assert_eq!(
        event(&mut streams[2]).await,
        LogEvent::CaughtUp(Sequence::new(5_000))
    );
    // The listing is done, and so is its consumer.
    fixture.consumers_become(2).await;
    // Dropped while there is no connection: deleted when there is one.
    proxy.refuse(true);
    proxy.cut();
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(streams);
    proxy.refuse(false);
    fixture.consumers_become(0).await;
}
