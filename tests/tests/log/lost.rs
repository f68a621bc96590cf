//! Obligation 3: a log that is gone, replaced or cut short is an error, and soon.

use std::fs;
use std::path::Path;
use std::time::Duration;

use alluvium::{ErrorKind, LogError};
use alluvium_e2e::Proxy;

use crate::support::{Fixture, Kind, Tuned, client, expect, failure, open, read, tuned};

on_both! {
    obligation_3_deleted_at_rest
    obligation_3_deleted_in_the_flood
    obligation_3_deleted_and_the_word_of_it_lost
    obligation_3_deleted_while_disconnected
    obligation_3_deleted_and_made_again
    obligation_3_put_back_from_a_backup
    obligation_3_put_back_from_a_backup_and_grown_again
    a_closed_client_ends_the_stream
    a_server_that_does_not_answer_is_unavailable
    a_log_that_is_not_there_is_not_found
    where_nobody_listens_the_answer_comes_at_once
}

/// What the obligation allows.
const SOON: Duration = Duration::from_secs(10);

async fn obligation_3_deleted_at_rest(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    fixture.fill(0, 10, 10).await;
    let log = fixture.log().await;
    let mut stream = read(&log, 1).await;
    expect(&mut stream, 1, 10).await;
    fixture.delete().await;
    let error = failure(&mut stream, SOON).await;
    assert!(matches!(error, LogError::NotFound { .. }), "{error:?}");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

async fn obligation_3_deleted_in_the_flood(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    fixture.fill(0, 40_000, 100).await;
    let log = fixture.log().await;
    let mut stream = read(&log, 1).await;
    expect(&mut stream, 1, 10).await;
    fixture.delete().await;
    let error = failure(&mut stream, SOON).await;
    assert!(matches!(error, LogError::NotFound { .. }), "{error:?}");
}

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

async fn obligation_3_deleted_while_disconnected(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    fixture.fill(0, 10, 10).await;
    let proxy = Proxy::start(fixture.server.port()).await;
    let log = open(kind, client(&proxy.url()).await).await;
    let mut stream = read(&log, 1).await;
    expect(&mut stream, 1, 10).await;
    proxy.refuse(true);
    proxy.cut();
    fixture.delete().await;
    proxy.refuse(false);
    let error = failure(&mut stream, SOON).await;
    assert!(matches!(error, LogError::NotFound { .. }), "{error:?}");
}

async fn obligation_3_deleted_and_made_again(kind: Kind) {
    let fixture = Fixture::new(kind).await;
    fixture.fill(0, 10, 10).await;
    let log = fixture.log().await;
    let mut stream = read(&log, 1).await;
    expect(&mut stream, 1, 10).await;
    fixture.delete().await;
    fixture.create(1).await;
    fixture.fill(0, 20, 10).await;
    let error = failure(&mut stream, SOON).await;
    assert!(matches!(error, LogError::Replaced { .. }), "{error:?}");
    assert_eq!(error.kind(), ErrorKind::Fenced);
}

/// A server that was put back from a copy of its files taken after ten messages, when twenty had been read.
async fn put_back(kind: Kind, proxied: bool) -> (Fixture, Proxy, alluvium::LogStream) {
    let mut fixture = Fixture::new(kind).await;
    fixture.fill(0, 10, 10).await;
    fixture.server.kill().await;
    let copy = tempfile::tempdir().unwrap();
    copy_all(&fixture.server.store_dir(), copy.path());
    fixture.server.restart().await;
    let proxy = Proxy::start(fixture.server.port()).await;
    let log = open(kind, client(&proxy.url()).await).await;
    let mut stream = read(&log, 1).await;
    expect(&mut stream, 1, 10).await;
    fixture.fill(10, 10, 10).await;
    expect(&mut stream, 11, 20).await;
    proxy.refuse(proxied);
    fixture.server.kill().await;
    fs::remove_dir_all(fixture.server.store_dir()).unwrap();
    copy_all(copy.path(), &fixture.server.store_dir());
    fixture.server.restart().await;
    (fixture, proxy, stream)
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_all(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

async fn obligation_3_put_back_from_a_backup(kind: Kind) {
    let (_fixture, _proxy, mut stream) = put_back(kind, false).await;
    let error = failure(&mut stream, SOON).await;
    let LogError::TailLost { expected, last, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!((expected.get(), last.get()), (20, 10));
}

async fn obligation_3_put_back_from_a_backup_and_grown_again(kind: Kind) {
    let (fixture, proxy, mut stream) = put_back(kind, true).await;
    // Others write before the reader is back: the log ends late enough, and is another one from the 11th message on.
    fixture.fill(100, 15, 10).await;
    proxy.refuse(false);
    let error = failure(&mut stream, SOON).await;
    assert!(matches!(error, LogError::TailLost { .. }), "{error:?}");
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
