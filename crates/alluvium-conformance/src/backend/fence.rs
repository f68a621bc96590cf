//! Obligation 5: the fence is stored, and only rises.

use alluvium_core::BackendError;

use super::place::{OFF, Place, assert_holds, block_on, epoch, partials, version, vnodes, with_backend};
use crate::BackendHarness;
use crate::support::refused;

/// A writer below the fence is refused by numbers, and writes nothing.
pub fn o5_a_writer_below_the_fence_is_refused(harness: &dyn BackendHarness) {
    with_backend(harness, async |backend| {
        backend.fence(version(7)).await.unwrap();
        assert_eq!(backend.authoritative_version(), version(7));
        for caller in [OFF, version(1), version(6)] {
            refused!(
                backend.write_partials(epoch(1), caller, partials([0], 1, 1)).await,
                BackendError::StaleVersion { caller: told, authoritative }
                    if *told == caller && *authoritative == version(7)
            );
        }
        assert_holds(&backend, &[], 1, 1).await;
        for (number, caller) in [(1, version(7)), (2, version(8))] {
            let partials = partials([0], number, 1);
            backend
                .write_partials(epoch(number), caller, partials)
                .await
                .unwrap();
            assert!(backend.epoch_complete(epoch(number), &vnodes([0])).await.unwrap());
        }
    });
}

/// The fence never falls, and raising it to what it is changes nothing.
pub fn o5_the_fence_only_rises(harness: &dyn BackendHarness) {
    with_backend(harness, async |backend| {
        backend.fence(OFF).await.unwrap();
        backend.fence(version(3)).await.unwrap();
        backend.fence(version(3)).await.unwrap();
        refused!(
            backend.fence(version(2)).await,
            BackendError::StaleVersion { caller, authoritative }
                if *caller == version(2) && *authoritative == version(3)
        );
        refused!(backend.fence(OFF).await, BackendError::StaleVersion { .. });
        assert_eq!(backend.authoritative_version(), version(3));
    });
}

/// The fence is there after a reopen.
pub fn o5_the_fence_survives_a_reopen(harness: &dyn BackendHarness) {
    let place = Place::new(harness);
    block_on(async {
        let backend = place.open("a").await;
        backend.fence(version(9)).await.unwrap();
        drop(backend);
        let backend = place.open("a").await;
        assert_eq!(backend.authoritative_version(), version(9));
        refused!(
            backend
                .write_partials(epoch(1), version(8), partials([0], 1, 1))
                .await,
            BackendError::StaleVersion { .. }
        );
    });
}

/// What was written below the fence before it was raised is not sealed and not read after.
pub fn o5_partials_below_the_fence_do_not_count(harness: &dyn BackendHarness) {
    with_backend(harness, async |backend| {
        backend
            .write_partials(epoch(1), version(1), partials(0..4, 1, 1))
            .await
            .unwrap();
        backend.fence(version(2)).await.unwrap();
        assert_holds(&backend, &[], 1, 1).await;
        assert!(!backend.epoch_complete(epoch(1), &vnodes(0..4)).await.unwrap());
        backend
            .write_partials(epoch(1), version(2), partials(0..3, 1, 2))
            .await
            .unwrap();
        assert!(!backend.epoch_complete(epoch(1), &vnodes(0..4)).await.unwrap());
        backend
            .write_partials(epoch(1), version(2), partials([3], 1, 2))
            .await
            .unwrap();
        assert!(backend.epoch_complete(epoch(1), &vnodes(0..4)).await.unwrap());
        assert_holds(&backend, &[0, 1, 2, 3], 1, 2).await;
    });
}

/// What was sealed before the fence was raised stays sealed and readable.
pub fn o5_what_was_sealed_before_the_fence_stays(harness: &dyn BackendHarness) {
    with_backend(harness, async |backend| {
        for (number, by) in [(1, 1), (2, 1), (3, 2), (4, 5)] {
            backend.fence(version(by)).await.unwrap();
            let partials = partials(0..4, number, 1);
            backend
                .write_partials(epoch(number), version(by), partials)
                .await
                .unwrap();
            assert!(
                backend
                    .epoch_complete(epoch(number), &vnodes(0..4))
                    .await
                    .unwrap()
            );
        }
        backend.fence(version(10)).await.unwrap();
        for number in 1..=4 {
            assert_holds(&backend, &[0, 1, 2, 3], number, 1).await;
        }
        assert_eq!(backend.latest_complete().await.unwrap(), Some(epoch(4)));
    });
}

/// The same, to one who opens it afterwards.
pub fn o5_what_was_sealed_before_the_fence_stays_after_a_reopen(harness: &dyn BackendHarness) {
    let place = Place::new(harness);
    block_on(async {
        let backend = place.open("a").await;
        for (number, by) in [(1, 1), (2, 2), (3, 3)] {
            backend.fence(version(by)).await.unwrap();
            let partials = partials(0..4, number, 1);
            backend
                .write_partials(epoch(number), version(by), partials)
                .await
                .unwrap();
            assert!(
                backend
                    .epoch_complete(epoch(number), &vnodes(0..4))
                    .await
                    .unwrap()
            );
        }
        backend.fence(version(4)).await.unwrap();
        drop(backend);
        let backend = place.open("b").await;
        assert_eq!(backend.latest_complete().await.unwrap(), Some(epoch(3)));
        for number in 1..=3 {
            assert_holds(&backend, &[0, 1, 2, 3], number, 1).await;
            refused!(
                backend.epoch_complete(epoch(number), &vnodes(0..4)).await,
                BackendError::SplitBrainCommit { .. }
            );
        }
    });
}

/// What a handle is told is kept in memory, refuses lower versions, and never falls.
pub fn o5_what_a_handle_is_told_only_rises(harness: &dyn BackendHarness) {
    with_backend(harness, async |backend| {
        assert_eq!(backend.authoritative_version(), OFF);
        for told in [3, 1, 0] {
            backend.set_authoritative_version(version(told));
            assert_eq!(backend.authoritative_version(), version(3));
        }
        refused!(
            backend
                .write_partials(epoch(1), version(2), partials([0], 1, 1))
                .await,
            BackendError::StaleVersion { .. }
        );
        backend
            .write_partials(epoch(1), version(3), partials([0], 1, 1))
            .await
            .unwrap();
    });
}

/// What a handle is told is not stored.
pub fn o5_what_a_handle_is_told_is_not_stored(harness: &dyn BackendHarness) {
    let place = Place::new(harness);
    block_on(async {
        let backend = place.open("a").await;
        backend.set_authoritative_version(version(3));
        drop(backend);
        let backend = place.open("a").await;
        assert_eq!(backend.authoritative_version(), OFF);
        backend
            .write_partials(epoch(1), version(2), partials([0], 1, 1))
            .await
            .unwrap();
    });
}
