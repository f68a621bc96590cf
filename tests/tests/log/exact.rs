//! Obligation 1: every message once and in order, whatever happens to the server and its consumers in between.

use std::time::Duration;

use alluvium::{LogEvent, Sequence};
use alluvium_e2e::Proxy;

use crate::support::{Fixture, Kind, client, event, expect, open, read};

on_both! {
    obligation_1_through_a_server_killed_and_restarted_in_mid_flood
    obligation_1_through_a_deleted_consumer
    obligation_1_through_missed_heartbeats
    obligation_1_through_a_server_that_halts
    the_end_is_not_told_again_with_each_heartbeat
}

const FLOOD: u64 = 20_000;

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

async fn the_end_is_not_told_again_with_each_heartbeat(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    fixture.fill(0, 10, 10).await;
    let log = fixture.log().await;
    let mut stream = read(&log, 1).await;
    expect(&mut stream, 1, 10).await;
    assert_eq!(event(&mut stream).await, LogEvent::CaughtUp(Sequence::new(10)));
    let quiet = tokio::time::timeout(Duration::from_secs(5), event(&mut stream)).await;
    assert!(quiet.is_err(), "told once, not {quiet:?}");
}
