//! Obligations 6 and 7: one consumer for each reader, however many filters and connections it has, and none afterwards.

use std::sync::atomic::Ordering;

use alluvium::{LogEvent, Scope, Sequence};
use alluvium_e2e::full;
use alluvium_e2e::wait::until;

use crate::support::{Fixture, Kind, PATIENCE, change, event, open, read};

on_both! {
    obligation_6_a_scope_of_several_filters_is_one_consumer
    obligation_7_a_thousand_reconnects_leave_one_consumer
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
