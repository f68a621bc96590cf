//! Obligation 4: where a read begins, and what the log says of itself.

use std::time::Duration;

use alluvium::{LogError, LogEvent, Scope, Sequence};

use crate::support::{Fixture, Kind, change, event, expect, read};

on_both! {
    obligation_4_beyond_the_end_is_found_before_a_consumer_is_made
    obligation_4_below_the_first_begins_at_the_first
    bounds_of_an_empty_log_say_where_the_next_message_will_be
    bounds_tell_identity_and_retention
    message_at_gives_what_is_there_and_none_of_what_is_not
}

async fn obligation_4_beyond_the_end_is_found_before_a_consumer_is_made(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    fixture.fill(0, 10, 10).await;
    let log = fixture.log().await;
    let Err(error) = log.read(Sequence::new(12), &Scope::all()).await else {
        panic!("read from nowhere")
    };
    let LogError::BeyondEnd { from, last, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!((from.get(), last.get()), (12, 10));
    assert!(fixture.consumers().await.is_empty());
    // One past the end is where the next one will be.
    let mut stream = read(&log, 11).await;
    assert_eq!(event(&mut stream).await, LogEvent::CaughtUp(Sequence::new(10)));
    fixture.put("next", "one").await;
    assert_eq!(change(&mut stream).await.sequence.get(), 11);
}

async fn obligation_4_below_the_first_begins_at_the_first(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    fixture.fill(0, 20, 10).await;
    let stream = fixture.stream().await;
    stream.purge().sequence(11).await.unwrap();
    let log = fixture.log().await;
    let bounds = log.bounds().await.unwrap();
    assert_eq!(
        (bounds.first.get(), bounds.last.get(), bounds.messages),
        (11, 20, 10)
    );
    for from in [0, 1, 5, 11] {
        expect(&mut read(&log, from).await, 11, 20).await;
    }
    expect(&mut read(&log, 15).await, 15, 20).await;
}

async fn bounds_of_an_empty_log_say_where_the_next_message_will_be(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let log = fixture.log().await;
    let bounds = log.bounds().await.unwrap();
    assert_eq!((bounds.first, bounds.last), (Sequence::FIRST, Sequence::ZERO));
    assert!(bounds.is_empty());
    let mut stream = read(&log, 1).await;
    assert_eq!(event(&mut stream).await, LogEvent::CaughtUp(Sequence::ZERO));
    drop(stream);
    fixture.fill(0, 5, 10).await;
    fixture.stream().await.purge().await.unwrap();
    let bounds = log.bounds().await.unwrap();
    assert_eq!(
        (bounds.first.get(), bounds.last.get(), bounds.messages),
        (6, 5, 0)
    );
    assert_eq!(
        event(&mut read(&log, 1).await).await,
        LogEvent::CaughtUp(Sequence::new(5))
    );
}

async fn bounds_tell_identity_and_retention(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let mut config = fixture.stream().await.cached_info().config.clone();
    config.max_messages_per_subject = 3;
    config.max_age = Duration::from_hours(1);
    config.max_bytes = 1 << 20;
    fixture.context.update_stream(config).await.unwrap();
    let log = fixture.log().await;
    let bounds = log.bounds().await.unwrap();
    assert_eq!(bounds.log.name, kind.stream_name());
    assert_eq!(log.name(), kind.stream_name());
    let stream = fixture.stream().await;
    let created = stream.cached_info().created.unix_timestamp_nanos();
    assert_eq!(i128::from(bounds.log.created.as_nanos()), created);
    assert_eq!(bounds.retention.max_age, Some(Duration::from_hours(1)));
    assert_eq!(bounds.retention.max_bytes, Some(1 << 20));
    assert_eq!(bounds.retention.max_messages, None);
    assert_eq!(bounds.retention.history, Some(3));
    assert!(!bounds.retention.message_ttl);
}

async fn message_at_gives_what_is_there_and_none_of_what_is_not(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let first = fixture.put("key", "one").await;
    let second = fixture.put("key", "two").await;
    let third = fixture.delete_key("other").await;
    let log = fixture.log().await;
    let mut stream = read(&log, 1).await;
    let (change_2, change_3) = (change(&mut stream).await, change(&mut stream).await);
    assert_eq!(log.message_at(Sequence::ZERO).await.unwrap(), None);
    assert_eq!(log.message_at(first).await.unwrap(), None, "overwritten");
    assert_eq!(
        log.message_at(second).await.unwrap(),
        Some(change_2),
        "to the nanosecond"
    );
    assert_eq!(log.message_at(third).await.unwrap(), Some(change_3));
    assert_eq!(log.message_at(third.next()).await.unwrap(), None);
}
