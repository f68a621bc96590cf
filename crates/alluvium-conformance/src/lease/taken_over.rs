//! Obligations 2 and 3: what is over is taken over, and who has lost it is told.

use std::sync::Arc;
use std::time::Duration;

use alluvium_core::{Acquired, LeaseError, SystemClock};

use super::place::{NAME, TTL, acquire, expect_held, with_place};
use crate::LeaseHarness;
use crate::support::{found, patience, refused};

/// A lease is held up to its instant, and free from it on.
pub fn o2_a_lease_that_is_over_is_taken_over(harness: &dyn LeaseHarness) {
    with_place(harness, async |place, leases| {
        let _held = acquire(&*leases, "a").await;
        place.clock.forward(TTL);
        place.clock.back(Duration::from_nanos(1));
        expect_held(&*leases, "a").await;
        place.clock.forward(Duration::from_nanos(1));
        let _taken = acquire(&*place.open().await, "b").await;
        expect_held(&*leases, "b").await;
    });
}

/// By the clock of the machine, too: whoever goes on trying gets a lease that its holder has left, and not before it is over.
pub fn o2_by_the_clock_of_the_machine_a_lease_is_taken_over(harness: &dyn LeaseHarness) {
    with_place(harness, async |place, _| {
        let first = place.open_by(Arc::new(SystemClock)).await;
        let second = place.open_by(Arc::new(SystemClock)).await;
        let short = Duration::from_millis(300);
        let held = first.try_acquire(NAME, "a", short).await.unwrap();
        let held = held.lease().expect("it is free");
        let taken = found(patience(), "it is taken over", || async {
            match second.try_acquire(NAME, "b", TTL).await.unwrap() {
                Acquired::Yes(lease) => Ok(lease),
                Acquired::Held { by, until, .. } => {
                    assert_eq!((by.as_str(), until), ("a", held.until()));
                    Err(until)
                }
                other @ Acquired::Resting { .. } => panic!("nobody gave it back: {other:?}"),
            }
        });
        let taken = taken.await;
        assert!(taken.since() >= held.until(), "{taken:?} instead of {held:?}");
        refused!(first.renew(&held, TTL).await, LeaseError::Lost { to: Some(to), .. } if to == "b");
    });
}

/// What is no record is told to whoever reads it, and replaced by whoever wants the lease; its holder has lost it.
pub fn o2_what_cannot_be_read_is_taken_over(harness: &dyn LeaseHarness) {
    with_place(harness, async |place, leases| {
        let other = br#"{"version":1,"name":"other","write":"00000000-0000-0000-0000-000000000003","state":{"free":{"token":"00000000-0000-0000-0000-000000000003","from":0}},"last":null}"#;
        let long = vec![b'x'; 100 << 10];
        for garbage in [&b""[..], b"{", b"\0\xff", br#"{"version":1}"#, other, &long] {
            let lost = acquire(&*leases, "a").await;
            place.overwrite(NAME, garbage).await;
            refused!(leases.read(NAME).await, LeaseError::Corrupt { .. });
            refused!(leases.renew(&lost, TTL).await, LeaseError::Lost { to: None, .. });
            refused!(leases.abandon(lost).await, LeaseError::Lost { to: None, .. });
            let lease = acquire(&*leases, "b").await;
            leases.abandon(lease).await.unwrap();
        }
    });
}

/// What a newer Alluvium has written is left as it is, whatever is asked.
pub fn o2_a_record_of_a_newer_version_is_left_alone(harness: &dyn LeaseHarness) {
    with_place(harness, async |place, leases| {
        let lease = acquire(&*leases, "a").await;
        place.overwrite(NAME, br#"{"version":2}"#).await;
        place.clock.forward(TTL * 1_000);
        for _ in 0..2 {
            refused!(
                leases.try_acquire(NAME, "b", TTL).await,
                LeaseError::Newer { found: 2, .. }
            );
            refused!(leases.renew(&lease, TTL).await, LeaseError::Newer { .. });
            refused!(
                leases.complete(lease.clone(), "", TTL).await,
                LeaseError::Newer { .. }
            );
            refused!(leases.abandon(lease.clone()).await, LeaseError::Newer { .. });
            refused!(leases.read(NAME).await, LeaseError::Newer { .. });
        }
    });
}

/// A clock that was far ahead keeps nobody out for as long as it was wrong by.
pub fn o2_a_clock_that_was_far_ahead_keeps_nobody_out(harness: &dyn LeaseHarness) {
    with_place(harness, async |place, leases| {
        let year = Duration::from_hours(366 * 24);
        place.clock.forward(year);
        let _held = acquire(&*leases, "a").await;
        place.clock.back(year);
        let _taken = acquire(&*leases, "b").await;
        // Back by less than a lease lasts at most, it is still held, and nothing panics.
        place.clock.back(TTL);
        expect_held(&*leases, "b").await;
    });
}

/// A holder that was taken for dead is told, at whatever it does, and its successor keeps what it has.
pub fn o3_a_zombie_is_told_and_its_successor_stays(harness: &dyn LeaseHarness) {
    with_place(harness, async |place, leases| {
        let zombie = acquire(&*leases, "a").await;
        place.clock.forward(TTL);
        let successor = acquire(&*place.open().await, "b").await;
        let before = leases.read(NAME).await.unwrap();
        let by_b = |error: &LeaseError| matches!(error, LeaseError::Lost { to: Some(to), .. } if to == "b");
        refused!(leases.renew(&zombie, TTL).await, error if by_b(error));
        refused!(leases.complete(zombie.clone(), "late", TTL).await, error if by_b(error));
        refused!(leases.abandon(zombie.clone()).await, error if by_b(error));
        assert_eq!(leases.read(NAME).await.unwrap(), before);
        leases.complete(successor, "done", Duration::ZERO).await.unwrap();
        refused!(
            leases.complete(zombie, "late", TTL).await,
            LeaseError::Lost { to: None, .. }
        );
        let last = acquire(&*leases, "c").await.last().cloned().unwrap();
        assert_eq!((last.by.as_str(), last.note.as_str()), ("b", "done"));
    });
}

/// A lease that is over and that nobody wanted is renewed, and completed.
pub fn o3_a_lease_that_is_over_is_not_lost_before_it_is_taken(harness: &dyn LeaseHarness) {
    with_place(harness, async |place, leases| {
        let lease = acquire(&*leases, "a").await;
        place.clock.forward(TTL * 2);
        let lease = leases.renew(&lease, TTL).await.unwrap();
        expect_held(&*leases, "a").await;
        place.clock.forward(TTL * 2);
        leases.complete(lease, "done", TTL).await.unwrap();
        let answer = leases.try_acquire(NAME, "b", TTL).await.unwrap();
        assert!(matches!(answer, Acquired::Resting { .. }), "{answer:?}");
    });
}
