//! Obligation 3: a fault that passes is waited out, one that stays is told, and neither means that there is nothing.

use std::sync::Arc;

use alluvium_core::checkpoint::Manifest;
use alluvium_core::{CheckpointError, CheckpointId, ErrorKind, RetentionPolicy};
use futures_util::TryStreamExt as _;

use super::place::{
    Handle, announce, assert_restores, draft, only_file, restore, snapshot, state_of, with_place,
};
use crate::denied::Denied;
use crate::{CheckpointerHarness, Fault, FaultyStore};

/// A checkpoint is taken, announced, and looked for.
async fn run(handle: &Handle, number: u64) -> Result<CheckpointId, CheckpointError> {
    let manifest = draft(handle, number, None).await?;
    let id = manifest.id;
    handle.save_manifest(&manifest).await?;
    handle.update_latest(id).await?;
    assert_eq!(handle.read_latest().await?, Some(id));
    assert!(handle.list_checkpoints().await?.contains(&id));
    assert!(restore(handle, id).await? == state_of(&[number]));
    Ok(id)
}

/// One request of a run that fails, or of which the answer is lost, whichever it is: nobody sees anything of it.
pub fn o3_a_fault_that_passes_is_not_seen(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |place, handle| {
        let mut number = 0;
        for fault in [Fault::Fail, Fault::LoseTheAnswer] {
            let mut call = 1;
            loop {
                number += 1;
                let faulty = FaultyStore::failing(place.store().await, call, fault);
                let over = place.open_over(Arc::new(faulty.clone())).await;
                let id = run(&over, number).await;
                let id = id.unwrap_or_else(|error| panic!("{fault:?} at call {call}: {error:?}"));
                assert_restores(&handle, id, &[number]).await;
                if faulty.calls() < call {
                    break;
                }
                call += 1;
            }
            assert!(call > 10, "a run has made {call} calls");
        }
    });
}

/// Does everything that there is to do, and gives what came of each.
async fn everything(
    handle: &Handle,
    there: &Manifest,
    mut done: impl FnMut(&'static str, Option<CheckpointError>),
) {
    let (id, file) = (there.id, only_file(there, "count"));
    let next = CheckpointId::after(Some(id), 0, [0; 10]);
    let place = snapshot(next, "op", 0);
    let manifest = Manifest::new(next, there.epoch, 0);
    let streamed = match handle.load_stream(file).await {
        Ok(stream) => stream.try_for_each(async |_| Ok(())).await,
        Err(error) => Err(error),
    };
    done("load_stream", streamed.err());
    done("begin", handle.begin().await.err());
    done("save", handle.save(place, "x".into()).await.err());
    done("save_manifest", handle.save_manifest(&manifest).await.err());
    done("load_manifest", handle.load_manifest(id).await.err());
    done("load", handle.load(file).await.err());
    done("update_latest", handle.update_latest(id).await.err());
    done("read_latest", handle.read_latest().await.err());
    done("latest_epoch", handle.latest_epoch().await.err());
    done("list_checkpoints", handle.list_checkpoints().await.err());
    done("delete_checkpoint", handle.delete_checkpoint(id).await.err());
    done("prune", handle.prune(RetentionPolicy::default()).await.err());
}

/// A store that is out of reach is not an empty one, whatever it is asked.
pub fn o3_a_fault_is_never_taken_for_none(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |place, handle| {
        let id = announce(&handle, 1, None).await;
        let (there, before) = (handle.load_manifest(id).await.unwrap(), place.paths().await);
        let dead = FaultyStore::failing(place.store().await, 1, Fault::CrashBefore);
        let over = place.open_over(Arc::new(dead)).await;
        everything(&over, &there, |method, error| {
            let kind = error.as_ref().map(CheckpointError::kind);
            assert_eq!(kind, Some(ErrorKind::Transient), "{method}: {error:?}");
        })
        .await;
        assert_eq!(place.paths().await, before);
    });
}

/// What is denied once is denied again: it is told at once, and is not taken for damage, or for nothing.
pub fn o3_a_permanent_fault_surfaces_at_once(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |place, handle| {
        let id = announce(&handle, 1, None).await;
        let there = handle.load_manifest(id).await.unwrap();
        let denied = Arc::new(Denied::default());
        let over = place.open_over(Arc::clone(&denied) as _).await;
        denied.take_calls();
        everything(&over, &there, |method, error| {
            let kind = error.as_ref().map(CheckpointError::kind);
            assert!(
                matches!(kind, Some(ErrorKind::Unavailable | ErrorKind::Invalid)),
                "{method}: {error:?}"
            );
            // A look at the same object in another way is fine.
            let calls = denied.take_calls();
            assert!(calls <= 2, "{method} was denied {calls} times");
        })
        .await;
    });
}
