//! Obligation 1: every message once and in order, whatever happens in between.

use std::time::Duration;

use alluvium::{LogEvent, Sequence};
use alluvium_e2e::Proxy;
use alluvium_e2e::wait::until;

use crate::support::{Fixture, Kind, PATIENCE, change, client, event, expect, open, read};

on_both! {
    obligation_1_through_connections_cut_in_mid_flood
    obligation_1_through_a_server_killed_and_restarted_in_mid_flood
    obligation_1_through_a_deleted_consumer
    obligation_1_through_missed_heartbeats
    obligation_1_through_a_server_that_halts
    obligation_1_a_reconnect_before_the_first_delivery_repeats_nothing
    caught_up_is_told_at_the_end_and_not_before
    the_end_is_told_though_the_last_messages_went_before_they_were_delivered
}

const FLOOD: u64 = 20_000;

async fn obligation_1_through_connections_cut_in_mid_flood(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    fixture.fill(0, FLOOD, 100).await;
    let proxy = Proxy::start(fixture.server.port()).await;
    let log = open(kind, client(&proxy.url()).await).await;
    let mut stream = read(&log, 1).await;
    for step in 0..10 {
        expect(&mut stream, step * 2_000 + 1, (step + 1) * 2_000).await;
        let before = proxy.accepted();
        proxy.cut();
        // A busy machine reads what is buffered faster than it connects: cuts in between would meet no connection.
        until(PATIENCE, "the client is connected again", || {
            proxy.accepted() > before
        })
        .await;
    }
    fixture.put("after", "the flood").await;
    expect(&mut stream, FLOOD + 1, FLOOD + 1).await;
}

async fn obligation_1_through_a_server_killed_and_restarted_in_mid_flood(kind: Kind) {
    let mut fixture = Fixture::new(kind).await;
    fixture.fill(0, FLOOD, 100).await;
    let log = fixture.log().await;
    let mut stream = read(&log, 1).await;
    expect(&mut stream, 1, FLOOD / 3).await;
    fixture.server.kill().await;
    let restart = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        fixture.server.restart().await;
    };
    // Polled while there is no server: that is not its end.
    tokio::join!(restart, expect(&mut stream, FLOOD / 3 + 1, FLOOD));
    fixture.put("after", "the restart").await;
    expect(&mut stream, FLOOD + 1, FLOOD + 1).await;
}

async fn obligation_1_through_a_deleted_consumer(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    fixture.fill(0, FLOOD, 100).await;
    let log = fixture.log().await;
    let mut stream = read(&log, 1).await;
    // In the flood.
    expect(&mut stream, 1, 5).await;
    fixture.delete_consumers().await;
    expect(&mut stream, 6, FLOOD).await;
    // At rest.
    fixture.delete_consumers().await;
    fixture.put("after", "the second").await;
    let begin = tokio::time::Instant::now();
    expect(&mut stream, FLOOD + 1, FLOOD + 1).await;
    let elapsed = begin.elapsed();
    assert!(
        elapsed < Duration::from_secs(3),
        "the server said it, no heartbeat had to be missed: {elapsed:?}"
    );
    fixture.consumers_become(1).await;
}

async fn obligation_1_through_missed_heartbeats(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let proxy = Proxy::start(fixture.server.port()).await;
    let log = open(kind, client(&proxy.url()).await).await;
    let mut stream = read(&log, 1).await;
    fixture.put("first", "one").await;
    expect(&mut stream, 1, 1).await;
    // The consumer goes, and the word of it is lost: all that is left is that no heartbeat comes.
    proxy.deafen(true);
    fixture.delete_consumers().await;
    fixture.put("second", "two").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    proxy.deafen(false);
    expect(&mut stream, 2, 2).await;
    assert_eq!(proxy.accepted(), 1, "the connection was there all the time");
}

async fn obligation_1_through_a_server_that_halts(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let log = fixture.log().await;
    let mut stream = read(&log, 1).await;
    fixture.put("first", "one").await;
    expect(&mut stream, 1, 1).await;
    fixture.server.signal("STOP");
    let go_on = async {
        // Longer than two heartbeats and an unanswered request.
        tokio::time::sleep(Duration::from_secs(6)).await;
        fixture.server.signal("CONT");
        fixture.put("second", "two").await;
    };
    tokio::join!(go_on, expect(&mut stream, 2, 2));
}

async fn obligation_1_a_reconnect_before_the_first_delivery_repeats_nothing(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    fixture.fill(0, 100, 10).await;
    let client = fixture.server.client().await;
    let statistics = client.statistics();
    let log = open(kind, client.clone()).await;
    let mut stream = read(&log, 101).await;
    assert_eq!(event(&mut stream).await, LogEvent::CaughtUp(Sequence::new(100)));
    client.force_reconnect().await.unwrap();
    until(PATIENCE, "the client reconnected", || {
        statistics.connects.load(std::sync::atomic::Ordering::Relaxed) == 2
    })
    .await;
    let put = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        fixture.put("new", "value").await;
    };
    let ((), next) = tokio::join!(put, event(&mut stream));
    let LogEvent::Change(next) = next else {
        panic!("nothing new, and told again: {next:?}")
    };
    assert_eq!(next.sequence.get(), 101);
}

async fn caught_up_is_told_at_the_end_and_not_before(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    fixture.fill(0, 5_000, 10).await;
    let log = fixture.log().await;
    let mut stream = read(&log, 1).await;
    for sequence in 1..=5_000 {
        let LogEvent::Change(change) = event(&mut stream).await else {
            panic!("told before {sequence}")
        };
        assert_eq!(change.sequence.get(), sequence);
    }
    assert_eq!(event(&mut stream).await, LogEvent::CaughtUp(Sequence::new(5_000)));
    let quiet = tokio::time::timeout(Duration::from_secs(5), event(&mut stream)).await;
    assert!(quiet.is_err(), "told once, not {quiet:?}");
    fixture.put("one", "more").await;
    assert_eq!(change(&mut stream).await.sequence.get(), 5_001);
    assert_eq!(event(&mut stream).await, LogEvent::CaughtUp(Sequence::new(5_001)));
}

async fn the_end_is_told_though_the_last_messages_went_before_they_were_delivered(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    fixture.fill(0, 10, 10).await;
    let log = fixture.log().await;
    let mut stream = read(&log, 1).await;
    // Not polled yet: nothing has been delivered.
    let stream_handle = fixture.stream().await;
    stream_handle.purge().await.unwrap();
    assert_eq!(event(&mut stream).await, LogEvent::CaughtUp(Sequence::new(10)));
}
