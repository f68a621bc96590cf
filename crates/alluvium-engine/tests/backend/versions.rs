//! Fences, vnode counts and instances: what is stored of them, and what comes of it.

use alluvium_core::{BackendError, BackendOptions, InstanceId, StateBackend as _, VnodeCount};

use crate::support::{OFF, Probe, epoch, round, run, version, vnode};

#[test]
fn another_number_of_vnodes_is_refused_once_partials_are_used() {
    let probe = Probe::new();
    run(async {
        round(&probe.open(), 1, "a").await;
        let backend = probe.open_with(BackendOptions::default().vnodes(VnodeCount::new(8).unwrap()));
        let errors = [
            backend
                .write_partial(vnode(0), epoch(2), OFF, "b".into())
                .await
                .unwrap_err(),
            backend.read_partial(vnode(0), epoch(1)).await.unwrap_err(),
            backend.epoch_complete(epoch(1), &[vnode(0)]).await.unwrap_err(),
        ];
        for error in errors {
            let BackendError::Invalid(text) = &error else {
                panic!("{error:?}")
            };
            assert!(text.contains("of 4 vnodes") && text.contains('8'), "{text}");
        }
    });
}

#[test]
fn a_fence_alone_fixes_no_number_of_vnodes() {
    let probe = Probe::new();
    run(async {
        probe.open().fence(version(3)).await.unwrap();
        let backend = probe.open_with(BackendOptions::default().vnodes(VnodeCount::new(8).unwrap()));
        assert_eq!(backend.authoritative_version(), version(3));
        let write = backend.write_partial(vnode(7), epoch(1), version(3), "a".into());
        write.await.unwrap();
    });
}

#[test]
fn raising_the_fence_to_nothing_stores_nothing() {
    let probe = Probe::new();
    run(async {
        probe.open().fence(OFF).await.unwrap();
        assert!(probe.names().is_empty());
    });
}

/// The last write wins, but not that of somebody who was replaced, even if nobody has raised the fence yet.
#[test]
fn a_partial_is_not_replaced_by_one_of_a_lower_version() {
    let probe = Probe::new();
    run(async {
        let backend = probe.open();
        let write = async |at: u64, v: u64, bytes: &'static str| {
            let partials = vec![(vnode(0), bytes.into()), (vnode(1), bytes.into())];
            backend.write_partials(epoch(at), version(v), partials).await
        };
        write(1, 5, "a").await.unwrap();
        let error = write(1, 4, "b").await.unwrap_err();
        assert!(
            matches!(error, BackendError::StaleVersion { caller, authoritative } if (caller, authoritative) == (version(4), version(5))),
            "{error}"
        );
        assert_eq!(
            backend.read_partial(vnode(0), epoch(1)).await.unwrap().unwrap(),
            "a"
        );
        write(2, 4, "c").await.unwrap();
        write(1, 5, "d").await.unwrap();
        write(1, 6, "e").await.unwrap();
        assert_eq!(
            backend.read_partial(vnode(1), epoch(1)).await.unwrap().unwrap(),
            "e"
        );
        write(1, 0, "f").await.unwrap();
        assert_eq!(
            backend.read_partial(vnode(1), epoch(1)).await.unwrap().unwrap(),
            "f"
        );
    });
}

#[test]
fn a_raised_fence_hides_what_is_below_it_until_it_is_written_again() {
    let probe = Probe::new();
    run(async {
        let backend = probe.open();
        let write = async |v: u64| {
            let write = backend.write_partial(vnode(0), epoch(1), version(v), "a".into());
            write.await.unwrap();
        };
        write(1).await;
        backend.fence(version(2)).await.unwrap();
        assert_eq!(backend.read_partial(vnode(0), epoch(1)).await.unwrap(), None);
        assert!(!backend.epoch_complete(epoch(1), &[vnode(0)]).await.unwrap());
        write(2).await;
        assert!(backend.epoch_complete(epoch(1), &[vnode(0)]).await.unwrap());
        backend.fence(version(3)).await.unwrap();
        let sealed = backend.read_partial(vnode(0), epoch(1)).await.unwrap();
        assert_eq!(sealed.unwrap(), "a", "what is sealed stays");
    });
}

#[test]
fn the_owner_is_local_unless_it_is_given_a_name() {
    let probe = Probe::new();
    run(async {
        let backend = probe.open();
        assert_eq!(backend.instance().as_str(), "local");
        round(&backend, 1, "a").await;
        drop(backend);
        let options = BackendOptions::default().vnodes(VnodeCount::new(4).unwrap());
        let named = probe.open_with(options.instance(InstanceId::new("b").unwrap()));
        let error = named.epoch_complete(epoch(1), &[vnode(0)]).await.unwrap_err();
        assert!(
            matches!(&error, BackendError::SplitBrainCommit { committer, .. } if committer.as_str() == "local"),
            "{error}"
        );
    });
}
