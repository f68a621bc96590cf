//! Tables beside partials.

use std::sync::Arc;

use alluvium_core::{
    BackendError, BackendOptions, Change, Cursor, LogIdentity, Sequence, StateBackend as _, Timestamp,
    VnodeCount,
};

use crate::support::{OFF, Probe, epoch, run, vnode};

#[test]
fn who_keeps_only_tables_never_meets_a_partial() {
    let probe = Probe::new();
    run(async {
        for vnodes in [4, 8] {
            let backend = probe.open_with(BackendOptions::default().vnodes(VnodeCount::new(vnodes).unwrap()));
            backend.open_table("routes").await.unwrap();
            assert_eq!(backend.latest_complete().await.unwrap(), None);
            assert_eq!(backend.read_partial(vnode(0), epoch(1)).await.unwrap(), None);
            assert!(!backend.epoch_complete(epoch(1), &[vnode(0)]).await.unwrap());
        }
        assert_eq!(probe.names(), ["table.routes.0"]);
    });
}

#[test]
fn an_open_table_is_given_again_and_a_closed_one_is_opened_anew() {
    let probe = Probe::new();
    run(async {
        let backend = probe.open();
        let one = backend.open_table("routes").await.unwrap();
        let again = backend.open_table("routes").await.unwrap();
        assert!(Arc::ptr_eq(&one, &again));
        let log = LogIdentity::new("KV_routes", Timestamp::from_nanos(1));
        let cursor = Cursor::start_of(log).at(Sequence::new(1), Timestamp::from_nanos(2));
        let change = Change::put("eu", "10.0.0.1", cursor.sequence, cursor.timestamp);
        one.apply(&[change], &cursor).unwrap();
        assert_eq!(again.cursor(), Some(cursor.clone()));
        drop((one, again));
        let anew = backend.open_table("routes").await.unwrap();
        assert_eq!(anew.cursor(), Some(cursor));
        let error = backend.open_table("a/b").await.err().unwrap();
        assert!(matches!(error, BackendError::Table(_)), "{error}");
    });
}

#[test]
fn everything_fails_after_a_close_but_another_close() {
    let probe = Probe::new();
    run(async {
        let backend = probe.open();
        let _held = backend.open_table("routes").await.unwrap();
        backend.close().await.unwrap();
        backend.close().await.unwrap();
        assert!(backend.open_table("routes").await.is_err());
        assert!(
            backend
                .write_partial(vnode(0), epoch(1), OFF, "a".into())
                .await
                .is_err()
        );
        assert!(backend.read_partial(vnode(0), epoch(1)).await.is_err());
        assert!(backend.epoch_complete(epoch(1), &[vnode(0)]).await.is_err());
        assert!(backend.prune_before(epoch(1)).await.is_err());
        assert!(backend.fence(OFF).await.is_err());
        assert!(backend.latest_complete().await.is_err());
    });
}

#[test]
fn without_a_runtime_it_says_so() {
    let probe = Probe::new();
    let backend = probe.open();
    let mut latest = backend.latest_complete();
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(Err(error)) = latest.as_mut().poll(&mut context) else {
        panic!("neither waits nor has anything to give");
    };
    assert!(
        matches!(&error, BackendError::Invalid(text) if text.contains("tokio")),
        "{error}"
    );
}
