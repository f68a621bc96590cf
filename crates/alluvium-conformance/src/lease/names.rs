//! Obligation 5: names stay apart, and what makes no sense is refused.

use std::time::Duration;

use alluvium_core::lease::{MAX_NOTE_BYTES, MAX_REST, MAX_TTL};
use alluvium_core::{Acquired, LeaseError};

use super::place::{NAME, TTL, acquire, with_place};
use crate::LeaseHarness;
use crate::support::refused;

/// Whatever leases are called, each is one of its own.
pub fn o5_names_of_every_kind_stay_apart(harness: &dyn LeaseHarness) {
    with_place(harness, async |_, leases| {
        let long = "x".repeat(240);
        let names = [
            "a", "A", "a/a", "a//a", "/a", "a/", "a%2Fa", "a=2Fa", "%61", "=61", "..", ".", "../..", "a.",
            "a.b", " ", "*", ">", "a.>", "ä", "日本", "a\\a", "con", "_latest", "lease", &long,
        ];
        for name in names {
            let answer = leases.try_acquire(name, name, TTL).await.unwrap();
            assert!(matches!(answer, Acquired::Yes(_)), "{name:?}: {answer:?}");
        }
        for name in names {
            let record = leases.read(name).await.unwrap().unwrap();
            assert_eq!(record.lease().unwrap().holder(), name);
        }
    });
}

/// What makes no sense is refused before anything is stored.
pub fn o5_what_makes_no_sense_is_refused(harness: &dyn LeaseHarness) {
    with_place(harness, async |_, leases| {
        let long = "x".repeat(300);
        for name in ["", "a\0", "a\n", &long] {
            refused!(leases.try_acquire(name, "a", TTL).await, LeaseError::Invalid(_));
            refused!(leases.read(name).await, LeaseError::Invalid(_));
            refused!(leases.try_acquire(NAME, name, TTL).await, LeaseError::Invalid(_));
        }
        for ttl in [Duration::ZERO, MAX_TTL + Duration::from_nanos(1), Duration::MAX] {
            refused!(leases.try_acquire(NAME, "a", ttl).await, LeaseError::Invalid(_));
        }
        assert_eq!(leases.read(NAME).await.unwrap(), None);
        let lease = acquire(&*leases, "a").await;
        refused!(leases.renew(&lease, Duration::ZERO).await, LeaseError::Invalid(_));
        let note = "x".repeat(MAX_NOTE_BYTES + 1);
        refused!(
            leases.complete(lease.clone(), &note, TTL).await,
            LeaseError::Invalid(_)
        );
        refused!(
            leases.complete(lease.clone(), "", MAX_REST + TTL).await,
            LeaseError::Invalid(_)
        );
        let note = "\"".repeat(MAX_NOTE_BYTES);
        leases.complete(lease, &note, MAX_REST).await.unwrap();
        let record = leases.read(NAME).await.unwrap().unwrap();
        assert_eq!(record.last.unwrap().note, note);
    });
}
