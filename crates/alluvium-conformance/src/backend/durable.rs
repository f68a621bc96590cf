//! Obligation 1: what returned is there.

use super::place::{OFF, Place, assert_holds, block_on, epoch, partials, vnodes, with_backend};
use crate::BackendHarness;

/// A partial can be read as soon as the write has returned.
pub fn o1_a_partial_is_readable_when_the_write_returns(harness: &dyn BackendHarness) {
    with_backend(harness, async |backend| {
        backend
            .write_partials(epoch(1), OFF, partials([0, 7, 15], 1, 1))
            .await
            .unwrap();
        assert_holds(&backend, &[0, 7, 15], 1, 1).await;
        assert_holds(&backend, &[], 2, 1).await;
    });
}

/// What was written is there after a close and an open.
pub fn o1_what_was_written_survives_a_close(harness: &dyn BackendHarness) {
    survives(harness, true);
}

/// What was written is there after a drop and an open.
pub fn o1_what_was_written_survives_a_drop_without_a_close(harness: &dyn BackendHarness) {
    survives(harness, false);
}

fn survives(harness: &dyn BackendHarness, closed: bool) {
    let place = Place::new(harness);
    block_on(async {
        let backend = place.open("a").await;
        for number in 1..=3 {
            let partials = partials(0..8, number, 1);
            backend
                .write_partials(epoch(number), OFF, partials)
                .await
                .unwrap();
        }
        assert!(backend.epoch_complete(epoch(1), &vnodes(0..8)).await.unwrap());
        if closed {
            backend.close().await.unwrap();
        }
        drop(backend);
        let backend = place.open("a").await;
        let numbers: Vec<u32> = (0..8).collect();
        for number in 1..=3 {
            assert_holds(&backend, &numbers, number, 1).await;
        }
        assert_eq!(backend.latest_complete().await.unwrap(), Some(epoch(1)));
        backend.close().await.unwrap();
    });
}

/// A backend in memory begins empty, as it says.
pub fn o1_a_backend_in_memory_begins_empty(harness: &dyn BackendHarness) {
    assert!(
        !harness.backend_capabilities().persistent,
        "it persists: leave out `volatile`"
    );
    let place = Place::new(harness);
    block_on(async {
        let backend = place.open("a").await;
        backend
            .write_partials(epoch(1), OFF, partials([0], 1, 1))
            .await
            .unwrap();
        assert!(backend.epoch_complete(epoch(1), &vnodes([0])).await.unwrap());
        backend.close().await.unwrap();
        drop(backend);
        let backend = place.open("a").await;
        assert_eq!(backend.latest_complete().await.unwrap(), None);
        assert_holds(&backend, &[], 1, 1).await;
    });
}
