//! Obligation 1: `_latest` moves on, never back, and never to what is not whole.

use alluvium_core::checkpoint::{LATEST, manifest_path};
use alluvium_core::{CheckpointError, CheckpointId};

use super::place::{Handle, Place, announce, assert_restores, draft, epoch, only_file, save, with_place};
use crate::CheckpointerHarness;
use crate::support::refused;

async fn assert_latest(place: &Place<'_>, handle: &Handle, id: CheckpointId, number: u64) {
    for handle in [handle, &place.open().await] {
        assert_eq!(handle.read_latest().await.unwrap(), Some(id));
        assert_eq!(handle.latest_epoch().await.unwrap(), Some(epoch(number)));
    }
}

/// It moves on with the epochs, over gaps too, and to say it again changes nothing.
pub fn o1_latest_moves_on(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |place, handle| {
        for number in [1, 2, 7, 1_000] {
            let id = announce(&handle, number, None).await;
            assert_latest(place, &handle, id, number).await;
            let before = place.get(LATEST).await;
            handle.update_latest(id).await.unwrap();
            place.open().await.update_latest(id).await.unwrap();
            assert_eq!(place.get(LATEST).await, before);
        }
    });
}

/// One of an older epoch is refused, and one of the same: whoever wants it learns what is the newest.
pub fn o1_latest_never_moves_back(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |place, handle| {
        let older = save(&handle, 4, None).await;
        let newest = announce(&handle, 5, None).await;
        // The epoch counts, and not the name.
        let late = save(&handle, 3, None).await;
        let same = save(&handle, 5, None).await;
        for handle in [&handle, &place.open().await] {
            for (id, number) in [(older, 4), (late, 3), (same, 5)] {
                refused!(
                    handle.update_latest(id).await,
                    CheckpointError::Stale { epoch: of, latest, by }
                        if *of == epoch(number) && *latest == epoch(5) && *by == newest
                );
            }
        }
        assert_latest(place, &handle, newest, 5).await;
    });
}

/// What has no manifest is not announced, however much of it is there.
pub fn o1_latest_never_names_what_is_not_complete(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |place, handle| {
        let first = announce(&handle, 1, None).await;
        let manifest = draft(&handle, 2, None).await.unwrap();
        for id in [manifest.id, handle.begin().await.unwrap()] {
            refused!(handle.update_latest(id).await, CheckpointError::NotFound { id: of } if *of == id);
        }
        assert_latest(place, &handle, first, 1).await;
    });
}

/// What has lost something is not announced: a file, or something of the chain that it builds on.
pub fn o1_latest_never_names_what_has_lost_something(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |place, handle| {
        let first = announce(&handle, 1, None).await;
        let base = save(&handle, 2, None).await;
        let middle = save(&handle, 3, Some(base)).await;
        let newest = save(&handle, 4, Some(middle)).await;
        let mut needed = vec![manifest_path(base), manifest_path(middle)];
        for id in [base, middle, newest] {
            let manifest = handle.load_manifest(id).await.unwrap();
            needed.extend(manifest.files().map(|file| file.path.clone()));
        }
        for path in needed {
            let bytes = place.get(&path).await;
            place.remove(&path).await;
            refused!(
                handle.update_latest(newest).await,
                CheckpointError::Missing { path: of } if *of == path
            );
            if !path.contains("manifest") {
                place.put(&path, [&bytes[..], b"more"].concat()).await;
                refused!(
                    handle.update_latest(newest).await,
                    CheckpointError::Corrupt { path: of, .. } if *of == path
                );
            }
            place.put(&path, bytes).await;
        }
        assert_latest(place, &handle, first, 1).await;
        handle.update_latest(newest).await.unwrap();
        assert_restores(&handle, newest, &[2, 3, 4]).await;
    });
}

/// Garbage in its place is told for what it is, hides no checkpoint, and is replaced by the newest one and by no older one.
pub fn o1_a_damaged_latest_is_told_and_replaced(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |place, handle| {
        let mut number = 0;
        let other = handle.begin().await.unwrap();
        for garbage in [
            String::new(),
            "garbage".to_owned(),
            "\0".repeat(40),
            "x".repeat(1 << 20),
            "{}".to_owned(),
            "null".to_owned(),
            r#"{"id":"../../elsewhere","epoch":1}"#.to_owned(),
            format!(r#"{{"id":"{other}","epoch":0}}"#),
            format!(r#"{{"id":"{}","epoch":1}}"#, other.to_string().to_uppercase()),
        ] {
            let older = announce(&handle, number + 1, None).await;
            let newest = announce(&handle, number + 2, None).await;
            number += 2;
            place.put(LATEST, garbage.clone()).await;
            for handle in [&handle, &place.open().await] {
                let shown = &garbage[..garbage.len().min(50)];
                let told = handle.read_latest().await;
                assert!(
                    matches!(&told, Err(CheckpointError::Corrupt { path, .. }) if path.contains(LATEST)),
                    "{shown:?} is taken for {told:?}"
                );
                assert!(handle.begin().await.is_ok(), "{shown:?} ends everything");
                assert!(
                    handle
                        .list_checkpoints()
                        .await
                        .unwrap()
                        .ends_with(&[older, newest])
                );
                assert_restores(handle, newest, &[number]).await;
            }
            refused!(
                handle.update_latest(older).await,
                CheckpointError::Stale { latest, .. } if *latest == epoch(number)
            );
            handle.update_latest(newest).await.unwrap();
            assert_latest(place, &handle, newest, number).await;
        }
    });
}

/// Where what it names is gone, it still says which that was, and still does not move back.
pub fn o1_latest_that_names_what_is_gone_does_not_move_back(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |place, handle| {
        let first = announce(&handle, 1, None).await;
        let second = save(&handle, 2, None).await;
        let gone = announce(&handle, 3, None).await;
        let file = handle.load_manifest(gone).await.unwrap();
        let file = only_file(&file, "count").clone();
        place.remove(&manifest_path(gone)).await;
        place.remove(&file.path).await;
        assert_eq!(handle.read_latest().await.unwrap(), Some(gone));
        assert_eq!(handle.list_checkpoints().await.unwrap(), [first, second]);
        refused!(handle.load_manifest(gone).await, CheckpointError::NotFound { .. });
        refused!(
            handle.update_latest(second).await,
            CheckpointError::Stale { latest, by, .. } if *latest == epoch(3) && *by == gone
        );
        assert!(handle.begin().await.unwrap() > gone);
        assert_restores(&handle, second, &[2]).await;
        let next = announce(&handle, 4, None).await;
        assert_latest(place, &handle, next, 4).await;
    });
}
