//! What single methods promise.

use std::sync::Arc;

use alluvium_core::checkpoint::{FileKind, Manifest, Pruned, SourcePosition};
use alluvium_core::{CheckpointError, CheckpointId, LogIdentity, RetentionPolicy, Sequence, Timestamp};

use super::place::{announce, assert_restores, content, epoch, save, snapshot, with_place};
use crate::CheckpointerHarness;
use crate::support::refused;

/// Nothing is there, and that is no error.
pub fn m_a_new_place_is_empty(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |place, handle| {
        let id = handle.begin().await.unwrap();
        assert_eq!(handle.read_latest().await.unwrap(), None);
        assert_eq!(handle.latest_epoch().await.unwrap(), None);
        assert_eq!(handle.list_checkpoints().await.unwrap(), []);
        refused!(handle.load_manifest(id).await, CheckpointError::NotFound { id: of } if *of == id);
        refused!(handle.update_latest(id).await, CheckpointError::NotFound { id: of } if *of == id);
        handle.delete_checkpoint(id).await.unwrap();
        let pruned = handle.prune(RetentionPolicy::default()).await.unwrap();
        assert_eq!(pruned, Pruned::default());
        // Neither a name nor a question leaves anything.
        assert_eq!(place.paths().await, [""; 0]);
    });
}

/// Names rise, however many are asked for at once.
pub fn m_names_rise(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |_, handle| {
        let mut last = handle.begin().await.unwrap();
        for _ in 0..50 {
            let next = handle.begin().await.unwrap();
            assert!(next > last, "{next} comes after {last}");
            last = next;
        }
        let asked: Vec<_> = (0..50)
            .map(|_| {
                let handle = Arc::clone(&handle);
                tokio::spawn(async move { handle.begin().await.unwrap() })
            })
            .collect();
        let mut given = Vec::new();
        for answer in asked {
            given.push(answer.await.unwrap());
        }
        given.sort_unstable();
        given.dedup();
        assert_eq!(given.len(), 50);
        assert!(given[0] > last);
    });
}

/// A name comes after the newest checkpoint even where the clock is behind that of whoever made it.
pub fn m_names_rise_where_the_clock_went_back(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |place, handle| {
        let now = handle.begin().await.unwrap().millis();
        let ahead = CheckpointId::after(None, now + 1_000_000_000, [255; 10]);
        let file = handle
            .save(snapshot(ahead, "op", 0), "ahead".into())
            .await
            .unwrap();
        let manifest = Manifest::new(ahead, epoch(1), 0).operator("op", vec![file]);
        handle.save_manifest(&manifest).await.unwrap();
        handle.update_latest(ahead).await.unwrap();
        for handle in [&handle, &place.open().await] {
            assert!(handle.begin().await.unwrap() > ahead);
        }
        let next = announce(&handle, 2, None).await;
        assert_eq!(handle.list_checkpoints().await.unwrap(), [ahead, next]);
        assert_restores(&handle, next, &[2]).await;
    });
}

/// Everything that a checkpoint says and holds is there for another handle.
pub fn m_a_checkpoint_comes_back(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |place, handle| {
        let id = handle.begin().await.unwrap();
        let mut files = Vec::new();
        // In any order.
        for partition in [2, 0, 1] {
            let bytes = content(1, "count", partition);
            let saved = handle.save_snapshot(id, "count", partition, bytes).await;
            files.push(saved.unwrap());
        }
        let orders = LogIdentity::new("ORDERS", Timestamp::from_nanos(-7));
        let manifest = Manifest::new(id, epoch(7), -3)
            .watermark(1_700_000_000_000)
            .operator("count", files)
            .operator("has no partitions", vec![])
            .source(
                "orders/\0",
                SourcePosition::JetStream {
                    log: orders,
                    sequence: Sequence::new(u64::MAX),
                },
            )
            .source(
                "lines",
                SourcePosition::File {
                    path: "/a b".to_owned(),
                    offset: 9,
                },
            );
        handle.save_manifest(&manifest).await.unwrap();
        handle.update_latest(id).await.unwrap();
        for handle in [&handle, &place.open().await] {
            assert_eq!(handle.read_latest().await.unwrap(), Some(id));
            assert_eq!(handle.latest_epoch().await.unwrap(), Some(epoch(7)));
            assert_eq!(handle.list_checkpoints().await.unwrap(), [id]);
            let loaded = handle.load_manifest(id).await.unwrap();
            assert_eq!(loaded, manifest);
            for (partition, file) in (0..).zip(&loaded.operators["count"].partitions) {
                let bytes = content(1, "count", partition);
                assert_eq!(file.size, bytes.len() as u64);
                assert_eq!(handle.load(file).await.unwrap(), bytes);
            }
        }
    });
}

/// A file is known by its SHA-256, as anybody computes it.
pub fn m_the_digest_is_sha_256(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |_, handle| {
        let id = handle.begin().await.unwrap();
        for (partition, bytes, digest) in [
            (
                0,
                "abc",
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            ),
            (
                1,
                "",
                "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            ),
        ] {
            let file = handle
                .save(snapshot(id, "op", partition), bytes.into())
                .await
                .unwrap();
            assert_eq!(file.sha256.to_string(), digest);
            assert_eq!((file.partition, file.size), (partition, bytes.len() as u64));
            assert_eq!(file.kind(), FileKind::Snapshot);
        }
        let delta = handle.save_delta(id, "op", 0, "abc".into()).await.unwrap();
        assert_eq!(delta.kind(), FileKind::Delta);
    });
}

/// A file that is saved again is replaced, by a longer or a shorter one.
pub fn m_a_file_saved_again_is_replaced(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |_, handle| {
        let id = handle.begin().await.unwrap();
        for bytes in ["first", "a longer second", "third", "third", ""] {
            let file = handle.save(snapshot(id, "op", 0), bytes.into()).await.unwrap();
            assert_eq!(handle.load(&file).await.unwrap(), bytes);
        }
        // A snapshot and a delta of one partition are two files.
        let delta = handle.save_delta(id, "op", 0, "delta".into()).await.unwrap();
        let again = handle
            .save(snapshot(id, "op", 0), "snapshot".into())
            .await
            .unwrap();
        assert_eq!(handle.load(&delta).await.unwrap(), "delta");
        assert_eq!(handle.load(&again).await.unwrap(), "snapshot");
    });
}

/// Files that are saved at once are all there.
pub fn m_files_saved_at_once_all_count(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |place, handle| {
        let id = handle.begin().await.unwrap();
        let mut saves = Vec::new();
        for partition in 0..64 {
            // Each from a process of its own, as far as the handles know.
            let handle = if partition % 16 == 0 {
                place.open().await
            } else {
                Arc::clone(&handle)
            };
            saves.push(tokio::spawn(async move {
                let bytes = content(1, "op", partition);
                handle.save_snapshot(id, "op", partition, bytes).await.unwrap()
            }));
        }
        let mut files = Vec::new();
        for saved in saves {
            files.push(saved.await.unwrap());
        }
        let manifest = Manifest::new(id, epoch(1), 0).operator("op", files);
        handle.save_manifest(&manifest).await.unwrap();
        for file in manifest.files() {
            let bytes = content(1, "op", file.partition);
            assert_eq!(handle.load(file).await.unwrap(), bytes);
        }
    });
}

/// Complete ones are listed, announced or not, and nothing else is, whatever lies beside them.
pub fn m_what_is_complete_is_listed_by_age(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |place, handle| {
        let first = save(&handle, 1, None).await;
        let second = announce(&handle, 2, None).await;
        let third = save(&handle, 3, Some(second)).await;
        let begun = handle.begin().await.unwrap();
        handle.save_snapshot(begun, "op", 0, "x".into()).await.unwrap();
        for other in [
            "manifest.json".to_owned(),
            "not-an-id/manifest.json".to_owned(),
            format!("{}/manifest.json", first.to_string().to_uppercase()),
            format!("{begun}/operators/manifest.json"),
            format!("{begun}/manifest.json.bak"),
        ] {
            place.put(&other, "{}").await;
        }
        assert_eq!(handle.list_checkpoints().await.unwrap(), [first, second, third]);
    });
}
