//! Obligations 4 and 6: what a lease leaves when it is given back.

use std::time::Duration;

use alluvium_core::{Acquired, LeaseError};

use super::place::{NAME, TTL, acquire, with_place};
use crate::LeaseHarness;
use crate::support::refused;

/// Until its rest is over nobody acquires a completed lease, and everybody is told the note.
pub fn o4_a_completed_lease_rests(harness: &dyn LeaseHarness) {
    with_place(harness, async |place, leases| {
        let lease = acquire(&*leases, "a").await;
        leases.complete(lease, "at 42", TTL).await.unwrap();
        for holder in ["a", "b"] {
            let answer = place.open().await.try_acquire(NAME, holder, TTL).await.unwrap();
            assert!(matches!(&answer, Acquired::Resting { .. }), "{answer:?}");
            let last = answer.last().unwrap();
            assert_eq!((last.by.as_str(), last.note.as_str()), ("a", "at 42"));
        }
        place.clock.forward(TTL);
        place.clock.back(Duration::from_nanos(1));
        assert_eq!(leases.try_acquire(NAME, "b", TTL).await.unwrap().lease(), None);
        place.clock.forward(Duration::from_nanos(1));
        assert_eq!(acquire(&*leases, "b").await.last().unwrap().note, "at 42");
    });
}

/// An abandoned lease is free at once, and the note of the round before stays.
pub fn o4_an_abandoned_lease_is_free_at_once(harness: &dyn LeaseHarness) {
    with_place(harness, async |place, leases| {
        let lease = acquire(&*leases, "a").await;
        leases.complete(lease, "at 42", Duration::ZERO).await.unwrap();
        let lease = acquire(&*leases, "b").await;
        leases.abandon(lease).await.unwrap();
        let lease = acquire(&*place.open().await, "c").await;
        assert_eq!(lease.last().unwrap().note, "at 42");
    });
}

/// What was given back is given back: again in the same way is fine, all else is told that the lease is gone.
pub fn o6_to_end_it_again_changes_nothing(harness: &dyn LeaseHarness) {
    with_place(harness, async |_, leases| {
        let lease = acquire(&*leases, "a").await;
        leases.complete(lease.clone(), "first", TTL).await.unwrap();
        let before = leases.read(NAME).await.unwrap();
        leases.complete(lease.clone(), "second", TTL).await.unwrap();
        leases.abandon(lease.clone()).await.unwrap();
        refused!(leases.renew(&lease, TTL).await, LeaseError::Lost { to: None, .. });
        assert_eq!(leases.read(NAME).await.unwrap(), before);
    });
}
