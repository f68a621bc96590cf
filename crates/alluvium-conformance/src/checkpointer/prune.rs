//! Obligation 7: what nobody needs goes, and whoever may still be at work is left alone or told.

use std::sync::Arc;
use std::time::Duration;

use alluvium_core::checkpoint::{LATEST, Manifest, Pruned};
use alluvium_core::{CheckpointError, CheckpointId, ErrorKind, RetentionPolicy};

use super::place::{
    Handle, Place, announce, assert_restores, draft, epoch, restore, save, snapshot, state_of, with_place,
};
use crate::CheckpointerHarness;
use crate::support::{length, refused};

/// Keeps so many, without a grace period.
fn at_once(keep: u32) -> RetentionPolicy {
    RetentionPolicy::default()
        .keep(keep.try_into().unwrap())
        .grace(Duration::ZERO)
}

/// How many objects and bytes there are of a checkpoint.
async fn objects_of(place: &Place<'_>, id: CheckpointId) -> (u64, u64) {
    let (mut objects, mut bytes) = (0, 0);
    for path in place.paths().await {
        if path.starts_with(&id.to_string()) {
            objects += 1;
            bytes += place.get(&path).await.len() as u64;
        }
    }
    (objects, bytes)
}

/// The newest stay with what they build on, the others go with all their objects, and it is told how much that was.
pub fn o7_the_newest_stay_with_what_they_need(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |place, handle| {
        let first = announce(&handle, 1, None).await;
        let second = announce(&handle, 2, Some(first)).await;
        let base = announce(&handle, 3, None).await;
        let middle = announce(&handle, 4, Some(base)).await;
        let tip = announce(&handle, 5, Some(middle)).await;
        let last = announce(&handle, 6, None).await;
        // The oldest of those kept builds on two that are not.
        let mut expected = Pruned::default();
        expected.checkpoints = vec![first, second];
        for id in [first, second] {
            let (objects, bytes) = objects_of(place, id).await;
            expected.objects += objects;
            expected.bytes += bytes;
        }
        assert_eq!(handle.prune(at_once(6)).await.unwrap(), Pruned::default());
        // What is asked for only to know it is told, and done nothing of.
        let before = place.paths().await;
        let asked = handle.prune(at_once(2).dry_run(true)).await.unwrap();
        assert_eq!((asked, place.paths().await), (expected.clone(), before));
        assert_eq!(handle.prune(at_once(2)).await.unwrap(), expected);
        assert_eq!(handle.prune(at_once(2)).await.unwrap(), Pruned::default());
        let left = handle.list_checkpoints().await.unwrap();
        assert_eq!(left, [base, middle, tip, last]);
        for id in [first, second] {
            assert_eq!(objects_of(place, id).await, (0, 0));
        }
        assert_restores(&handle, tip, &[3, 4, 5]).await;
        assert_restores(&handle, last, &[6]).await;
        let pruned = place.open().await.prune(at_once(1)).await.unwrap();
        assert_eq!(pruned.checkpoints, [base, middle, tip]);
        assert_restores(&handle, last, &[6]).await;
        assert_eq!(handle.read_latest().await.unwrap(), Some(last));
    });
}

/// What was not announced yet stays, and does not count: its writer is about to.
pub fn o7_what_is_newer_than_latest_stays(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |_, handle| {
        let older = announce(&handle, 1, None).await;
        let latest = announce(&handle, 2, None).await;
        let newer = save(&handle, 3, None).await;
        let pruned = handle.prune(at_once(1)).await.unwrap();
        assert_eq!(pruned.checkpoints, [older]);
        assert_eq!(handle.list_checkpoints().await.unwrap(), [latest, newer]);
        handle.update_latest(newer).await.unwrap();
        assert_restores(&handle, newer, &[3]).await;
    });
}

/// What a dry run tells is what the prune does then.
pub fn o7_a_dry_run_tells_what_would_go_and_removes_nothing(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |place, handle| {
        let older = announce(&handle, 1, None).await;
        let latest = announce(&handle, 2, None).await;
        let unfinished = draft(&handle, 3, None).await.unwrap().id;
        let before = place.paths().await;
        let told = handle.prune(at_once(1).dry_run(true)).await.unwrap();
        assert_eq!(
            (&told.checkpoints, &told.abandoned),
            (&vec![older], &vec![unfinished])
        );
        assert!(told.objects > 0 && told.bytes > 0, "{told:?}");
        assert_eq!(place.paths().await, before);
        assert_eq!(handle.list_checkpoints().await.unwrap(), [older, latest]);
        assert_eq!(handle.prune(at_once(1)).await.unwrap(), told);
        assert_ne!(place.paths().await, before);
    });
}

/// A writer that dies again and again before it announces what it has completed does not fill the store.
pub fn o7_of_what_was_never_announced_no_more_stays_than_is_kept(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |_, handle| {
        let latest = announce(&handle, 1, None).await;
        let mut saved = Vec::new();
        for number in 2..=5 {
            saved.push(save(&handle, number, None).await);
        }
        let pruned = handle.prune(at_once(2)).await.unwrap();
        assert_eq!(pruned.checkpoints, saved[..2]);
        assert_eq!(
            handle.list_checkpoints().await.unwrap(),
            [latest, saved[2], saved[3]]
        );
        handle.update_latest(saved[3]).await.unwrap();
        assert_restores(&handle, saved[3], &[5]).await;
    });
}

/// Nothing that was needed or written a moment ago is removed: not what has just been replaced, not what is being written.
pub fn o7_within_the_grace_period_nothing_goes(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |place, handle| {
        for number in 1..=3 {
            announce(&handle, number, None).await;
        }
        let manifest = draft(&handle, 4, None).await.unwrap();
        let before = place.paths().await;
        let hour = RetentionPolicy::default().keep(1.try_into().unwrap());
        for _ in 0..2 {
            assert_eq!(handle.prune(hour).await.unwrap(), Pruned::default());
        }
        assert_eq!(place.paths().await, before);
        handle.save_manifest(&manifest).await.unwrap();
        handle.update_latest(manifest.id).await.unwrap();
        assert_restores(&handle, manifest.id, &[4]).await;
    });
}

/// What a writer left that was killed goes, and in the end no trace of it is left.
pub fn o7_what_was_never_completed_goes(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |place, handle| {
        let latest = announce(&handle, 1, None).await;
        let before = place.paths().await;
        let mut expected = Pruned::default();
        for _ in 0..3 {
            let left = draft(&handle, 2, None).await.unwrap().id;
            let (objects, bytes) = objects_of(place, left).await;
            expected.abandoned.push(left);
            expected.objects += objects;
            expected.bytes += bytes;
        }
        let handle = place.open().await;
        let asked = handle.prune(at_once(3).dry_run(true)).await.unwrap();
        assert_eq!(asked, expected);
        let pruned = handle.prune(at_once(3)).await.unwrap();
        assert_eq!(pruned, expected);
        for id in &expected.abandoned {
            refused!(handle.load_manifest(*id).await, CheckpointError::NotFound { .. });
            assert_eq!(handle.list_checkpoints().await.unwrap(), [latest]);
        }
        for _ in 0..3 {
            let pruned = handle.prune(at_once(3)).await.unwrap();
            assert_eq!((pruned.checkpoints, pruned.abandoned), (vec![], vec![]));
        }
        assert_eq!(place.paths().await, before);
        assert_restores(&handle, latest, &[1]).await;
    });
}

/// A writer that was taken for dead is told so when it comes back, whatever it saves again; and a new checkpoint of it
/// goes well.
pub fn o7_a_writer_taken_for_dead_is_told(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |place, writer| {
        let manifest = draft(&writer, 1, None).await.unwrap();
        place.open().await.prune(at_once(1)).await.unwrap();
        refused!(
            writer.save_manifest(&manifest).await,
            CheckpointError::Abandoned { .. } | CheckpointError::Missing { .. }
        );
        let again = writer
            .save(snapshot(manifest.id, "count", 0), "again".into())
            .await;
        match again {
            Ok(file) => {
                let manifest = Manifest::new(manifest.id, epoch(1), 0).operator("count", vec![file]);
                refused!(
                    writer.save_manifest(&manifest).await,
                    CheckpointError::Abandoned { id } if *id == manifest.id
                );
            }
            Err(error) => assert!(matches!(error, CheckpointError::Abandoned { .. }), "{error:?}"),
        }
        let error = crate::support::error_of(writer.update_latest(manifest.id).await);
        assert!(
            matches!(
                error,
                CheckpointError::Abandoned { .. } | CheckpointError::NotFound { .. }
            ),
            "{error:?}"
        );
        assert_eq!(writer.list_checkpoints().await.unwrap(), []);
        let next = announce(&writer, 1, None).await;
        assert_restores(&writer, next, &[1]).await;
    });
}

/// What is not of a checkpoint is somebody else's, and stays.
pub fn o7_what_belongs_to_others_stays(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |place, handle| {
        let others = [
            "README",
            "other/manifest.json",
            "other/operators/op/partition-0.snap",
        ];
        for other in others {
            place.put(other, "of somebody else").await;
        }
        for number in 1..=3 {
            announce(&handle, number, None).await;
        }
        handle.prune(at_once(1)).await.unwrap();
        for other in others {
            assert_eq!(place.get(other).await, "of somebody else");
        }
    });
}

/// Two that prune at once harm neither each other nor what is kept.
pub fn o7_two_prune_at_once(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |place, handle| {
        let other = place.open().await;
        let mut newest = None;
        for round in 0..length(5, 50) {
            for number in 1..=4 {
                newest = Some(announce(&handle, round * 4 + number, None).await);
                draft(&handle, round * 4 + number, None).await.unwrap();
            }
            let (one, two) = tokio::join!(handle.prune(at_once(1)), other.prune(at_once(1)));
            let (one, two) = (one.unwrap(), two.unwrap());
            assert!(
                one.checkpoints.len() + two.checkpoints.len() >= 3,
                "{one:?} {two:?}"
            );
            assert_eq!(handle.list_checkpoints().await.unwrap(), Vec::from_iter(newest));
        }
        assert_restores(&handle, newest.unwrap(), &[length(5, 50) * 4]).await;
    });
}

/// Takes checkpoints one after the other, in chains of four. Gives how many it was told to give up.
async fn write(handle: Handle, last: u64) -> u64 {
    let (mut told, mut parent) = (0, None);
    for number in 1..=last {
        parent = parent.filter(|_| number % 4 != 1);
        let saved = async {
            let manifest = draft(&handle, number, parent).await?;
            handle.save_manifest(&manifest).await?;
            handle.update_latest(manifest.id).await?;
            Ok(manifest.id)
        };
        match saved.await {
            Ok(id) => parent = Some(id),
            Err(
                CheckpointError::Abandoned { .. }
                | CheckpointError::Missing { .. }
                | CheckpointError::NotFound { .. },
            ) => {
                told += 1;
                parent = None;
            }
            Err(error) => panic!("epoch {number}: {error:?}"),
        }
    }
    told
}

/// Beside a prune within its grace period a writer and a reader notice nothing.
pub fn o7_a_prune_disturbs_nobody(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |place, handle| {
        let last = length(24, 240);
        let writer = tokio::spawn(write(Arc::clone(&handle), last));
        let (pruner, hour) = (place.open().await, RetentionPolicy::default());
        while !writer.is_finished() {
            assert_eq!(pruner.prune(hour).await.unwrap(), Pruned::default());
            if let Some(id) = pruner.read_latest().await.unwrap() {
                restore(&pruner, id).await.unwrap();
            }
        }
        assert_eq!(writer.await.unwrap(), 0, "the writer was told to give up");
        assert_eq!(handle.list_checkpoints().await.unwrap().len() as u64, last);
    });
}

/// Without a grace period a writer may be told to give up, and a reader that something is gone. Nobody ever gets anything
/// wrong, and the one to start from stays whole.
pub fn o7_without_grace_whoever_loses_is_told(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |place, handle| {
        let last = length(24, 240);
        let writer = tokio::spawn(write(Arc::clone(&handle), last));
        let (other, reader) = (place.open().await, place.open().await);
        while !writer.is_finished() {
            let read = async {
                let Some(id) = reader.read_latest().await? else {
                    return Ok(());
                };
                let number = reader.load_manifest(id).await?.epoch.get();
                let restored = restore(&reader, id).await?;
                // It goes back to some snapshot of its chain.
                let whole = |from| restored == state_of(&(from..=number).collect::<Vec<_>>());
                assert!(
                    (1..=number).any(whole),
                    "epoch {number} was restored as none that there was"
                );
                Ok::<_, CheckpointError>(())
            };
            let (pruned, read) = tokio::join!(other.prune(at_once(1)), read);
            pruned.unwrap();
            if let Err(error) = read {
                let kind = error.kind();
                assert!(
                    matches!(kind, ErrorKind::Corrupt | ErrorKind::NotFound),
                    "{error:?}"
                );
            }
        }
        writer.await.unwrap();
        // Whatever had to be given up, the next one goes well.
        let next = announce(&handle, last + 1, None).await;
        other.prune(at_once(1)).await.unwrap();
        other.prune(at_once(1)).await.unwrap();
        assert_restores(&handle, next, &[last + 1]).await;
        let own = next.to_string();
        let left = place.paths().await;
        assert!(
            left.iter().all(|path| path == LATEST || path.starts_with(&own)),
            "{left:?}"
        );
    });
}
