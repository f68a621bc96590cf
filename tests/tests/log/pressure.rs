//! Obligation 2: a slow reader slows the stream, holds little, and misses nothing.

use std::time::Duration;

use alluvium_e2e::full;

use crate::support::{Fixture, Kind, Tuned, change, expect, open, options, read, tuned};

on_both! {
    obligation_2_a_tiny_subscription_and_a_slow_applier_lose_nothing
    obligation_2_the_loss_of_the_last_messages_shows
    obligation_2_what_is_in_flight_is_bounded
    obligation_2_a_message_larger_than_what_may_be_in_flight_gets_through
    obligation_2_pulls_used_up_to_the_last_byte_do_not_stall
    obligation_2_a_reader_left_alone_comes_back
}

async fn obligation_2_a_tiny_subscription_and_a_slow_applier_lose_nothing(kind: Kind) {
    const COUNT: u64 = 3_000;
    let fixture = Fixture::new(kind).await;
    fixture.fill(0, COUNT, 100).await;
    for capacity in [1, 2, 16, 256] {
        let client = options()
            .subscription_capacity(capacity)
            .connect(fixture.server.url())
            .await
            .unwrap();
        let log = open(kind, client).await;
        let mut stream = read(&log, 1).await;
        for sequence in 1..=COUNT {
            assert_eq!(
                change(&mut stream).await.sequence.get(),
                sequence,
                "with room for {capacity}"
            );
            if sequence % 500 == 0 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn obligation_2_the_loss_of_the_last_messages_shows(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    fixture.fill(0, 10, 100).await;
    let client = options()
        .subscription_capacity(4)
        .connect(fixture.server.url())
        .await
        .unwrap();
    let log = open(kind, client).await;
    let mut stream = read(&log, 1).await;
    expect(&mut stream, 1, 1).await;
    // The client drops what has no room, and nothing comes after it that would show the gap.
    assert_eq!(settled(&fixture).await, 10);
    expect(&mut stream, 2, 10).await;
}

async fn obligation_2_what_is_in_flight_is_bounded(kind: Kind) {
    const COUNT: u64 = 10_000;
    let fixture = Fixture::new(kind).await;
    fixture.fill(0, COUNT, 1_000).await;
    for (messages, bytes, most) in [(400, 64 << 20, 400), (100_000, 200_000, 200)] {
        let log = tuned(
            kind,
            fixture.server.client().await,
            Tuned {
                messages,
                bytes,
                ..Tuned::default()
            },
        )
        .await
        .unwrap();
        let mut stream = read(&log, 1).await;
        expect(&mut stream, 1, 50).await;
        let delivered = settled(&fixture).await;
        assert!(delivered > 50, "the pipe is kept full: {delivered} delivered");
        assert!(
            delivered <= 50 + most,
            "{delivered} delivered of which 50 were taken"
        );
        expect(&mut stream, 51, 3_000).await;
        let delivered = settled(&fixture).await;
        assert!(
            delivered <= 3_000 + most,
            "{delivered} delivered of which 3000 were taken"
        );
        // Nothing was lost by it.
        expect(&mut stream, 3_001, COUNT).await;
        drop(stream);
        fixture.consumers_become(0).await;
    }
}

/// How many messages the only consumer has delivered, once that stays as it is.
async fn settled(fixture: &Fixture) -> u64 {
    let mut delivered = 0;
    loop {
        let consumers = fixture.consumers().await;
        let [consumer] = &consumers[..] else {
            panic!("one reader, one consumer: {consumers:?}")
        };
        assert!(consumer.num_waiting <= 3, "{consumer:?}");
        if delivered == consumer.delivered.consumer_sequence {
            return delivered;
        }
        delivered = consumer.delivered.consumer_sequence;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

async fn obligation_2_a_message_larger_than_what_may_be_in_flight_gets_through(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let mut expected = Vec::new();
    for size in [10, 900_000, 20, 30, 400_000, 900_000, 40, 32_000, 33_000, 50] {
        fixture.put(&format!("size.{size}"), &"x".repeat(size)).await;
        expected.push(size);
    }
    let log = tuned(
        kind,
        fixture.server.client().await,
        Tuned {
            bytes: 64 << 10,
            ..Tuned::default()
        },
    )
    .await
    .unwrap();
    let begin = tokio::time::Instant::now();
    let mut stream = read(&log, 1).await;
    // Two keys were put twice: of those the last one is there.
    let mut got = Vec::new();
    while got.last() != Some(&50) {
        got.push(change(&mut stream).await.value().unwrap().len());
    }
    assert_eq!(got, [10, 20, 30, 400_000, 900_000, 40, 32_000, 33_000, 50]);
    assert!(
        begin.elapsed() < Duration::from_secs(2),
        "no pull ran into a timeout: {:?}",
        begin.elapsed()
    );
}

async fn obligation_2_pulls_used_up_to_the_last_byte_do_not_stall(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    fixture.fill(0, 10, 1_000).await;
    let client = fixture.server.client().await;
    // With subject and reply a message has some hundred bytes more. One of these budgets is exactly two of them: the
    // server ends both pulls without a word.
    for bytes in (2_040..2_400).step_by(2) {
        let log = tuned(
            kind,
            client.clone(),
            Tuned {
                bytes,
                ..Tuned::default()
            },
        )
        .await
        .unwrap();
        let begin = tokio::time::Instant::now();
        expect(&mut read(&log, 1).await, 1, 10).await;
        assert!(
            begin.elapsed() < Duration::from_secs(3),
            "stalled with {bytes} bytes: {:?}",
            begin.elapsed()
        );
    }
}

async fn obligation_2_a_reader_left_alone_comes_back(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    fixture.fill(0, 40_000, 100).await;
    let log = fixture.log().await;
    let mut stream = read(&log, 1).await;
    expect(&mut stream, 1, 10).await;
    if full() {
        // The pulls expire, then the server deletes the consumer.
        tokio::time::sleep(Duration::from_secs(70)).await;
        fixture.consumers_become(0).await;
    } else {
        settled(&fixture).await;
        fixture.delete_consumers().await;
    }
    expect(&mut stream, 11, 40_000).await;
}
