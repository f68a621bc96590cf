//! Obligation 4: what is needed is not deleted.

use alluvium_core::checkpoint::{FileKind, Manifest};
use alluvium_core::{CheckpointError, CheckpointId};

use super::place::{Handle, announce, assert_restores, draft, epoch, save, snapshot, with_place};
use crate::CheckpointerHarness;
use crate::support::refused;

async fn assert_in_use(handle: &Handle, id: CheckpointId, by: &str) {
    refused!(
        handle.delete_checkpoint(id).await,
        CheckpointError::InUse { id: of, by: who } if *of == id && who.contains(by)
    );
}

/// What is deleted is gone with all its objects, for everybody; the others stay.
pub fn o4_a_deleted_checkpoint_is_gone(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |place, handle| {
        let first = announce(&handle, 1, None).await;
        let second = announce(&handle, 2, None).await;
        let third = announce(&handle, 3, None).await;
        handle.delete_checkpoint(second).await.unwrap();
        // One that is not there is deleted.
        handle.delete_checkpoint(second).await.unwrap();
        for handle in [&handle, &place.open().await] {
            assert_eq!(handle.list_checkpoints().await.unwrap(), [first, third]);
            refused!(
                handle.load_manifest(second).await,
                CheckpointError::NotFound { .. }
            );
            refused!(
                handle.update_latest(second).await,
                CheckpointError::NotFound { .. }
            );
        }
        let left = place.paths().await;
        assert!(
            left.iter().all(|path| !path.starts_with(&second.to_string())),
            "{left:?}"
        );
        assert_restores(&handle, first, &[1]).await;
        assert_restores(&handle, third, &[3]).await;
    });
}

/// A checkpoint that deltas build on stays as long as they do, however far above they are.
pub fn o4_what_a_delta_needs_is_not_deleted(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |place, handle| {
        let base = announce(&handle, 1, None).await;
        let middle = announce(&handle, 2, Some(base)).await;
        let tip = announce(&handle, 3, Some(middle)).await;
        announce(&handle, 4, None).await;
        for handle in [&handle, &place.open().await] {
            for needed in [base, middle] {
                assert_in_use(handle, needed, "checkpoint").await;
            }
            assert_restores(handle, tip, &[1, 2, 3]).await;
        }
        for id in [tip, middle, base] {
            handle.delete_checkpoint(id).await.unwrap();
        }
        assert_eq!(handle.list_checkpoints().await.unwrap().len(), 1);
    });
}

/// A chain goes back as far as the partition that goes back farthest, and no farther.
pub fn o4_a_chain_is_as_long_as_its_longest_partition(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |_, handle| {
        let oldest = announce(&handle, 1, None).await;
        let base = announce(&handle, 2, Some(oldest)).await;
        // In the next one a single partition is still a delta; in the last one none is, though a parent is named.
        let mut parent = base;
        for (number, kinds) in [
            (3, [FileKind::Snapshot, FileKind::Delta]),
            (4, [FileKind::Snapshot, FileKind::Snapshot]),
        ] {
            let id = handle.begin().await.unwrap();
            let mut manifest = Manifest::new(id, epoch(number), 0).parent(parent);
            let mut files = Vec::new();
            for (partition, kind) in (0..).zip(kinds) {
                let place = alluvium_core::checkpoint::FilePlace {
                    kind,
                    ..snapshot(id, "count", partition)
                };
                files.push(handle.save(place, "x".into()).await.unwrap());
            }
            manifest = manifest.operator("count", files);
            handle.save_manifest(&manifest).await.unwrap();
            handle.update_latest(id).await.unwrap();
            if number == 3 {
                assert_in_use(&handle, oldest, "checkpoint").await;
                assert_in_use(&handle, base, "checkpoint").await;
            }
            parent = id;
        }
        let ids = handle.list_checkpoints().await.unwrap();
        assert_eq!(ids.len(), 4);
        // The newest needs none of them.
        for id in ids[..3].iter().rev() {
            handle.delete_checkpoint(*id).await.unwrap();
        }
        assert_eq!(handle.list_checkpoints().await.unwrap(), [parent]);
    });
}

/// The one to start from is not deleted, and neither is a newer one: its writer is about to announce it.
pub fn o4_the_newest_is_not_deleted(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |_, handle| {
        let latest = announce(&handle, 1, None).await;
        let newer = save(&handle, 2, None).await;
        assert_in_use(&handle, latest, "_latest").await;
        assert_in_use(&handle, newer, "").await;
        handle.update_latest(newer).await.unwrap();
        handle.delete_checkpoint(latest).await.unwrap();
        assert_restores(&handle, newer, &[2]).await;
    });
}

/// Where there is no `_latest`, the newest counts as named.
pub fn o4_without_latest_the_newest_is_not_deleted(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |_, handle| {
        let older = save(&handle, 1, None).await;
        let newest = save(&handle, 2, None).await;
        assert_in_use(&handle, newest, "").await;
        handle.delete_checkpoint(older).await.unwrap();
        assert_eq!(handle.list_checkpoints().await.unwrap(), [newest]);
    });
}

/// What was begun and deleted cannot be completed: its writer is told.
pub fn o4_what_was_never_completed_can_be_deleted(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |place, handle| {
        let latest = announce(&handle, 1, None).await;
        let manifest = draft(&handle, 2, None).await.unwrap();
        place.open().await.delete_checkpoint(manifest.id).await.unwrap();
        refused!(
            handle.save_manifest(&manifest).await,
            CheckpointError::Missing { .. } | CheckpointError::Abandoned { .. }
        );
        assert_eq!(handle.list_checkpoints().await.unwrap(), [latest]);
    });
}
