//! What the log says of itself that only the server knows.

use std::time::Duration;

use crate::support::{Fixture, Kind};

on_both! {
    bounds_tell_identity_and_retention
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
