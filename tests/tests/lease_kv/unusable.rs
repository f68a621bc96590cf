//! Buckets and records that somebody has done something to, and those that cannot be used.

use std::sync::Arc;
use std::time::Duration;

use alluvium::{Clock, ErrorKind, KvLeaseStore, LeaseError, LeaseStore};
use alluvium_conformance::ManualClock;
use alluvium_e2e::NatsServer;
use alluvium_e2e::bucket::Bucket;
use async_nats::jetstream::kv;

use crate::support::{BUCKET, Fixture, KEY, NAME, TTL, acquire};

#[tokio::test]
async fn a_record_that_was_deleted_is_a_lease_that_was_never_acquired() {
    let fixture = Fixture::new().await;
    let leases = fixture.leases().await;
    for purged in [false, true] {
        let lost = acquire(&leases, "a").await;
        if purged {
            fixture.bucket.purge(KEY).await;
        } else {
            fixture.bucket.delete(KEY).await;
        }
        assert_eq!(leases.read(NAME).await.unwrap(), None);
        let error = leases.renew(&lost, TTL).await.unwrap_err();
        assert!(matches!(error, LeaseError::Lost { to: None, .. }), "{error:?}");
        let lease = acquire(&leases, "b").await;
        leases.abandon(lease).await.unwrap();
    }
    // Nor is anything left of one whose messages were removed without a marker.
    let lost = acquire(&leases, "a").await;
    let stream = fixture
        .bucket
        .context
        .get_stream(&fixture.bucket.store().stream_name)
        .await
        .unwrap();
    stream.purge().await.unwrap();
    assert_eq!(leases.read(NAME).await.unwrap(), None);
    let error = leases.abandon(lost).await.unwrap_err();
    assert!(matches!(error, LeaseError::Lost { to: None, .. }), "{error:?}");
    assert_eq!(acquire(&leases, "b").await.last(), None);
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_not_found() {
    let fixture = Fixture::new().await;
    let leases = fixture.leases().await;
    let lease = acquire(&leases, "a").await;
    fixture
        .bucket
        .context
        .delete_stream(&fixture.bucket.store().stream_name)
        .await
        .unwrap();
    let error = leases.renew(&lease, TTL).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
    let error = leases.try_acquire(NAME, "b", TTL).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
    let error = KvLeaseStore::open(fixture.server.client().await, BUCKET)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
    for name in ["no.name", "", "*"] {
        let error = KvLeaseStore::open(fixture.server.client().await, name)
            .await
            .unwrap_err();
        assert!(matches!(error, LeaseError::Invalid(_)), "{name:?}: {error:?}");
    }
}

#[tokio::test]
async fn a_bucket_that_takes_no_record_is_unavailable() {
    let server = NatsServer::start().await;
    let config = kv::Config {
        bucket: BUCKET.to_owned(),
        max_value_size: 16,
        ..kv::Config::default()
    };
    let _bucket = Bucket::create_with(&server, config).await;
    let leases = KvLeaseStore::open(server.client().await, BUCKET).await.unwrap();
    let error = leases.try_acquire(NAME, "a", TTL).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    let said = std::error::Error::source(&error).expect("the server's answer is kept");
    assert!(!error.to_string().contains(&said.to_string()), "{error}: {said}");
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_transient() {
    let fixture = Fixture::new().await;
    let proxied = fixture.proxied(Duration::from_millis(500)).await;
    proxied.proxy.stall(true);
    let error = proxied.leases.try_acquire(NAME, "a", TTL).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transient, "{error:?}");
}

#[tokio::test]
async fn leases_in_another_domain() {
    let server = NatsServer::start_in_domain("hub", "").await;
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::default());
    let leases = KvLeaseStore::builder(server.client().await, BUCKET)
        .domain("hub")
        .create(1)
        .clock(Arc::clone(&clock))
        .open()
        .await
        .unwrap();
    let lease = acquire(&leases, "a").await;
    // The same bucket, from within the domain.
    let within = KvLeaseStore::builder(server.client().await, BUCKET)
        .clock(clock)
        .open()
        .await
        .unwrap();
    let record = within.read(NAME).await.unwrap().unwrap();
    assert_eq!(record.lease().as_ref(), Some(&lease));
    leases.complete(lease, "at 42", Duration::ZERO).await.unwrap();
    assert_eq!(acquire(&within, "b").await.last().unwrap().note, "at 42");
}
