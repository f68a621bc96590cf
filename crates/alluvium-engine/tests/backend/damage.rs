//! What is damaged or gone is named, whichever pair it is.

use std::sync::Arc;

use alluvium_core::{BackendError, BackendOptions, StateBackend as _};
use alluvium_engine::{Engine, EngineBackend};

use crate::support::{OFF, Probe, epoch, round, run, vnode};

fn location(error: &BackendError) -> &str {
    match error {
        BackendError::Corrupt { location, .. } | BackendError::Missing { location, .. } => location,
        other => panic!("{other:?}"),
    }
}

#[test]
fn bytes_that_are_gone_or_others_are_told_with_their_place() {
    let probe = Probe::new();
    run(async {
        let backend = probe.open();
        round(&backend, 1, "sealed").await;
        let write = backend.write_partial(vnode(3), epoch(2), OFF, "open".into());
        write.await.unwrap();
        for ((key, _), (at, of)) in probe
            .pairs("partials.1")
            .iter()
            .zip([(1, vnode(0)), (2, vnode(3))])
        {
            for other in [&b"SEALED"[..], b"OPEN", b""] {
                probe.put("partials.1", key, other);
                let error = backend.read_partial(of, epoch(at)).await.unwrap_err();
                assert!(matches!(error, BackendError::Corrupt { .. }), "{error:?}");
                let place = format!("space partials.1, epoch {at}, vnode {of} in the probe engine");
                assert_eq!(location(&error), place);
            }
            probe.remove("partials.1", key);
            let error = backend.read_partial(of, epoch(at)).await.unwrap_err();
            assert_eq!(
                matches!(error, BackendError::Missing { .. }),
                at == 1,
                "{error:?}"
            );
        }
    });
}

#[test]
fn a_run_that_is_gone_is_told() {
    let probe = Probe::new();
    run(async {
        let backend = probe.open();
        round(&backend, 1, "a").await;
        probe.drop_space("partials.1").unwrap();
        for backend in [backend, probe.open()] {
            let error = backend.read_partial(vnode(0), epoch(1)).await.unwrap_err();
            assert!(matches!(error, BackendError::Missing { .. }), "{error:?}");
        }
    });
}

#[test]
fn a_damaged_record_is_told_with_its_key() {
    let probe = Probe::new();
    run(async {
        let backend = probe.open();
        let write = backend.write_partial(vnode(0), epoch(1), OFF, "a".into());
        write.await.unwrap();
        round(&backend, 2, "b").await;
        drop(backend);
        let pairs = probe.pairs("partials");
        assert_eq!(pairs.len(), 4);
        for (key, value) in &pairs {
            probe.put("partials", key, &value[..value.len() - 1]);
            let error = match EngineBackend::open(
                Arc::clone(&probe) as Arc<dyn Engine>,
                BackendOptions::default().vnodes(4.try_into().unwrap()),
            ) {
                Err(error) => error,
                Ok(backend) => {
                    // The record of a sealed partial is not needed any more: its seal has it too.
                    let read = |at| backend.read_partial(vnode(0), epoch(at));
                    match (read(1).await, read(2).await) {
                        (Err(error), _) | (_, Err(error)) => error,
                        _ if key[0] == 2 => {
                            probe.put("partials", key, value);
                            continue;
                        }
                        both => panic!("{both:?}"),
                    }
                }
            };
            assert!(matches!(error, BackendError::Corrupt { .. }), "{error:?}");
            let place = format!("space partials, key {} in the probe engine", key.escape_ascii());
            assert_eq!(location(&error), place);
            probe.put("partials", key, value);
        }
    });
}

/// With it the fence would be gone.
#[test]
fn a_head_that_is_gone_is_told() {
    let probe = Probe::new();
    run(async {
        round(&probe.open(), 1, "a").await;
        probe.remove("partials", b"\x00head");
        let opened = EngineBackend::open(Arc::clone(&probe) as Arc<dyn Engine>, BackendOptions::default());
        assert!(location(&opened.err().unwrap()).contains("head"));
    });
}
