//! Obligation 7: the assignment version rises.

use std::time::Duration;

use alluvium_core::{AssignmentVersion, Lease, LeaseStore};

use super::place::{NAME, TTL, acquire, with_place};
use crate::LeaseHarness;

/// Longer than any record keeps anybody out.
const YEARS: Duration = Duration::from_hours(2 * 366 * 24);

async fn acquired_above(leases: &dyn LeaseStore, holder: &str, last: &mut AssignmentVersion) -> Lease {
    let lease = acquire(leases, holder).await;
    assert!(
        lease.assignment_version() > *last,
        "{holder} has {}, and {last} was before",
        lease.assignment_version()
    );
    *last = lease.assignment_version();
    lease
}

/// However a lease was given back or lost, and whatever the clock does, the next one who acquires it has a higher version; it stays
/// the same through renewals, and is in the record.
pub fn o7_the_assignment_version_rises_with_every_acquisition(harness: &dyn LeaseHarness) {
    with_place(harness, async |place, leases| {
        let mut last = AssignmentVersion::OFF;
        for round in 0..4 {
            // Of four within the same millisecond, no two have the same.
            let lease = acquired_above(&*leases, "a", &mut last).await;
            leases.abandon(lease).await.unwrap();
            let lease = acquired_above(&*leases, "b", &mut last).await;
            leases.complete(lease, "done", Duration::ZERO).await.unwrap();

            // One that is renewed has what it had, also if it is over by then.
            let lease = acquired_above(&*place.open().await, "c", &mut last).await;
            place.clock.forward(TTL * 2);
            let renewed = leases.renew(&lease, TTL).await.unwrap();
            assert_eq!(renewed.assignment_version(), last);
            let record = leases.read(NAME).await.unwrap().unwrap();
            assert_eq!(record.assignment_version, last);
            assert_eq!(record.lease().unwrap().assignment_version(), last);

            // One that is taken over, and whose holder does not know.
            place.clock.forward(TTL);
            let lease = acquired_above(&*leases, "d", &mut last).await;
            assert!(renewed.assignment_version() < last);
            leases.abandon(lease).await.unwrap();

            // By a clock that is behind, or ahead.
            if round % 2 == 0 {
                place.clock.back(YEARS);
            } else {
                place.clock.forward(YEARS);
            }
        }
    });
}

/// Whoever takes over what cannot be read has a higher version, too, as long as his clock is not behind.
pub fn o7_the_assignment_version_rises_past_what_cannot_be_read(harness: &dyn LeaseHarness) {
    with_place(harness, async |place, leases| {
        let mut last = AssignmentVersion::OFF;
        // The last one is a version that no lease has reached.
        for garbage in [
            &b"{"[..],
            b"",
            br#"{"version":1,"name":"export routes","write":"00000000-0000-0000-0000-000000000003","state":{"free":{"token":"00000000-0000-0000-0000-000000000003","from":0}},"last":null,"assignment_version":18446744073709551615}"#,
        ] {
            let lease = acquired_above(&*leases, "a", &mut last).await;
            drop(lease);
            place.overwrite(NAME, garbage).await;
            place.clock.forward(Duration::from_millis(10));
            let lease = acquired_above(&*leases, "b", &mut last).await;
            leases.abandon(lease).await.unwrap();
        }
    });
}
