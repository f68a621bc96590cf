//! Obligations 1 and 5 between handles that share nothing but the store.

use std::sync::Arc;

use alluvium_core::checkpoint::Manifest;
use alluvium_core::{CheckpointError, Epoch};

use super::place::{Place, assert_restores, block_on, draft, epoch, save};
use crate::CheckpointerHarness;
use crate::support::length;

const WRITERS: u64 = 32;

async fn handles(place: &Place<'_>) -> Vec<super::place::Handle> {
    let mut handles = Vec::new();
    for _ in 0..WRITERS {
        handles.push(place.open().await);
    }
    handles
}

/// Of many who swap it at once, it only ever goes on to a higher epoch, everybody is told the truth, and it ends at the
/// highest.
pub fn o1_of_32_racing_writers_none_moves_latest_back(harness: &dyn CheckpointerHarness) {
    let place = Place::new(harness);
    block_on(async {
        let handles = handles(&place).await;
        let reader = place.open().await;
        for round in 0..length(3, 30) {
            let mut swaps = Vec::new();
            let mut ids = Vec::new();
            for (at, handle) in (1..).zip(&handles) {
                ids.push((save(handle, round * WRITERS + at, None).await, Arc::clone(handle)));
            }
            // The highest first, so that the others have somewhere to move it back from; then the other way round.
            if round.is_multiple_of(2) {
                ids.reverse();
            }
            for (id, handle) in ids {
                swaps.push(tokio::spawn(async move { (id, handle.update_latest(id).await) }));
            }
            let highest = round * WRITERS + WRITERS;
            let mut seen = round * WRITERS;
            while !swaps.iter().all(tokio::task::JoinHandle::is_finished) {
                let now = reader.latest_epoch().await.unwrap().map_or(0, Epoch::get);
                assert!(now >= seen, "it went back from epoch {seen} to {now}");
                seen = now;
                tokio::task::yield_now().await;
            }
            for swap in swaps {
                match swap.await.unwrap() {
                    (_, Ok(())) => {}
                    (_, Err(CheckpointError::Stale { epoch, latest, .. })) => {
                        assert!(latest >= epoch, "{latest} does not come after {epoch}");
                    }
                    (id, Err(error)) => panic!("{id}: {error:?}"),
                }
            }
            assert_eq!(reader.latest_epoch().await.unwrap(), Some(epoch(highest)));
            let latest = reader.read_latest().await.unwrap().unwrap();
            assert_restores(&reader, latest, &[highest]).await;
        }
    });
}

/// Of two checkpoints of one epoch one is announced, and whoever wanted the other is told which.
pub fn o1_of_racing_writers_of_one_epoch_one_wins(harness: &dyn CheckpointerHarness) {
    let place = Place::new(harness);
    block_on(async {
        let handles = handles(&place).await;
        for number in 1..=length(5, 50) {
            let mut swaps = Vec::new();
            for handle in &handles[..8] {
                let (id, handle) = (save(handle, number, None).await, Arc::clone(handle));
                swaps.push(tokio::spawn(async move { (id, handle.update_latest(id).await) }));
            }
            let (mut winners, mut named) = (Vec::new(), Vec::new());
            for swap in swaps {
                match swap.await.unwrap() {
                    (id, Ok(())) => winners.push(id),
                    (_, Err(CheckpointError::Stale { by, .. })) => named.push(by),
                    (id, Err(error)) => panic!("{id}: {error:?}"),
                }
            }
            assert_eq!(winners.len(), 1, "epoch {number} has {winners:?}");
            assert!(named.iter().all(|by| *by == winners[0]), "{named:?}");
            assert_eq!(handles[8].read_latest().await.unwrap(), Some(winners[0]));
        }
    });
}

/// Of many manifests for one checkpoint one is written, and stays.
pub fn o5_of_racing_manifests_one_is_written(harness: &dyn CheckpointerHarness) {
    let place = Place::new(harness);
    block_on(async {
        let handles = handles(&place).await;
        for number in 1..=length(5, 50) {
            let draft = draft(&handles[0], number, None).await.unwrap();
            let mut saves = Vec::new();
            for (at, handle) in (1..).zip(&handles[..8]) {
                let mut manifest: Manifest = draft.clone();
                manifest.timestamp_ms = at;
                let handle = Arc::clone(handle);
                saves.push(tokio::spawn(async move {
                    let outcome = handle.save_manifest(&manifest).await;
                    (manifest, outcome)
                }));
            }
            let mut written = Vec::new();
            for save in saves {
                match save.await.unwrap() {
                    (manifest, Ok(())) => written.push(manifest),
                    (_, Err(CheckpointError::Invalid(_))) => {}
                    (_, Err(error)) => panic!("{error:?}"),
                }
            }
            assert_eq!(written.len(), 1, "several were told that theirs is the manifest");
            assert_eq!(handles[8].load_manifest(draft.id).await.unwrap(), written[0]);
        }
    });
}
