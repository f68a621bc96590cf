//! Obligation 7, and whatever else a caller can get wrong.

use alluvium_core::{BackendError, MAX_WRITE_BYTES, VnodeCount};
use bytes::Bytes;

use super::place::{
    OFF, Place, VNODES, assert_holds, block_on, epoch, options, partials, vnode, vnodes, with_backend,
};
use crate::BackendHarness;
use crate::support::refused;

/// A vnode that there is not is refused everywhere, and nothing of the call is done.
pub fn o7_a_vnode_out_of_range_is_refused(harness: &dyn BackendHarness) {
    with_backend(harness, async |backend| {
        for wrong in [VNODES, u32::MAX] {
            refused!(
                backend
                    .write_partials(epoch(1), OFF, partials([0, wrong], 1, 1))
                    .await,
                BackendError::VnodeOutOfRange { vnode: at, count } if at.get() == wrong && count.get() == VNODES
            );
            refused!(
                backend.read_partial(vnode(wrong), epoch(1)).await,
                BackendError::VnodeOutOfRange { .. }
            );
            refused!(
                backend.epoch_complete(epoch(1), &vnodes([0, wrong])).await,
                BackendError::VnodeOutOfRange { .. }
            );
        }
        assert_holds(&backend, &[], 1, 1).await;
    });
}

/// No vnodes are no epoch.
pub fn o7_an_empty_set_of_vnodes_is_refused(harness: &dyn BackendHarness) {
    with_backend(harness, async |backend| {
        refused!(
            backend.write_partials(epoch(1), OFF, vec![]).await,
            BackendError::Invalid(_)
        );
        refused!(
            backend.epoch_complete(epoch(1), &[]).await,
            BackendError::Invalid(_)
        );
        assert_eq!(backend.latest_complete().await.unwrap(), None);
    });
}

/// A vnode named twice is refused, for it is not said which counts.
pub fn o7_a_vnode_named_twice_is_refused(harness: &dyn BackendHarness) {
    with_backend(harness, async |backend| {
        let twice = [partials([0, 1], 1, 1), partials([0], 1, 2)].concat();
        refused!(
            backend.write_partials(epoch(1), OFF, twice).await,
            BackendError::Invalid(_)
        );
        assert_holds(&backend, &[], 1, 1).await;
        backend
            .write_partials(epoch(1), OFF, partials([0, 1], 1, 1))
            .await
            .unwrap();
        assert!(
            backend
                .epoch_complete(epoch(1), &vnodes([0, 1, 0]))
                .await
                .unwrap()
        );
    });
}

/// A state remembers its number of vnodes, and another one is refused before anything is written.
pub fn o7_another_number_of_vnodes_is_refused(harness: &dyn BackendHarness) {
    let place = Place::new(harness);
    block_on(async {
        let backend = place.open("a").await;
        backend
            .write_partials(epoch(1), OFF, partials([0], 1, 1))
            .await
            .unwrap();
        backend.close().await.unwrap();
        drop(backend);
        let other = options("a").vnodes(VnodeCount::new(2 * VNODES).unwrap());
        // Refused when it is opened, or when it is used.
        let outcome = match place.try_open(other).await {
            Ok(backend) => {
                let written = backend.write_partials(epoch(1), OFF, partials([20], 1, 1)).await;
                backend.close().await.unwrap();
                written
            }
            Err(error) => Err(error),
        };
        refused!(outcome, BackendError::Invalid(text) if text.contains("16") && text.contains("32"));
        let backend = place.open("a").await;
        assert_holds(&backend, &[0], 1, 1).await;
    });
}

/// A partial of no bytes is one.
pub fn m_an_empty_partial_is_there(harness: &dyn BackendHarness) {
    with_backend(harness, async |backend| {
        backend
            .write_partials(
                epoch(1),
                OFF,
                vec![(vnode(3), Bytes::new()), (vnode(4), "x".into())],
            )
            .await
            .unwrap();
        for _ in 0..2 {
            let found = backend.read_partial(vnode(3), epoch(1)).await.unwrap();
            assert_eq!(found, Some(Bytes::new()));
            assert_eq!(backend.read_partial(vnode(5), epoch(1)).await.unwrap(), None);
            assert!(backend.epoch_complete(epoch(1), &vnodes([3])).await.unwrap());
        }
    });
}

/// A partial of 256 MiB comes back as it was.
pub fn m_a_partial_of_256_mib_comes_back(harness: &dyn BackendHarness) {
    with_backend(harness, async |backend| {
        let mut large = vec![7; 256 << 20];
        let end = large.len() - 8;
        large[end..].copy_from_slice(b"the end.");
        let large = Bytes::from(large);
        backend
            .write_partial(vnode(0), epoch(1), OFF, large.clone())
            .await
            .unwrap();
        assert!(backend.epoch_complete(epoch(1), &vnodes([0])).await.unwrap());
        let found = backend.read_partial(vnode(0), epoch(1)).await.unwrap();
        assert!(found == Some(large), "it came back otherwise");
    });
}

/// More than one write may bring is refused.
pub fn m_too_many_bytes_are_refused(harness: &dyn BackendHarness) {
    with_backend(harness, async |backend| {
        // Nothing is allocated that often: all are one.
        let share = Bytes::from(vec![0; usize::try_from(MAX_WRITE_BYTES).unwrap() / 8]);
        let too_many: Vec<_> = (0..9).map(|at| (vnode(at), share.clone())).collect();
        refused!(
            backend.write_partials(epoch(1), OFF, too_many).await,
            BackendError::TooLarge { bytes, limit } if bytes > limit && *limit == MAX_WRITE_BYTES
        );
        assert_holds(&backend, &[], 1, 1).await;
    });
}
