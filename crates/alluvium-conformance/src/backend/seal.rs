//! Obligations 3 and 4: sealed once and for ever, with exactly what the seal names.

use alluvium_core::BackendError;

use super::place::{
    OFF, Place, assert_holds, block_on, epoch, partials, version, vnode, vnodes, with_backend,
};
use crate::BackendHarness;
use crate::support::refused;

/// While a partial is missing an epoch is not complete, and asking changes nothing.
pub fn o3_an_epoch_is_complete_only_with_every_partial(harness: &dyn BackendHarness) {
    with_backend(harness, async |backend| {
        assert!(!backend.epoch_complete(epoch(1), &vnodes([0])).await.unwrap());
        backend
            .write_partials(epoch(1), OFF, partials([0, 2], 1, 1))
            .await
            .unwrap();
        assert!(!backend.epoch_complete(epoch(1), &vnodes(0..3)).await.unwrap());
        assert_eq!(backend.latest_complete().await.unwrap(), None);
        backend
            .write_partials(epoch(1), OFF, partials([0, 1], 1, 2))
            .await
            .unwrap();
        backend
            .write_partials(epoch(1), OFF, partials([2], 1, 2))
            .await
            .unwrap();
        assert!(backend.epoch_complete(epoch(1), &vnodes(0..3)).await.unwrap());
        assert_eq!(backend.latest_complete().await.unwrap(), Some(epoch(1)));
        assert_holds(&backend, &[0, 1, 2], 1, 2).await;
    });
}

/// Partials of another epoch do not count.
pub fn o3_epochs_are_apart(harness: &dyn BackendHarness) {
    with_backend(harness, async |backend| {
        backend
            .write_partials(epoch(1), OFF, partials([0], 1, 1))
            .await
            .unwrap();
        backend
            .write_partials(epoch(2), OFF, partials([1], 2, 1))
            .await
            .unwrap();
        for number in [1, 2] {
            assert!(
                !backend
                    .epoch_complete(epoch(number), &vnodes([0, 1]))
                    .await
                    .unwrap()
            );
        }
    });
}

/// Asking again as the same instance is true again, for a part of the vnodes too.
pub fn o3_asking_again_is_true_again(harness: &dyn BackendHarness) {
    with_backend(harness, async |backend| {
        backend
            .write_partials(epoch(1), OFF, partials(0..4, 1, 1))
            .await
            .unwrap();
        for asked in [0..4, 0..4, 1..3] {
            assert!(backend.epoch_complete(epoch(1), &vnodes(asked)).await.unwrap());
        }
    });
}

/// Asking for more than was sealed is an error: what is sealed stays so.
pub fn o3_asking_for_more_than_was_sealed_is_refused(harness: &dyn BackendHarness) {
    with_backend(harness, async |backend| {
        backend
            .write_partials(epoch(1), OFF, partials(0..4, 1, 1))
            .await
            .unwrap();
        assert!(backend.epoch_complete(epoch(1), &vnodes(0..3)).await.unwrap());
        refused!(
            backend.epoch_complete(epoch(1), &vnodes(0..4)).await,
            BackendError::Sealed { epoch: of, vnode: at } if *of == epoch(1) && *at == vnode(3)
        );
    });
}

/// What was sealed is sealed after a reopen, for the instance that sealed it.
pub fn o3_a_seal_survives_a_reopen(harness: &dyn BackendHarness) {
    let place = Place::new(harness);
    block_on(async {
        let backend = place.open("a").await;
        backend
            .write_partials(epoch(3), OFF, partials(0..4, 3, 1))
            .await
            .unwrap();
        assert!(backend.epoch_complete(epoch(3), &vnodes(0..4)).await.unwrap());
        drop(backend);
        let backend = place.open("a").await;
        assert_eq!(backend.latest_complete().await.unwrap(), Some(epoch(3)));
        assert!(backend.epoch_complete(epoch(3), &vnodes(0..4)).await.unwrap());
        assert_holds(&backend, &[0, 1, 2, 3], 3, 1).await;
    });
}

/// Another instance that asks after a reopen is told who has sealed.
pub fn o3_another_instance_is_told_who_sealed(harness: &dyn BackendHarness) {
    let place = Place::new(harness);
    block_on(async {
        let backend = place.open("a").await;
        backend
            .write_partials(epoch(1), OFF, partials(0..4, 1, 1))
            .await
            .unwrap();
        assert!(backend.epoch_complete(epoch(1), &vnodes(0..4)).await.unwrap());
        drop(backend);
        let backend = place.open("b").await;
        refused!(
            backend.epoch_complete(epoch(1), &vnodes(0..4)).await,
            BackendError::SplitBrainCommit { epoch: of, committer, self_id }
                if *of == epoch(1) && committer.as_str() == "a" && self_id.as_str() == "b"
        );
        assert_holds(&backend, &[0, 1, 2, 3], 1, 1).await;
    });
}

/// What is not named by the seal does not belong to the epoch, whenever it was written.
pub fn o4_a_seal_names_exactly_what_belongs_to_it(harness: &dyn BackendHarness) {
    with_backend(harness, async |backend| {
        backend
            .write_partials(epoch(1), OFF, partials(0..6, 1, 1))
            .await
            .unwrap();
        assert!(backend.epoch_complete(epoch(1), &vnodes([1, 3])).await.unwrap());
        assert_holds(&backend, &[1, 3], 1, 1).await;
    });
}

/// An epoch of partials of several versions is sealed with the last of each.
pub fn o4_a_seal_takes_the_last_version_of_each_vnode(harness: &dyn BackendHarness) {
    with_backend(harness, async |backend| {
        backend
            .write_partials(epoch(1), version(1), partials(0..4, 1, 1))
            .await
            .unwrap();
        backend
            .write_partials(epoch(1), version(2), partials(0..4, 1, 2))
            .await
            .unwrap();
        assert!(backend.epoch_complete(epoch(1), &vnodes(0..4)).await.unwrap());
        assert_holds(&backend, &[0, 1, 2, 3], 1, 2).await;
    });
}
