//! Obligation 1: one holder.

use std::sync::Arc;

use alluvium_core::Acquired;

use super::place::{NAME, TTL, acquire, expect_held, with_place};
use crate::LeaseHarness;
use crate::support::length;

/// Whoever comes second is told who was first, and until when.
pub fn o1_who_comes_second_is_told_who_holds_it(harness: &dyn LeaseHarness) {
    with_place(harness, async |place, leases| {
        assert_eq!(leases.read(NAME).await.unwrap(), None);
        let lease = acquire(&*leases, "a").await;
        assert_eq!((lease.name(), lease.holder(), lease.last()), (NAME, "a", None));
        for holder in ["b", "a"] {
            let answer = place.open().await.try_acquire(NAME, holder, TTL).await.unwrap();
            let held = Acquired::Held {
                by: "a".to_owned(),
                until: lease.until(),
                last: None,
            };
            assert_eq!(answer, held);
        }
        let record = leases.read(NAME).await.unwrap().unwrap();
        assert_eq!(record.lease(), Some(lease));
    });
}

/// A renewed lease lasts from the renewal on.
pub fn o1_a_renewed_lease_lasts_longer(harness: &dyn LeaseHarness) {
    with_place(harness, async |place, leases| {
        let lease = acquire(&*leases, "a").await;
        place.clock.forward(TTL * 9 / 10);
        let renewed = leases.renew(&lease, TTL).await.unwrap();
        assert!(renewed.until() > lease.until() && renewed.token() == lease.token());
        place.clock.forward(TTL * 9 / 10);
        expect_held(&*place.open().await, "a").await;
        // The copy from before the renewal is the same lease.
        leases.abandon(lease).await.unwrap();
        let _free = acquire(&*leases, "b").await;
    });
}

/// Of many who try at once one acquires it: the first time, when it is free again, and when it is over.
pub fn o1_of_32_who_race_one_acquires_it(harness: &dyn LeaseHarness) {
    with_place(harness, async |place, leases| {
        let mut handles = Vec::new();
        for _ in 0..32 {
            handles.push(place.open().await);
        }
        for round in 0..length(4, 40) {
            let mut tries = Vec::new();
            for (number, handle) in handles.iter().enumerate() {
                let handle = Arc::clone(handle);
                tries.push(tokio::spawn(async move {
                    handle.try_acquire(NAME, &format!("node-{number}"), TTL).await
                }));
            }
            let (mut won, mut named) = (Vec::new(), Vec::new());
            for one in tries {
                match one.await.unwrap().unwrap() {
                    Acquired::Yes(lease) => won.push(lease),
                    Acquired::Held { by, .. } => named.push(by),
                    other @ Acquired::Resting { .. } => panic!("{other:?}"),
                }
            }
            assert_eq!(won.len(), 1, "round {round}: {won:?}");
            assert!(named.iter().all(|by| by == won[0].holder()), "{named:?}");
            if round.is_multiple_of(2) {
                leases.abandon(won.remove(0)).await.unwrap();
            } else {
                place.clock.forward(TTL);
            }
        }
    });
}
