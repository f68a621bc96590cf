//! Obligations 3 and 5 between handles that share nothing but the store.

use std::sync::Arc;

use alluvium_core::{BackendError, BackendOptions};

use super::place::{Backend, OFF, Place, assert_holds, block_on, epoch, options, partials, version, vnodes};
use crate::BackendHarness;
use crate::support::{length, refused};

const ALL: [u32; 4] = [0, 1, 2, 3];

fn with_two<F: Future<Output = ()>>(harness: &dyn BackendHarness, test: impl FnOnce(Backend, Backend) -> F) {
    let place = Place::new(harness);
    block_on(async { test(place.open("a").await, place.open("b").await).await });
}

/// What one handle writes and seals another one reads.
pub fn o1_another_handle_reads_what_was_written(harness: &dyn BackendHarness) {
    with_two(harness, async |a, b| {
        a.write_partials(epoch(1), OFF, partials([0, 1], 1, 1))
            .await
            .unwrap();
        b.write_partials(epoch(1), OFF, partials([2, 3], 1, 1))
            .await
            .unwrap();
        for backend in [&a, &b] {
            assert_holds(backend, &ALL, 1, 1).await;
        }
        assert!(a.epoch_complete(epoch(1), &vnodes(0..4)).await.unwrap());
        for backend in [&a, &b] {
            assert_holds(backend, &ALL, 1, 1).await;
            assert_eq!(backend.latest_complete().await.unwrap(), Some(epoch(1)));
        }
    });
}

/// A handle that has not seen the seal writes in vain, and learns of it when it asks.
pub fn o2_a_write_after_anothers_seal_is_in_vain(harness: &dyn BackendHarness) {
    with_two(harness, async |a, b| {
        a.write_partials(epoch(1), OFF, partials(0..4, 1, 1))
            .await
            .unwrap();
        assert!(a.epoch_complete(epoch(1), &vnodes(0..4)).await.unwrap());
        if let Err(error) = b.write_partials(epoch(1), OFF, partials(0..4, 1, 2)).await {
            assert!(matches!(error, BackendError::Sealed { .. }), "{error}");
        }
        refused!(
            b.epoch_complete(epoch(1), &vnodes(0..4)).await,
            BackendError::SplitBrainCommit { .. }
        );
        for backend in [&a, &b] {
            assert_holds(backend, &ALL, 1, 1).await;
        }
    });
}

/// A participant that was never told of the fence is refused at the latest when it asks, and nothing it wrote is read.
pub fn o5_who_was_never_told_is_refused(harness: &dyn BackendHarness) {
    let place = Place::new(harness);
    block_on(async {
        let zombie = place.open("zombie").await;
        zombie
            .write_partials(epoch(1), version(1), partials(0..4, 1, 1))
            .await
            .unwrap();
        let next = place.open("next").await;
        next.fence(version(2)).await.unwrap();
        // It does not know, so it may write; nobody reads it.
        let _ = zombie
            .write_partials(epoch(1), version(1), partials(0..4, 1, 2))
            .await;
        assert_holds(&next, &[], 1, 1).await;
        refused!(
            zombie.epoch_complete(epoch(1), &vnodes(0..4)).await,
            BackendError::StaleVersion { caller, authoritative }
                if *caller == version(1) && *authoritative == version(2)
        );
        next.write_partials(epoch(1), version(2), partials(0..4, 1, 3))
            .await
            .unwrap();
        let _ = zombie
            .write_partials(epoch(1), version(1), partials(0..4, 1, 4))
            .await;
        assert!(next.epoch_complete(epoch(1), &vnodes(0..4)).await.unwrap());
        refused!(
            zombie.epoch_complete(epoch(1), &vnodes(0..4)).await,
            BackendError::StaleVersion { .. } | BackendError::SplitBrainCommit { .. }
        );
        for backend in [&zombie, &next, &place.open("third").await] {
            assert_holds(backend, &ALL, 1, 3).await;
        }
    });
}

/// Of many instances that ask at once exactly one seals; the others are told which.
pub fn o3_of_32_racing_sealers_one_wins(harness: &dyn BackendHarness) {
    let place = Place::new(harness);
    block_on(async {
        let mut sealers = Vec::new();
        for at in 0..32 {
            sealers.push(place.open(&format!("sealer-{at}")).await);
        }
        for number in 1..=length(20, 200) {
            let partials = partials(0..4, number, 1);
            sealers[0]
                .write_partials(epoch(number), OFF, partials)
                .await
                .unwrap();
            let asked: Vec<_> = sealers
                .iter()
                .map(|sealer| {
                    let sealer = Arc::clone(sealer);
                    tokio::spawn(async move { sealer.epoch_complete(epoch(number), &vnodes(0..4)).await })
                })
                .collect();
            let (mut winners, mut named) = (Vec::new(), Vec::new());
            for (at, answer) in asked.into_iter().enumerate() {
                match answer.await.unwrap() {
                    Ok(true) => winners.push(format!("sealer-{at}")),
                    Err(BackendError::SplitBrainCommit { committer, .. }) => {
                        named.push(committer.to_string());
                    }
                    other => panic!("sealer {at} of epoch {number} is told {other:?}"),
                }
            }
            assert_eq!(winners.len(), 1, "epoch {number} was sealed by {winners:?}");
            assert!(named.iter().all(|name| *name == winners[0]), "{named:?}");
        }
    });
}

/// Without a name no two handles are one instance.
pub fn o3_handles_without_a_name_are_different_instances(harness: &dyn BackendHarness) {
    let place = Place::new(harness);
    block_on(async {
        let nameless = || BackendOptions::default().vnodes(options("a").vnodes);
        let (one, other) = (
            place.try_open(nameless()).await.unwrap(),
            place.try_open(nameless()).await.unwrap(),
        );
        assert_ne!(one.instance(), other.instance());
    });
}
