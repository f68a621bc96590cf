//! A write that was cut short at any of its commits has not happened, and what it left is in nobody's way.

use alluvium_core::{AssignmentVersion, BackendError, ErrorKind, StateBackend as _, Vnode};
use alluvium_engine::EngineBackend;
use bytes::Bytes;

use crate::support::{OFF, Probe, epoch, run, vnode};

/// Small, in one commit; and so large that the bytes have a commit of their own.
const SIZES: [usize; 2] = [10, 2 << 20];

fn both(byte: u8, size: usize) -> Vec<(Vnode, Bytes)> {
    [0, 3]
        .map(|number| (vnode(number), vec![byte; size].into()))
        .into()
}

async fn first_bytes(backend: &EngineBackend) -> [Option<u8>; 2] {
    let mut found = [None; 2];
    for (found, number) in found.iter_mut().zip([0, 3]) {
        let read = backend.read_partial(vnode(number), epoch(1)).await.unwrap();
        *found = read.map(|bytes| bytes[0]);
    }
    found
}

#[test]
fn a_write_that_was_cut_short_has_not_happened() {
    run(async {
        for (size, commits) in SIZES.into_iter().zip([1, 2]) {
            for cut in 0..commits {
                let probe = Probe::new();
                let mut backend = probe.open();
                let mut last = None;
                // The first write and two that replace, each cut short once.
                for byte in [b'a', b'b', b'c'] {
                    probe.let_commits_succeed(cut);
                    let error = backend
                        .write_partials(epoch(1), OFF, both(byte, size))
                        .await
                        .unwrap_err();
                    assert!(matches!(error, BackendError::Storage { .. }), "{error:?}");
                    assert_eq!(error.kind(), ErrorKind::Unavailable);
                    assert_eq!(
                        first_bytes(&backend).await,
                        [last; 2],
                        "{size} bytes, {cut} commits"
                    );
                    probe.let_commits_succeed(u64::MAX);
                    backend = probe.open();
                    assert_eq!(
                        first_bytes(&backend).await,
                        [last; 2],
                        "{size} bytes, {cut} commits"
                    );
                    backend
                        .write_partials(epoch(1), OFF, both(byte, size))
                        .await
                        .unwrap();
                    last = Some(byte);
                    assert_eq!(first_bytes(&backend).await, [last; 2]);
                    assert_eq!(
                        probe.pairs("partials.1").len(),
                        2,
                        "nothing is left of what was cut short"
                    );
                }
            }
        }
    });
}

#[test]
fn a_large_write_is_there_after_exactly_two_commits_and_a_small_one_after_one() {
    run(async {
        for (size, commits) in SIZES.into_iter().zip([1, 2]) {
            let probe = Probe::new();
            let backend = probe.open();
            probe.let_commits_succeed(commits);
            let write = backend.write_partials(epoch(1), AssignmentVersion::OFF, both(b'a', size));
            write.await.unwrap();
            assert_eq!(first_bytes(&backend).await, [Some(b'a'); 2]);
            assert!(backend.epoch_complete(epoch(1), &[vnode(0)]).await.is_err());
            assert_eq!(backend.latest_complete().await.unwrap(), None);
        }
    });
}
