//! Runs are dropped when their last epoch was pruned, and a prune that was cut short is finished.

use alluvium_core::{BackendError, Epoch, StateBackend as _};

use crate::support::{Probe, epoch, round, run, vnode};

const MIB: usize = 1 << 20;

fn runs(probe: &Probe) -> Vec<String> {
    let mut names = probe.names();
    names.retain(|name| name != "partials");
    names
}

#[test]
fn epochs_share_a_space_until_it_is_full() {
    let probe = Probe::new();
    run(async {
        let backend = probe.open();
        for at in 1..=9 {
            round(&backend, at, vec![0; 3 * MIB]).await;
        }
        assert_eq!(runs(&probe), ["partials.1", "partials.5", "partials.9"]);
        for at in 1..=9 {
            assert!(backend.read_partial(vnode(0), epoch(at)).await.unwrap().is_some());
        }
    });
}

#[test]
fn a_space_goes_when_its_last_epoch_was_pruned() {
    let probe = Probe::new();
    run(async {
        let backend = probe.open();
        for at in 1..=9 {
            round(&backend, at, vec![0; 3 * MIB]).await;
        }
        assert_eq!(backend.prune_before(epoch(4)).await.unwrap(), 3);
        assert_eq!(runs(&probe), ["partials.1", "partials.5", "partials.9"]);
        assert_eq!(backend.prune_before(epoch(7)).await.unwrap(), 3);
        assert_eq!(runs(&probe), ["partials.5", "partials.9"]);
        assert_eq!(backend.prune_before(Epoch::LAST).await.unwrap(), 3);
        assert!(runs(&probe).is_empty());
        assert_eq!(probe.pairs("partials").len(), 1, "nothing but the head");
        assert_eq!(backend.prune_before(Epoch::LAST).await.unwrap(), 0);
    });
}

/// The space of the first run was dropped, and an epoch may be written again below those that once were.
#[test]
fn after_everything_was_pruned_epochs_are_written_again() {
    let probe = Probe::new();
    run(async {
        let backend = probe.open();
        round(&backend, 1, "a").await;
        backend.prune_before(epoch(5)).await.unwrap();
        for at in [9, 5, 7] {
            round(&backend, at, "b").await;
        }
        assert_eq!(runs(&probe), ["partials.5"]);
        drop(backend);
        let backend = probe.open();
        for at in [5, 7, 9] {
            let read = backend.read_partial(vnode(0), epoch(at)).await.unwrap();
            assert_eq!(read.as_deref(), Some(&b"b"[..]));
        }
        assert_eq!(backend.latest_complete().await.unwrap(), Some(epoch(9)));
    });
}

#[test]
fn what_could_not_be_dropped_is_told_and_dropped_the_next_time() {
    let probe = Probe::new();
    run(async {
        let backend = probe.open();
        for at in 1..=9 {
            round(&backend, at, vec![0; 3 * MIB]).await;
        }
        probe.let_drops_succeed(0);
        let error = backend.prune_before(epoch(9)).await.unwrap_err();
        assert!(
            matches!(
                &error,
                BackendError::PruneIncomplete {
                    failed: 2,
                    found: 2,
                    ..
                }
            ),
            "{error:?}"
        );
        assert_eq!(backend.read_partial(vnode(0), epoch(8)).await.unwrap(), None);
        let kept = backend.read_partial(vnode(0), epoch(9)).await.unwrap();
        assert!(kept.is_some());
        probe.let_drops_succeed(u64::MAX);
        assert_eq!(backend.prune_before(epoch(9)).await.unwrap(), 0);
        assert_eq!(runs(&probe), ["partials.9"]);
    });
}

/// A kill between the commit that raises the floor and the drop of the last run, as a failed drop leaves it.
#[test]
fn a_prune_that_was_killed_is_finished_by_the_next_open() {
    let probe = Probe::new();
    run(async {
        let backend = probe.open();
        for at in 1..=9 {
            round(&backend, at, vec![0; 3 * MIB]).await;
        }
        probe.let_drops_succeed(1);
        assert!(backend.prune_before(epoch(9)).await.is_err());
        assert_eq!(runs(&probe), ["partials.5", "partials.9"]);
        drop(backend);
        probe.let_drops_succeed(u64::MAX);
        let backend = probe.open();
        assert_eq!(runs(&probe), ["partials.9"]);
        assert_eq!(backend.latest_complete().await.unwrap(), Some(epoch(9)));
    });
}

/// A kill between two commits of a prune of very many partials: records are left below the floor.
#[test]
fn records_below_the_floor_are_removed_by_the_next_open() {
    let probe = Probe::new();
    run(async {
        let backend = probe.open();
        round(&backend, 1, "a").await;
        let below = probe.pairs("partials");
        round(&backend, 2, "b").await;
        backend.prune_before(epoch(2)).await.unwrap();
        let swept = probe.pairs("partials");
        drop(backend);
        for (key, value) in below.iter().filter(|(key, _)| key[0] != 0) {
            probe.put("partials", key, value);
        }
        let backend = probe.open();
        assert_eq!(probe.pairs("partials"), swept);
        assert_eq!(backend.latest_complete().await.unwrap(), Some(epoch(2)));
    });
}
