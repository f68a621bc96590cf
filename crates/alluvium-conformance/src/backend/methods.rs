//! What single methods promise.

use std::sync::Arc;

use alluvium_core::{BackendError, Cursor, LogIdentity, Sequence, Timestamp};

use super::place::{
    OFF, Place, VNODES, assert_holds, block_on, epoch, partials, version, vnodes, with_backend,
};
use crate::BackendHarness;
use crate::support::refused;

/// A backend knows who it was opened by.
pub fn m_a_backend_knows_its_instance_and_vnodes(harness: &dyn BackendHarness) {
    with_backend(harness, async |backend| {
        assert_eq!(backend.instance().as_str(), "a");
        assert_eq!(backend.vnode_count().get(), VNODES);
    });
}

/// A new backend has nothing, and says so without an error.
pub fn m_a_new_backend_is_empty(harness: &dyn BackendHarness) {
    with_backend(harness, async |backend| {
        assert_eq!(backend.latest_complete().await.unwrap(), None);
        assert_eq!(backend.authoritative_version(), OFF);
        assert!(!backend.epoch_complete(epoch(1), &vnodes([0])).await.unwrap());
        assert_holds(&backend, &[], 1, 1).await;
        assert_eq!(backend.prune_before(epoch(9)).await.unwrap(), 0);
    });
}

/// The latest complete epoch is the highest that is sealed, in whichever order they were.
pub fn m_the_latest_complete_epoch_is_the_highest(harness: &dyn BackendHarness) {
    with_backend(harness, async |backend| {
        let mut highest = 0;
        for number in [7, 3, 300, 2, 70_000, u64::MAX - 1] {
            let partials = partials([0], number.min(1 << 40), 1);
            backend
                .write_partials(epoch(number), OFF, partials)
                .await
                .unwrap();
            let before = (highest > 0).then(|| epoch(highest));
            assert_eq!(backend.latest_complete().await.unwrap(), before);
            assert!(backend.epoch_complete(epoch(number), &vnodes([0])).await.unwrap());
            highest = highest.max(number);
            assert_eq!(backend.latest_complete().await.unwrap(), Some(epoch(highest)));
        }
    });
}

/// Writers of different vnodes do not get in each other's way.
pub fn m_concurrent_writers_all_count(harness: &dyn BackendHarness) {
    with_backend(harness, async |backend| {
        for number in 1..=5 {
            let writers: Vec<_> = (0..VNODES)
                .map(|at| {
                    let backend = Arc::clone(&backend);
                    tokio::spawn(async move {
                        let partials = partials([at], number, 1);
                        backend
                            .write_partials(epoch(number), version(1), partials)
                            .await
                            .unwrap();
                    })
                })
                .collect();
            for writer in writers {
                writer.await.unwrap();
            }
            let all: Vec<u32> = (0..VNODES).collect();
            assert_holds(&backend, &all, number, 1).await;
            assert!(
                backend
                    .epoch_complete(epoch(number), &vnodes(0..VNODES))
                    .await
                    .unwrap()
            );
            assert_holds(&backend, &all, number, 1).await;
        }
    });
}

/// Tables live in the backend, and are one and the same while they are open.
pub fn m_open_table_gives_tables_that_stay(harness: &dyn BackendHarness) {
    let place = Place::new(harness);
    block_on(async {
        let backend = place.open("a").await;
        let table = backend.open_table("routes").await.unwrap();
        let log = LogIdentity::new("KV_routes", Timestamp::default());
        let cursor = Cursor::start_of(log).at(Sequence::new(7), Timestamp::default());
        table.apply(&[], &cursor).unwrap();
        let again = backend.open_table("routes").await.unwrap();
        assert_eq!(again.cursor(), Some(cursor.clone()));
        let other = backend.open_table("flags").await.unwrap();
        assert_eq!(other.cursor(), None);
        refused!(backend.open_table("a/b").await, BackendError::Table(_));
        drop((table, again, other));
        backend.close().await.unwrap();
        drop(backend);
        if harness.backend_capabilities().persistent {
            let backend = place.open("a").await;
            let table = backend.open_table("routes").await.unwrap();
            assert_eq!(table.cursor(), Some(cursor));
        }
    });
}

/// A backend without tables says so.
pub fn m_open_table_is_unsupported(harness: &dyn BackendHarness) {
    with_backend(harness, async |backend| {
        refused!(
            backend.open_table("routes").await,
            BackendError::Unsupported { .. }
        );
    });
}

/// After a close every call fails, but for another close.
pub fn m_a_closed_backend_says_so(harness: &dyn BackendHarness) {
    let place = Place::new(harness);
    block_on(async {
        let backend = place.open("a").await;
        backend
            .write_partials(epoch(1), OFF, partials([0], 1, 1))
            .await
            .unwrap();
        backend.close().await.unwrap();
        let (partials, asked) = (partials([1], 1, 1), vnodes([0]));
        assert!(backend.write_partials(epoch(1), OFF, partials).await.is_err());
        assert!(backend.read_partial(asked[0], epoch(1)).await.is_err());
        assert!(backend.epoch_complete(epoch(1), &asked).await.is_err());
        assert!(backend.prune_before(epoch(1)).await.is_err());
        assert!(backend.fence(version(1)).await.is_err());
        assert!(backend.latest_complete().await.is_err());
        assert!(backend.open_table("routes").await.is_err());
        backend.close().await.unwrap();
    });
}
