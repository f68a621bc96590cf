//! Obligation 3: a log that is gone is an error, and soon, also where the word of it gets lost; so is a server that is.

use std::time::Duration;

use alluvium::{ErrorKind, LogError};
use alluvium_e2e::Proxy;

use crate::support::{Fixture, Kind, Tuned, client, expect, failure, open, read, tuned};

on_both! {
    obligation_3_deleted_and_the_word_of_it_lost
    a_closed_client_ends_the_stream
    a_server_that_does_not_answer_is_unavailable
    a_log_that_is_not_there_is_not_found
    where_nobody_listens_the_answer_comes_at_once
}

/// What the obligation allows.
const SOON: Duration = Duration::from_secs(10);

async fn obligation_3_deleted_and_the_word_of_it_lost(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    fixture.fill(0, 10, 10).await;
    let proxy = Proxy::start(fixture.server.port()).await;
    let log = open(kind, client(&proxy.url()).await).await;
    let mut stream = read(&log, 1).await;
    expect(&mut stream, 1, 10).await;
    proxy.deafen(true);
    fixture.delete().await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    proxy.deafen(false);
    let error = failure(&mut stream, SOON).await;
    assert!(matches!(error, LogError::NotFound { .. }), "{error:?}");
}

async fn a_closed_client_ends_the_stream(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let client = fixture.server.client().await;
    let log = open(kind, client.clone()).await;
    let mut stream = read(&log, 1).await;
    fixture.fill(0, 1, 10).await;
    expect(&mut stream, 1, 1).await;
    client.drain().await.unwrap();
    let error = failure(&mut stream, SOON).await;
    assert!(matches!(error, LogError::Unavailable { .. }), "{error:?}");
}

async fn a_server_that_does_not_answer_is_unavailable(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let proxy = Proxy::start(fixture.server.port()).await;
    let impatient = Tuned {
        timeout: Duration::from_secs(1),
        ..Tuned::default()
    };
    let log = tuned(kind, client(&proxy.url()).await, impatient).await.unwrap();
    proxy.stall(true);
    let error = log.bounds().await.unwrap_err();
    assert!(matches!(error, LogError::Unavailable { .. }), "{error:?}");
    assert_eq!(error.kind(), ErrorKind::Transient);
    assert!(
        std::error::Error::source(&error).is_some(),
        "the client's error is kept"
    );
}

async fn a_log_that_is_not_there_is_not_found(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    for name in ["none", "no.name", "", "*"] {
        let named = Tuned {
            name: Some(name),
            ..Tuned::default()
        };
        let Err(error) = tuned(kind, fixture.server.client().await, named).await else {
            panic!("{name:?} is there")
        };
        assert!(matches!(error, LogError::NotFound { .. }), "{name:?}: {error:?}");
    }
}

async fn where_nobody_listens_the_answer_comes_at_once(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let elsewhere = Tuned {
        domain: Some("nowhere"),
        ..Tuned::default()
    };
    let opening = tuned(kind, fixture.server.client().await, elsewhere);
    let Ok(Err(error)) = tokio::time::timeout(Duration::from_secs(2), opening).await else {
        panic!("an error, and at once")
    };
    assert!(matches!(error, LogError::Unavailable { .. }), "{error:?}");
}
