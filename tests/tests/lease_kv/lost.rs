//! Obligation 6, on a network that loses things: an update of which nobody knows whether it was done is settled by reading back.

use std::time::Duration;

use alluvium::{Acquired, ErrorKind, LeaseError, LeaseStore};

use crate::support::{Fixture, NAME, Proxied, TTL, acquire};

/// Soon enough for a test, and long enough for a busy machine to answer in.
const TIMEOUT: Duration = Duration::from_secs(1);

/// The next update is done, and its answer goes down with the connection.
async fn answer_lost<T>(
    fixture: &Fixture,
    proxied: &Proxied,
    call: impl Future<Output = Result<T, LeaseError>>,
) -> T {
    let next = fixture.bucket.last().await.get() + 1;
    proxied.before_the_write(|proxy| proxy.deafen(true));
    let (outcome, ()) = tokio::join!(call, async {
        proxied.decided().await;
        fixture.last_becomes(next).await;
        proxied.proxy.cut();
        proxied.proxy.deafen(false);
    });
    let outcome = outcome.expect("what was done is found to be done");
    assert_eq!(fixture.bucket.last().await.get(), next, "it was done once");
    outcome
}

#[tokio::test]
async fn obligation_6_an_update_whose_answer_is_lost_was_done() {
    let fixture = Fixture::new().await;
    let proxied = fixture.proxied(TIMEOUT).await;
    let (direct, leases) = (fixture.leases().await, &proxied.leases);

    let acquired = answer_lost(&fixture, &proxied, leases.try_acquire(NAME, "a", TTL)).await;
    let Acquired::Yes(lease) = acquired else {
        panic!("it was free: {acquired:?}")
    };
    let record = direct.read(NAME).await.unwrap().unwrap();
    assert_eq!(record.lease().as_ref(), Some(&lease));

    fixture.clock.forward(TTL / 2);
    let renewed = answer_lost(&fixture, &proxied, leases.renew(&lease, TTL)).await;
    assert!(renewed.until() > lease.until());
    let record = direct.read(NAME).await.unwrap().unwrap();
    assert_eq!(record.lease().as_ref(), Some(&renewed));

    answer_lost(
        &fixture,
        &proxied,
        leases.complete(renewed, "at 42", Duration::ZERO),
    )
    .await;
    let second = acquire(&direct, "b").await;
    assert_eq!(second.last().unwrap().note, "at 42");
    answer_lost(&fixture, &proxied, leases.abandon(second)).await;
    assert_eq!(acquire(&direct, "c").await.last().unwrap().note, "at 42");
}

#[tokio::test]
async fn obligation_6_an_update_that_comes_after_a_successors_is_refused() {
    let fixture = Fixture::new().await;
    // Nothing of this is given up: it only comes late.
    let proxied = fixture.proxied(Duration::from_mins(1)).await;
    let direct = fixture.leases().await;
    let late = async |holder: &'static str| {
        proxied.before_the_write(|proxy| proxy.stall(true));
        let (outcome, lease) = tokio::join!(proxied.leases.try_acquire(NAME, "late", TTL), async {
            proxied.decided().await;
            let lease = acquire(&direct, holder).await;
            proxied.proxy.stall(false);
            lease
        });
        let answer = outcome.unwrap();
        assert!(
            matches!(&answer, Acquired::Held { by, .. } if by == holder),
            "{answer:?}"
        );
        lease
    };
    // Once to create the record, once over one that is there.
    let lease = late("first").await;
    fixture.clock.forward(TTL);
    let successor = late("second").await;

    // A renewal that comes after a successor has taken the lease over.
    fixture.clock.forward(TTL);
    proxied.before_the_write(|proxy| proxy.stall(true));
    let (outcome, _third) = tokio::join!(proxied.leases.renew(&successor, TTL), async {
        proxied.decided().await;
        let third = acquire(&direct, "third").await;
        proxied.proxy.stall(false);
        third
    });
    let error = outcome.expect_err("the lease was lost");
    assert!(
        matches!(&error, LeaseError::Lost { to: Some(to), .. } if to == "third"),
        "{error:?}"
    );
    let error = direct.abandon(lease).await.expect_err("the lease was lost");
    assert_eq!(error.kind(), ErrorKind::Fenced);
}

#[tokio::test]
async fn obligation_6_without_a_connection_nothing_is_taken_for_free() {
    let fixture = Fixture::new().await;
    let proxied = fixture.proxied(Duration::from_millis(500)).await;
    let direct = fixture.leases().await;
    proxied.before_the_write(|proxy| {
        proxy.refuse(true);
        proxy.cut();
    });
    let error = proxied.leases.try_acquire(NAME, "a", TTL).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transient, "{error:?}");
    let error = proxied.leases.read(NAME).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transient, "{error:?}");
    proxied.proxy.refuse(false);
    // The client may send what it has held back. Then it is held, by an acquisition that nobody knows of, and over in time.
    match proxied.leases.try_acquire(NAME, "b", TTL).await.unwrap() {
        Acquired::Yes(lease) => assert_eq!(lease.holder(), "b"),
        Acquired::Held { by, .. } => assert_eq!(by, "a"),
        other @ Acquired::Resting { .. } => panic!("{other:?}"),
    }
    fixture.clock.forward(TTL);
    assert_eq!(acquire(&direct, "c").await.holder(), "c");
}

#[tokio::test]
async fn a_lease_outlives_the_server() {
    let mut fixture = Fixture::new().await;
    let leases = fixture.leases().await;
    let lease = acquire(&leases, "a").await;
    fixture.server.kill().await;
    fixture.server.restart().await;
    let again = fixture.leases().await;
    let record = again.read(NAME).await.unwrap().unwrap();
    assert_eq!(record.lease().as_ref(), Some(&lease));
    again.complete(lease, "at 42", TTL).await.unwrap();
}
