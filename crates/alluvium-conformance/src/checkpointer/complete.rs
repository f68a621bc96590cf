//! Obligation 5: a checkpoint is there whole, once, and as it was written, or it is not there.

use alluvium_core::CheckpointError;
use alluvium_core::checkpoint::{FileKind, Manifest, PartitionFile};
use bytes::Bytes;

use super::place::{
    SEVERAL_PARTS, announce, assert_restores, draft, epoch, only_file, save, snapshot, with_place,
};
use crate::CheckpointerHarness;
use crate::support::refused;

/// All files without a manifest are nothing, to anybody.
pub fn o5_without_a_manifest_there_is_nothing(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |place, handle| {
        let before = announce(&handle, 1, None).await;
        let manifest = draft(&handle, 2, None).await.unwrap();
        for handle in [&handle, &place.open().await] {
            assert_eq!(handle.list_checkpoints().await.unwrap(), [before]);
            refused!(
                handle.load_manifest(manifest.id).await,
                CheckpointError::NotFound { .. }
            );
            assert_eq!(handle.read_latest().await.unwrap(), Some(before));
        }
        handle.save_manifest(&manifest).await.unwrap();
        assert_eq!(
            place.open().await.list_checkpoints().await.unwrap(),
            [before, manifest.id]
        );
    });
}

/// A manifest is not written before what it names.
pub fn o5_a_manifest_of_what_is_missing_is_refused(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |place, handle| {
        let manifest = draft(&handle, 1, None).await.unwrap();
        for path in manifest.files().map(|file| &file.path) {
            let bytes = place.get(path).await;
            place.remove(path).await;
            refused!(
                handle.save_manifest(&manifest).await,
                CheckpointError::Missing { path: of } if of == path
            );
            place.put(path, [&bytes[..], b"more"].concat()).await;
            refused!(
                handle.save_manifest(&manifest).await,
                CheckpointError::Corrupt { path: of, .. } if of == path
            );
            place.put(path, bytes).await;
        }
        assert_eq!(handle.list_checkpoints().await.unwrap(), []);
        handle.save_manifest(&manifest).await.unwrap();
        assert_restores(&handle, manifest.id, &[1]).await;
    });
}

/// A manifest is not written on a chain that has a hole.
pub fn o5_a_manifest_without_its_chain_is_refused(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |place, handle| {
        let base = save(&handle, 1, None).await;
        let middle = save(&handle, 2, Some(base)).await;
        let manifest = draft(&handle, 3, Some(middle)).await.unwrap();
        for id in [base, middle] {
            let below = handle.load_manifest(id).await.unwrap();
            let files = below.files().map(|file| file.path.clone());
            for path in files.chain([alluvium_core::checkpoint::manifest_path(id)]) {
                let bytes = place.get(&path).await;
                place.remove(&path).await;
                refused!(
                    handle.save_manifest(&manifest).await,
                    CheckpointError::Missing { path: of } if *of == path
                );
                place.put(&path, bytes).await;
            }
        }
        // One that was never completed is no parent.
        let incomplete = draft(&handle, 4, None).await.unwrap().id;
        let orphan = draft(&handle, 5, Some(incomplete)).await.unwrap();
        refused!(
            handle.save_manifest(&orphan).await,
            CheckpointError::Missing { .. }
        );
        handle.save_manifest(&manifest).await.unwrap();
        assert_restores(&handle, manifest.id, &[1, 2, 3]).await;
    });
}

/// A delta for a partition that its parent does not have, or on a parent of a later epoch, restores nothing.
pub fn o5_a_manifest_that_fits_no_parent_is_refused(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |_, handle| {
        let base = save(&handle, 5, None).await;
        let id = handle.begin().await.unwrap();
        let delta = handle.save_delta(id, "another", 0, "x".into()).await.unwrap();
        let manifest = Manifest::new(id, epoch(6), 0)
            .parent(base)
            .operator("another", vec![delta]);
        refused!(
            handle.save_manifest(&manifest).await,
            CheckpointError::Corrupt { .. }
        );
        for number in [4, 5] {
            let older = draft(&handle, number, Some(base)).await.unwrap();
            refused!(
                handle.save_manifest(&older).await,
                CheckpointError::Corrupt { .. }
            );
        }
        assert_eq!(handle.list_checkpoints().await.unwrap(), [base]);
    });
}

/// A manifest that could not be read back is not written.
pub fn o5_a_manifest_that_makes_no_sense_is_refused(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |place, handle| {
        let sound = draft(&handle, 1, None).await.unwrap();
        let before = place.paths().await;
        let file = only_file(&sound, "count").clone();
        let delta = |partition| {
            PartitionFile::new(sound.id, "count", partition, FileKind::Delta, 1, file.sha256).unwrap()
        };
        let outside = |path: &str| {
            let mut outside = file.clone();
            path.clone_into(&mut outside.path);
            outside
        };
        let new = || Manifest::new(sound.id, epoch(1), 0);
        for wrong in [
            new().operator("count", vec![delta(0)]),
            new().parent(sound.id).operator("count", vec![delta(0)]),
            new().operator("count", vec![file.clone(), file.clone()]),
            new().operator("another", vec![file.clone()]),
            new().operator("count", vec![outside("../elsewhere")]),
            new().operator("count", vec![outside("_latest")]),
            new().operator("count", vec![outside("")]),
            new().operator("", vec![file.clone()]),
        ] {
            refused!(handle.save_manifest(&wrong).await, CheckpointError::Invalid(_));
        }
        assert_eq!(place.paths().await, before);
    });
}

/// What is complete does not change any more, saved again in one piece or in parts.
pub fn o5_a_complete_checkpoint_does_not_change(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |place, handle| {
        let id = announce(&handle, 1, None).await;
        let before = place.paths().await;
        for handle in [&handle, &place.open().await] {
            for length in [3, SEVERAL_PARTS] {
                let bytes = Bytes::from(vec![7; length]);
                refused!(
                    handle.save(snapshot(id, "count", 0), bytes).await,
                    CheckpointError::Invalid(_)
                );
            }
        }
        assert_restores(&handle, id, &[1]).await;
        assert_eq!(place.paths().await, before);
    });
}

/// The same manifest again is accepted, another one is not.
pub fn o5_a_manifest_is_written_once(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |place, handle| {
        let manifest = draft(&handle, 1, None).await.unwrap();
        handle.save_manifest(&manifest).await.unwrap();
        for handle in [&handle, &place.open().await] {
            handle.save_manifest(&manifest).await.unwrap();
            let loaded = handle.load_manifest(manifest.id).await.unwrap();
            handle.save_manifest(&loaded).await.unwrap();
            let other = manifest.clone().watermark(1);
            refused!(handle.save_manifest(&other).await, CheckpointError::Invalid(_));
            assert_eq!(handle.load_manifest(manifest.id).await.unwrap(), manifest);
        }
    });
}
