//! What is about requests and about the inside; what every checkpointer promises is tested by the conformance suite.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use alluvium_core::Epoch;
use alluvium_core::checkpoint::FileKind;
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt as _};

use super::*;
use crate::testing::{Log, Staged};

fn checkpointer(store: Arc<dyn ObjectStore>) -> ObjectStoreCheckpointer {
    let options = CheckpointerOptions::default().part_bytes(1_000);
    ObjectStoreCheckpointer::new(store, Path::from("a/b"), options)
}

/// A complete checkpoint of this epoch of one operator with one partition, on a parent if there is one.
async fn save(
    checkpointer: &ObjectStoreCheckpointer,
    epoch: u64,
    parent: Option<CheckpointId>,
) -> CheckpointId {
    let id = checkpointer.begin().await.unwrap();
    let kind = if parent.is_some() {
        FileKind::Delta
    } else {
        FileKind::Snapshot
    };
    let place = FilePlace {
        id,
        operator: "op/1",
        partition: 0,
        kind,
    };
    let file = checkpointer
        .save(place, format!("state {epoch}").into())
        .await
        .unwrap();
    let mut manifest = Manifest::new(id, Epoch::new(epoch).unwrap(), 0).operator("op/1", vec![file]);
    manifest.parent_id = parent;
    checkpointer.save_manifest(&manifest).await.unwrap();
    id
}

#[tokio::test]
async fn a_checkpoint_costs_what_is_written_down() {
    let log = Arc::new(Log::default());
    let inner = Arc::new(InMemory::new());
    let checkpointer = checkpointer(Staged::over(&inner, &log));
    let id = save(&checkpointer, 1, None).await;
    let (directory, file) = (format!("a/b/{id}"), "operators/op%2F1/partition-0.snap");
    let manifest = format!("{directory}/manifest.json");
    assert_eq!(
        log.take(),
        [
            "GET a/b/_latest".to_owned(),
            format!("CREATE {directory}/{file}"),
            format!("LIST {directory}"),
            format!("CREATE {manifest}"),
        ]
    );
    checkpointer.update_latest(id).await.unwrap();
    assert_eq!(
        log.take(),
        [
            format!("GET {manifest}"),
            format!("LIST {directory}"),
            "GET a/b/_latest".to_owned(),
            "CREATE a/b/_latest".to_owned(),
        ]
    );
    // To do it again changes nothing.
    checkpointer.update_latest(id).await.unwrap();
    assert!(log.take().iter().all(|request| !request.starts_with("SWAP")));
    // What is listed is all there is to know.
    assert_eq!(checkpointer.list_checkpoints().await.unwrap(), [id]);
    assert_eq!(log.take(), ["LIST a/b"]);
}

#[tokio::test]
async fn what_a_prune_took_for_dead_cannot_be_completed_and_is_told() {
    let store = Arc::new(InMemory::new());
    let checkpointer = checkpointer(store.clone());
    let id = checkpointer.begin().await.unwrap();
    let file = checkpointer
        .save_snapshot(id, "op", 0, "state".into())
        .await
        .unwrap();
    let at_once = RetentionPolicy::default().grace(Duration::ZERO);
    let pruned = checkpointer.prune(at_once).await.unwrap();
    assert_eq!((pruned.abandoned, pruned.objects), (vec![id], 1));
    assert_eq!(checkpointer.list_checkpoints().await.unwrap(), []);
    let manifest = Manifest::new(id, Epoch::FIRST, 0).operator("op", vec![file]);
    let error = checkpointer.save_manifest(&manifest).await.unwrap_err();
    assert!(matches!(error, CheckpointError::Missing { .. }), "{error}");
    // It saves again what is gone, and is told by the mark.
    let error = checkpointer
        .save_snapshot(id, "op", 0, "state".into())
        .await
        .map(drop);
    assert!(error.is_ok());
    let error = checkpointer.save_manifest(&manifest).await.unwrap_err();
    assert!(matches!(error, CheckpointError::Abandoned { .. }), "{error}");
    let error = checkpointer.load_manifest(id).await.unwrap_err();
    assert!(matches!(error, CheckpointError::NotFound { .. }), "{error}");
    // What it left goes, and then the mark.
    checkpointer.prune(at_once).await.unwrap();
    checkpointer.prune(at_once).await.unwrap();
    let left: Vec<_> = store.list(None).collect().await;
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn a_prune_keeps_what_is_needed_and_within_the_grace_period() {
    let checkpointer = checkpointer(Arc::new(InMemory::new()));
    let base = save(&checkpointer, 1, None).await;
    let delta = save(&checkpointer, 2, Some(base)).await;
    let other = save(&checkpointer, 3, None).await;
    let newest = save(&checkpointer, 4, None).await;
    checkpointer.update_latest(newest).await.unwrap();
    let policy = RetentionPolicy::default().keep(NonZeroU32::MIN);
    let pruned = checkpointer.prune(policy).await.unwrap();
    assert_eq!(pruned, Pruned::default());
    let keep_three = policy.keep(NonZeroU32::new(3).unwrap()).grace(Duration::ZERO);
    assert_eq!(checkpointer.prune(keep_three).await.unwrap().checkpoints, []);
    let pruned = checkpointer.prune(policy.grace(Duration::ZERO)).await.unwrap();
    assert_eq!(pruned.checkpoints, [base, delta, other]);
    assert_eq!(pruned.objects, 6);
    assert_eq!(checkpointer.list_checkpoints().await.unwrap(), [newest]);
}

#[tokio::test]
async fn a_dry_run_tells_what_the_prune_then_does_and_leaves_everything() {
    let store = Arc::new(InMemory::new());
    let checkpointer = checkpointer(store.clone());
    let base = save(&checkpointer, 1, None).await;
    save(&checkpointer, 2, Some(base)).await;
    let newest = save(&checkpointer, 3, None).await;
    checkpointer.update_latest(newest).await.unwrap();
    let never = checkpointer.begin().await.unwrap();
    checkpointer
        .save_snapshot(never, "op", 0, "state".into())
        .await
        .unwrap();
    let objects = || async {
        let listed: Vec<_> = store.list(None).try_collect().await.unwrap();
        listed
            .into_iter()
            .map(|object| (object.location, object.e_tag))
            .collect::<std::collections::BTreeSet<_>>()
    };
    let before = objects().await;
    let policy = RetentionPolicy::default()
        .keep(NonZeroU32::MIN)
        .grace(Duration::ZERO);
    let told = checkpointer.prune(policy.dry_run(true)).await.unwrap();
    assert_eq!((told.checkpoints.len(), told.objects), (2, 5));
    assert_eq!(told.abandoned, [never]);
    assert_eq!(objects().await, before);
    assert_eq!(checkpointer.prune(policy).await.unwrap(), told);
    // The manifest, its file, _latest, and the mark.
    assert_eq!(objects().await.len(), 4);
}

#[tokio::test]
async fn nothing_of_a_complete_checkpoint_can_change() {
    let checkpointer = checkpointer(Arc::new(InMemory::new()));
    let id = save(&checkpointer, 1, None).await;
    let place = FilePlace {
        id,
        operator: "op/1",
        partition: 0,
        kind: FileKind::Snapshot,
    };
    for length in [3, 5_000] {
        let error = checkpointer
            .save(place, vec![7; length].into())
            .await
            .unwrap_err();
        assert!(matches!(error, CheckpointError::Invalid(_)), "{error}");
    }
    let error = checkpointer
        .save_manifest(&Manifest::new(id, Epoch::FIRST, 5))
        .await
        .unwrap_err();
    assert!(matches!(error, CheckpointError::Invalid(_)), "{error}");
    let manifest = checkpointer.load_manifest(id).await.unwrap();
    checkpointer.save_manifest(&manifest).await.unwrap();
    let bytes = checkpointer
        .load(&manifest.operators["op/1"].partitions[0])
        .await
        .unwrap();
    assert_eq!(bytes, "state 1");
}

#[tokio::test]
async fn a_damaged_pointer_can_be_replaced_but_not_by_an_older_checkpoint() {
    let store = Arc::new(InMemory::new());
    let checkpointer = checkpointer(store.clone());
    let first = save(&checkpointer, 1, None).await;
    let second = save(&checkpointer, 2, None).await;
    store
        .put(&Path::from("a/b/_latest"), "garbage".into())
        .await
        .unwrap();
    let error = checkpointer.read_latest().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    let error = checkpointer.update_latest(first).await.unwrap_err();
    assert!(matches!(error, CheckpointError::Stale { .. }), "{error}");
    checkpointer.update_latest(second).await.unwrap();
    assert_eq!(checkpointer.read_latest().await.unwrap(), Some(second));
}
