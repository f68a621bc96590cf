//! Obligation 6: names stay inside, and apart.

use std::collections::BTreeSet;

use alluvium_core::CheckpointError;
use alluvium_core::checkpoint::Manifest;

use super::place::{epoch, only_file, snapshot, with_place};
use crate::CheckpointerHarness;
use crate::support::{names, refused};

/// Whatever an operator is called, its files are its own, and within the directory of its checkpoint.
pub fn o6_names_of_every_kind_stay_apart_and_inside(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |place, handle| {
        let id = handle.begin().await.unwrap();
        let mut manifest = Manifest::new(id, epoch(1), 0);
        for name in names() {
            let file = handle.save(snapshot(id, &name, 7), name.clone().into()).await;
            let file = file.unwrap_or_else(|error| panic!("{name:?}: {error:?}"));
            manifest = manifest.operator(name, vec![file]);
        }
        handle.save_manifest(&manifest).await.unwrap();
        handle.update_latest(id).await.unwrap();
        let loaded = place.open().await.load_manifest(id).await.unwrap();
        assert_eq!(loaded, manifest);
        for name in names() {
            let bytes = handle.load(only_file(&loaded, &name)).await.unwrap();
            assert_eq!(bytes, name.as_bytes(), "the files of {name:?} are another's");
        }
        let paths = place.paths().await;
        let inside = paths
            .iter()
            .filter(|path| path.starts_with(&format!("{id}/operators/")));
        assert_eq!(inside.count(), names().len());
        assert_eq!(paths.len(), names().len() + 2, "{paths:?}");
        // On a file system that does not tell case, too.
        let folded: BTreeSet<String> = paths.iter().map(|path| path.to_lowercase()).collect();
        assert_eq!(folded.len(), paths.len(), "{paths:?}");
    });
}

/// A name that no path has room for is refused before anything is stored.
pub fn o6_names_that_no_path_has_room_for_are_refused(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |place, handle| {
        let id = handle.begin().await.unwrap();
        for name in [String::new(), "x".repeat(241), "x".repeat(300), "日".repeat(300)] {
            refused!(
                handle.save(snapshot(id, &name, 0), "x".into()).await,
                CheckpointError::Invalid(_)
            );
        }
        assert_eq!(place.paths().await, [""; 0]);
    });
}

/// A file that leads out of the place is not loaded, whoever made it up.
pub fn o6_a_file_that_leads_outside_is_not_loaded(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |_, handle| {
        let id = handle.begin().await.unwrap();
        let mut file = handle.save(snapshot(id, "op", 0), "inside".into()).await.unwrap();
        for path in ["../secret", "a/../../secret", "/etc/passwd", "a//b", "."] {
            path.clone_into(&mut file.path);
            let loaded = handle.load(&file).await;
            assert!(
                matches!(
                    loaded,
                    Err(CheckpointError::Corrupt { .. }
                        | CheckpointError::Invalid(_)
                        | CheckpointError::Missing { .. })
                ),
                "{path}: {loaded:?}"
            );
        }
    });
}

/// Partitions of every number are apart.
pub fn o6_partitions_stay_apart(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |_, handle| {
        let id = handle.begin().await.unwrap();
        let mut files = Vec::new();
        for partition in [0, 1, 10, 11, u32::MAX] {
            let bytes = partition.to_string().into();
            files.push(handle.save(snapshot(id, "op", partition), bytes).await.unwrap());
        }
        for file in files {
            let bytes = handle.load(&file).await.unwrap();
            assert_eq!(bytes, file.partition.to_string());
        }
    });
}
