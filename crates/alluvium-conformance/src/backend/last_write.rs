//! Obligation 2: the last write wins until the seal.

use alluvium_core::BackendError;

use super::place::{
    OFF, Place, assert_holds, block_on, epoch, partials, version, vnode, vnodes, with_backend,
};
use crate::BackendHarness;
use crate::support::refused;

/// Of several writes the last one counts, vnode by vnode.
pub fn o2_the_last_write_wins(harness: &dyn BackendHarness) {
    with_backend(harness, async |backend| {
        for (numbers, attempt) in [(0..8, 1), (4..12, 2), (0..2, 2), (2..4, 2)] {
            let partials = partials(numbers, 1, attempt);
            backend.write_partials(epoch(1), OFF, partials).await.unwrap();
        }
        let numbers: Vec<u32> = (0..12).collect();
        assert_holds(&backend, &numbers, 1, 2).await;
        assert!(backend.epoch_complete(epoch(1), &vnodes(0..12)).await.unwrap());
        assert_holds(&backend, &numbers, 1, 2).await;
    });
}

/// A recovered participant writes again, and that counts.
pub fn o2_the_last_write_wins_after_a_reopen(harness: &dyn BackendHarness) {
    let place = Place::new(harness);
    block_on(async {
        for attempt in 1..=4 {
            let backend = place.open("a").await;
            let partials = partials(0..4, 1, attempt);
            backend.write_partials(epoch(1), OFF, partials).await.unwrap();
            drop(backend);
        }
        let backend = place.open("a").await;
        assert_holds(&backend, &[0, 1, 2, 3], 1, 4).await;
        assert!(backend.epoch_complete(epoch(1), &vnodes(0..4)).await.unwrap());
        assert_holds(&backend, &[0, 1, 2, 3], 1, 4).await;
    });
}

/// Of two versions the higher one counts, whichever is written last.
pub fn o2_a_lower_version_never_replaces_a_higher_one(harness: &dyn BackendHarness) {
    with_backend(harness, async |backend| {
        backend
            .write_partials(epoch(1), version(5), partials([0, 1], 1, 1))
            .await
            .unwrap();
        refused!(
            backend
                .write_partials(epoch(1), version(4), partials([0], 1, 2))
                .await,
            BackendError::StaleVersion { caller, authoritative }
                if *caller == version(4) && *authoritative == version(5)
        );
        assert_holds(&backend, &[0, 1], 1, 1).await;
    });
}

/// After the seal the same bytes are accepted.
pub fn o2_the_same_bytes_are_accepted_after_the_seal(harness: &dyn BackendHarness) {
    sealed(harness, async |backend| {
        for numbers in [0..4, 1..2, 2..4] {
            let partials = partials(numbers, 1, 1);
            backend.write_partials(epoch(1), OFF, partials).await.unwrap();
        }
        assert_holds(&backend, &[0, 1, 2, 3], 1, 1).await;
        assert!(backend.epoch_complete(epoch(1), &vnodes(0..4)).await.unwrap());
    });
}

/// After the seal other bytes are refused, and nothing of the write is kept.
pub fn o2_other_bytes_are_refused_after_the_seal(harness: &dyn BackendHarness) {
    sealed(harness, async |backend| {
        let mut mixed = partials([0, 1], 1, 1);
        mixed.extend(partials([2], 1, 2));
        refused!(
            backend.write_partials(epoch(1), OFF, mixed).await,
            BackendError::Sealed { epoch: of, vnode: at } if *of == epoch(1) && *at == vnode(2)
        );
        assert_holds(&backend, &[0, 1, 2, 3], 1, 1).await;
    });
}

/// After the seal a vnode that is not in it is refused.
pub fn o2_a_vnode_outside_the_seal_is_refused(harness: &dyn BackendHarness) {
    sealed(harness, async |backend| {
        refused!(
            backend.write_partials(epoch(1), OFF, partials([3, 9], 1, 1)).await,
            BackendError::Sealed { vnode: at, .. } if *at == vnode(9)
        );
        assert_holds(&backend, &[0, 1, 2, 3], 1, 1).await;
    });
}

/// What was refused after the seal is refused after a reopen too.
pub fn o2_a_seal_refuses_other_bytes_after_a_reopen(harness: &dyn BackendHarness) {
    let place = Place::new(harness);
    block_on(async {
        let backend = place.open("a").await;
        backend
            .write_partials(epoch(1), OFF, partials(0..4, 1, 1))
            .await
            .unwrap();
        assert!(backend.epoch_complete(epoch(1), &vnodes(0..4)).await.unwrap());
        drop(backend);
        let backend = place.open("a").await;
        let written = backend.write_partials(epoch(1), OFF, partials([0], 1, 2)).await;
        // To look whether it is sealed may cost more than the write: then asking tells.
        match written {
            Err(error) => assert!(matches!(error, BackendError::Sealed { .. }), "{error}"),
            Ok(()) => assert!(
                place.harness.backend_capabilities().shared,
                "other bytes were accepted"
            ),
        }
        assert!(backend.epoch_complete(epoch(1), &vnodes(0..4)).await.unwrap());
        refused!(
            backend.write_partials(epoch(1), OFF, partials([0], 1, 2)).await,
            BackendError::Sealed { .. }
        );
        assert_holds(&backend, &[0, 1, 2, 3], 1, 1).await;
    });
}

fn sealed<F: Future<Output = ()>>(
    harness: &dyn BackendHarness,
    test: impl FnOnce(super::place::Backend) -> F,
) {
    with_backend(harness, async |backend| {
        backend
            .write_partials(epoch(1), OFF, partials(0..4, 1, 1))
            .await
            .unwrap();
        assert!(backend.epoch_complete(epoch(1), &vnodes(0..4)).await.unwrap());
        test(backend).await;
    });
}
