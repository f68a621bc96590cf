//! Obligation 3: a log that is gone, replaced or cut short is an error, and soon.

use std::fs;
use std::path::Path;
use std::time::Duration;

use alluvium::{ErrorKind, KvLog, LogError};
use alluvium_e2e::bucket::Bucket;
use alluvium_e2e::{NatsServer, Proxy};

use crate::support::{BUCKET, Fixture, client, expect, failure, open, read};

/// What the obligation allows.
const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn obligation_3_deleted_at_rest() {
    let fixture = Fixture::new().await;
    fixture.fill(0, 10, 10).await;
    let log = fixture.log().await;
    let mut stream = read(&log, 1).await;
    expect(&mut stream, 1, 10).await;
    fixture.delete().await;
    let error = failure(&mut stream, SOON).await;
    assert!(matches!(error, LogError::NotFound { .. }), "{error:?}");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn obligation_3_deleted_in_the_flood() {
    let fixture = Fixture::new().await;
    fixture.fill(0, 40_000, 100).await;
    let log = fixture.log().await;
    let mut stream = read(&log, 1).await;
    expect(&mut stream, 1, 10).await;
    fixture.delete().await;
    let error = failure(&mut stream, SOON).await;
    assert!(matches!(error, LogError::NotFound { .. }), "{error:?}");
}

#[tokio::test]
async fn obligation_3_deleted_and_the_word_of_it_lost() {
    let fixture = Fixture::new().await;
    fixture.fill(0, 10, 10).await;
    let proxy = Proxy::start(fixture.server.port()).await;
    let log = open(client(&proxy.url()).await).await;
    let mut stream = read(&log, 1).await;
    expect(&mut stream, 1, 10).await;
    proxy.deafen(true);
    fixture.delete().await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    proxy.deafen(false);
    let error = failure(&mut stream, SOON).await;
    assert!(matches!(error, LogError::NotFound { .. }), "{error:?}");
}

#[tokio::test]
async fn obligation_3_deleted_while_disconnected() {
    let fixture = Fixture::new().await;
    fixture.fill(0, 10, 10).await;
    let proxy = Proxy::start(fixture.server.port()).await;
    let log = open(client(&proxy.url()).await).await;
    let mut stream = read(&log, 1).await;
    expect(&mut stream, 1, 10).await;
    proxy.refuse(true);
    proxy.cut();
    fixture.delete().await;
    proxy.refuse(false);
    let error = failure(&mut stream, SOON).await;
    assert!(matches!(error, LogError::NotFound { .. }), "{error:?}");
}

#[tokio::test]
async fn obligation_3_deleted_and_made_again() {
    let fixture = Fixture::new().await;
    fixture.fill(0, 10, 10).await;
    let log = fixture.log().await;
    let mut stream = read(&log, 1).await;
    expect(&mut stream, 1, 10).await;
    fixture.delete().await;
    let again = Bucket::create(&fixture.server, BUCKET).await;
    crate::support::fill(&again, 0, 20, 10).await;
    let error = failure(&mut stream, SOON).await;
    assert!(matches!(error, LogError::Replaced { .. }), "{error:?}");
    assert_eq!(error.kind(), ErrorKind::Fenced);
}

/// A server that was put back from a copy of its files taken after ten messages, when twenty had been read.
async fn put_back(proxied: bool) -> (NatsServer, Bucket, Proxy, alluvium::LogStream) {
    let mut fixture = Fixture::new().await;
    fixture.fill(0, 10, 10).await;
    fixture.server.kill().await;
    let copy = tempfile::tempdir().unwrap();
    copy_all(&fixture.server.store_dir(), copy.path());
    fixture.server.restart().await;
    let proxy = Proxy::start(fixture.server.port()).await;
    let log = open(client(&proxy.url()).await).await;
    let mut stream = read(&log, 1).await;
    expect(&mut stream, 1, 10).await;
    fixture.fill(10, 10, 10).await;
    expect(&mut stream, 11, 20).await;
    proxy.refuse(proxied);
    fixture.server.kill().await;
    fs::remove_dir_all(fixture.server.store_dir()).unwrap();
    copy_all(copy.path(), &fixture.server.store_dir());
    fixture.server.restart().await;
    (fixture.server, fixture.bucket, proxy, stream)
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

#[tokio::test]
async fn obligation_3_put_back_from_a_backup() {
    let (_server, _bucket, _proxy, mut stream) = put_back(false).await;
    let error = failure(&mut stream, SOON).await;
    let LogError::TailLost { expected, last, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!((expected.get(), last.get()), (20, 10));
}

#[tokio::test]
async fn obligation_3_put_back_from_a_backup_and_grown_again() {
    let (_server, bucket, proxy, mut stream) = put_back(true).await;
    // Others write before the reader is back: the log ends late enough, and is another one from the 11th message on.
    crate::support::fill(&bucket, 100, 15, 10).await;
    proxy.refuse(false);
    let error = failure(&mut stream, SOON).await;
    assert!(matches!(error, LogError::TailLost { .. }), "{error:?}");
}

#[tokio::test]
async fn a_closed_client_ends_the_stream() {
    let fixture = Fixture::new().await;
    let client = fixture.server.client().await;
    let log = open(client.clone()).await;
    let mut stream = read(&log, 1).await;
    fixture.fill(0, 1, 10).await;
    expect(&mut stream, 1, 1).await;
    client.drain().await.unwrap();
    let error = failure(&mut stream, SOON).await;
    assert!(matches!(error, LogError::Unavailable { .. }), "{error:?}");
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_unavailable() {
    let fixture = Fixture::new().await;
    let proxy = Proxy::start(fixture.server.port()).await;
    let log = KvLog::builder(client(&proxy.url()).await, BUCKET)
        .request_timeout(Duration::from_secs(1))
        .open()
        .await
        .unwrap();
    proxy.stall(true);
    let error = alluvium::Log::bounds(&log).await.unwrap_err();
    assert!(matches!(error, LogError::Unavailable { .. }), "{error:?}");
    assert_eq!(error.kind(), ErrorKind::Transient);
    assert!(
        std::error::Error::source(&error).is_some(),
        "the client's error is kept"
    );
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_not_found() {
    let fixture = Fixture::new().await;
    for name in ["none", "no.name", "", "*"] {
        let error = KvLog::open(fixture.server.client().await, name)
            .await
            .unwrap_err();
        assert!(matches!(error, LogError::NotFound { .. }), "{name:?}: {error:?}");
    }
}

#[tokio::test]
async fn where_nobody_listens_the_answer_comes_at_once() {
    let fixture = Fixture::new().await;
    let builder = KvLog::builder(fixture.server.client().await, BUCKET).domain("nowhere");
    let error = tokio::time::timeout(Duration::from_secs(2), builder.open())
        .await
        .unwrap()
        .unwrap_err();
    assert!(matches!(error, LogError::Unavailable { .. }), "{error:?}");
}
