//! Obligation 6: pruning removes what is below, keeps the rest, and is safe beside others.

use std::sync::Arc;

use alluvium_core::BackendError;

use super::place::{OFF, Place, assert_holds, block_on, epoch, partials, vnodes, with_backend};
use crate::BackendHarness;
use crate::support::refused;

const ALL: [u32; 4] = [0, 1, 2, 3];

async fn five_epochs(backend: &super::place::Backend) {
    for number in 1..=5 {
        let partials = partials(0..4, number, 1);
        backend
            .write_partials(epoch(number), OFF, partials)
            .await
            .unwrap();
        if number != 2 {
            assert!(
                backend
                    .epoch_complete(epoch(number), &vnodes(0..4))
                    .await
                    .unwrap()
            );
        }
    }
}

/// Epochs below are gone, sealed or not; the others are as they were.
pub fn o6_pruning_removes_what_is_below_and_keeps_the_rest(harness: &dyn BackendHarness) {
    with_backend(harness, async |backend| {
        five_epochs(&backend).await;
        assert_eq!(backend.prune_before(epoch(4)).await.unwrap(), 3);
        for number in 1..=3 {
            assert_holds(&backend, &[], number, 1).await;
        }
        for number in 4..=5 {
            assert_holds(&backend, &ALL, number, 1).await;
            assert!(
                backend
                    .epoch_complete(epoch(number), &vnodes(0..4))
                    .await
                    .unwrap()
            );
        }
        assert_eq!(backend.latest_complete().await.unwrap(), Some(epoch(5)));
    });
}

/// Pruning again removes nothing more.
pub fn o6_pruning_again_changes_nothing(harness: &dyn BackendHarness) {
    with_backend(harness, async |backend| {
        five_epochs(&backend).await;
        for (floor, removed) in [(3, 2), (3, 0), (2, 0), (1, 0), (6, 3), (6, 0)] {
            assert_eq!(
                backend.prune_before(epoch(floor)).await.unwrap(),
                removed,
                "before {floor}"
            );
        }
        assert_eq!(backend.latest_complete().await.unwrap(), None);
    });
}

/// An epoch that was pruned is no more to be written or sealed.
pub fn o6_a_pruned_epoch_does_not_come_back(harness: &dyn BackendHarness) {
    with_backend(harness, async |backend| {
        five_epochs(&backend).await;
        backend.prune_before(epoch(4)).await.unwrap();
        for number in 1..=3 {
            refused!(
                backend
                    .write_partials(epoch(number), OFF, partials([0], number, 2))
                    .await,
                BackendError::Pruned { epoch: of, floor } if *of == epoch(number) && *floor == epoch(4)
            );
            refused!(
                backend.epoch_complete(epoch(number), &vnodes(0..4)).await,
                BackendError::Pruned { .. }
            );
            assert_holds(&backend, &[], number, 1).await;
        }
    });
}

/// What was pruned is so after a reopen.
pub fn o6_what_was_pruned_stays_so_after_a_reopen(harness: &dyn BackendHarness) {
    let place = Place::new(harness);
    block_on(async {
        let backend = place.open("a").await;
        five_epochs(&backend).await;
        backend.prune_before(epoch(4)).await.unwrap();
        drop(backend);
        let backend = place.open("a").await;
        assert_holds(&backend, &[], 3, 1).await;
        assert_holds(&backend, &ALL, 4, 1).await;
        refused!(
            backend.write_partials(epoch(3), OFF, partials([0], 3, 1)).await,
            BackendError::Pruned { .. }
        );
        assert_eq!(backend.prune_before(epoch(4)).await.unwrap(), 0);
    });
}

/// A writer and a reader go on while older epochs are pruned.
pub fn o6_pruning_is_safe_beside_a_writer_and_a_reader(harness: &dyn BackendHarness) {
    with_backend(harness, async |backend| {
        let last = 40;
        let writer = {
            let backend = Arc::clone(&backend);
            tokio::spawn(async move {
                for number in 1..=last {
                    let partials = partials(0..4, number, 1);
                    backend
                        .write_partials(epoch(number), OFF, partials)
                        .await
                        .unwrap();
                    assert!(
                        backend
                            .epoch_complete(epoch(number), &vnodes(0..4))
                            .await
                            .unwrap()
                    );
                }
            })
        };
        let mut latest = 0;
        while latest < last {
            let Some(complete) = backend.latest_complete().await.unwrap() else {
                continue;
            };
            latest = complete.get();
            backend.prune_before(complete).await.unwrap();
            assert_holds(&backend, &ALL, latest, 1).await;
        }
        writer.await.unwrap();
        assert_holds(&backend, &ALL, last, 1).await;
        assert_holds(&backend, &[], last - 1, 1).await;
    });
}
