//! What a recovery asks of operators and sources, in which order, and what it makes of their errors. What it makes of
//! damage in the store is in `recovery_matrix`.

mod parts;
mod place;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use alluvium_core::checkpoint::{Mismatch, SourceState};
use alluvium_core::{Epoch, ErrorKind};
use alluvium_runtime::{RecoveredFrom, Recovery, RecoveryError, Seekable, SourceMismatch};
use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use object_store::throttle::{ThrottleConfig, ThrottledStore};

use crate::parts::{Manner, taken};
use crate::place::{Files, Place, checkpointer, delta, file, snapshot};

#[tokio::test]
async fn everybody_is_asked_in_order() {
    let place = Place::new();
    let position = SourceState::from(file(7));
    let base = [
        ("a", vec![snapshot("x"), snapshot("")]),
        ("b", vec![snapshot("p")]),
    ];
    let base = place.save(1, None, &base, &[("in", position.clone())]).await;
    // Nothing changed in one partition, and the other operator is new from the ground up.
    let next = [("a", vec![delta("y"), delta("")]), ("b", vec![snapshot("q")])];
    let next = place.save(2, Some(base), &next, &[("in", position)]).await;

    let (mut a, mut b, mut source) = (place.operator("a", 2), place.operator("b", 1), place.source("in"));
    let recovery = place.recovery().concurrency(NonZeroUsize::MIN);
    // Wherever it is run.
    let (recovered, a, b) = tokio::spawn(async move {
        let recovered = recovery.run(&mut [&mut a, &mut b], &mut [&mut source]).await;
        (recovered.unwrap(), a, b)
    })
    .await
    .unwrap();
    let from = RecoveredFrom::Checkpoint {
        id: next,
        epoch: Epoch::new(2).unwrap(),
        watermark_ms: None,
    };
    assert_eq!((recovered.from, recovered.next_epoch.get()), (from, 3));
    assert_eq!(
        a.state,
        BTreeMap::from([(0, "xy".to_owned()), (1, String::new())])
    );
    assert_eq!(b.state, BTreeMap::from([(0, "q".to_owned())]));

    let calls = taken(&place.calls);
    let of = |name: &str| -> Vec<String> {
        let of_it = calls.iter().filter_map(|call| call.strip_prefix(name));
        of_it.map(str::to_owned).collect()
    };
    assert_eq!(of("a "), ["reset", "restore 0", "delta 0", "restore 1"]);
    assert_eq!(of("b "), ["reset", "restore 0"]);
    assert_eq!(calls.last().unwrap(), "in seek 7");
    let restored = recovered.report.restored.unwrap();
    assert_eq!(
        (
            restored.chain,
            restored.partitions,
            restored.files,
            restored.bytes
        ),
        (2, 3, 5, 3)
    );
}

#[tokio::test]
async fn operators_that_do_not_fit_are_told_all_at_once() {
    let place = Place::new();
    let saved = [
        ("more", vec![snapshot("x"), snapshot("y")]),
        ("old", vec![snapshot("z")]),
    ];
    let id = place.save(1, None, &saved, &[]).await;
    let (mut more, mut new) = (place.operator("more", 3), place.operator("new", 1));
    let error = place
        .recovery()
        .run(&mut [&mut more, &mut new], &mut [])
        .await
        .unwrap_err();
    let RecoveryError::Operators {
        checkpoint,
        mismatches,
        ..
    } = &error
    else {
        panic!("{error}")
    };
    assert_eq!((*checkpoint, mismatches.len()), (id, 3), "{mismatches:?}");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    for name in ["more", "old", "new"] {
        assert!(error.to_string().contains(&format!("{name:?}")), "{error}");
    }
    assert_eq!(taken(&place.calls), ["more reset", "new reset"]);

    // What may differ does not: a number of partitions still does.
    let allowing = place.recovery().allow_missing(true).allow_unknown(true);
    let error = allowing
        .run(&mut [&mut more, &mut new], &mut [])
        .await
        .unwrap_err();
    assert!(
        matches!(&error, RecoveryError::Operators { mismatches, .. } if matches!(mismatches[..], [Mismatch::Partitions { .. }])),
        "{error}"
    );
    let mut fits = place.operator("more", 2);
    let recovered = allowing.run(&mut [&mut fits, &mut new], &mut []).await.unwrap();
    assert_eq!(recovered.report.restored.unwrap().partitions, 2);
    assert_eq!((fits.state.len(), new.state.len()), (2, 0));
    for recovery in [
        allowing.clone().allow_missing(false),
        allowing.allow_unknown(false),
    ] {
        let refused = recovery.run(&mut [&mut fits, &mut new], &mut []).await;
        assert!(
            matches!(&refused, Err(RecoveryError::Operators { mismatches, .. }) if mismatches.len() == 1),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn sources_that_do_not_fit_are_told_all_at_once() {
    let place = Place::new();
    let unreadable = SourceState::new("file", BTreeMap::new());
    let positions = [
        ("fits", SourceState::from(file(1))),
        ("gone", SourceState::from(file(2))),
        ("unreadable", unreadable),
        ("unknown", SourceState::from(file(3))),
    ];
    place
        .save(1, None, &[("op", vec![snapshot("x")])], &positions)
        .await;
    let mut op = place.operator("op", 1);
    let [mut fits, mut gone, mut unreadable, mut missing] =
        ["fits", "gone", "unreadable", "missing"].map(|name| place.source(name));
    gone.can_seek = false;
    let sources: &mut [&mut dyn Seekable] = &mut [&mut fits, &mut gone, &mut unreadable, &mut missing];
    let error = place.recovery().run(&mut [&mut op], sources).await.unwrap_err();
    let RecoveryError::Sources { mismatches, .. } = &error else {
        panic!("{error}")
    };
    let text = str::to_owned;
    assert_eq!(mismatches.len(), 4, "{mismatches:?}");
    for expected in [
        SourceMismatch::Gone {
            source: text("gone"),
            position: file(2),
        },
        SourceMismatch::Missing {
            source: text("missing"),
        },
        SourceMismatch::Unknown {
            source: text("unknown"),
        },
    ] {
        assert!(mismatches.contains(&expected), "{expected:?}");
    }
    for told in [
        "byte 2 of orders.log",
        "nothing for its path",
        "\"missing\"",
        "\"unknown\"",
    ] {
        assert!(error.to_string().contains(told), "{error}");
    }
    // Before anything was loaded.
    assert_eq!(taken(&place.calls), ["op reset"]);

    let allowing = place.recovery().allow_missing(true).allow_unknown(true);
    let sources: &mut [&mut dyn Seekable] = &mut [&mut fits, &mut missing];
    allowing.run(&mut [&mut op], sources).await.unwrap();
    assert_eq!(taken(&place.calls), ["op reset", "op restore 0", "fits seek 1"]);
}

#[tokio::test]
async fn an_operator_that_fails_ends_the_recovery() {
    let place = Place::new();
    place.save_op(1, "older").await;
    place.save_op(2, "newer").await;
    let mut op = place.operator("op", 1).manner(Manner::Fails);
    let error = place.recovery().run(&mut [&mut op], &mut []).await.unwrap_err();
    assert!(
        matches!(&error, RecoveryError::Operator { operator, .. } if operator == "op"),
        "{error}"
    );
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(!error.to_string().contains("out of room"), "told twice: {error}");
    assert!(
        std::error::Error::source(&error)
            .unwrap()
            .to_string()
            .contains("out of room")
    );
    assert_eq!(taken(&place.calls), ["op reset", "op restore 0", "op reset"]);
    assert_eq!(op.state, BTreeMap::new());
}

/// Longer than what is loaded ahead, so that it is streamed, and damaged at its end.
#[tokio::test]
async fn damage_is_damage_whatever_the_operator_makes_of_it() {
    let place = Place::new();
    let older = place.save_op(1, "older").await;
    let newer = place.save_op(2, &"x".repeat(17 << 20)).await;
    for manner in [
        Manner::Sound,
        Manner::Decodes,
        Manner::LeavesTheRest,
        Manner::Ignores,
    ] {
        let mut op = place.operator("op", 1).manner(manner);
        let recovered = place.recovery().run(&mut [&mut op], &mut []).await.unwrap();
        assert_eq!(recovered.report.restored.unwrap().checkpoint, newer, "{manner:?}");
    }
    place.damage_op(newer).await;
    for manner in [
        Manner::Sound,
        Manner::Decodes,
        Manner::LeavesTheRest,
        Manner::Ignores,
    ] {
        let mut op = place.operator("op", 1).manner(manner);
        let recovered = place.recovery().run(&mut [&mut op], &mut []).await;
        let report = recovered
            .unwrap_or_else(|error| panic!("{manner:?}: {error}"))
            .report;
        assert_eq!(report.restored.unwrap().checkpoint, older, "{manner:?}");
        assert_eq!(report.skipped[0].checkpoint, newer, "{manner:?}");
        assert_eq!(op.state, BTreeMap::from([(0, "older".to_owned())]), "{manner:?}");
    }
}

#[tokio::test]
async fn it_goes_back_no_further_than_it_may() {
    let place = Place::new();
    let mut ids = Vec::new();
    for epoch in 1..=5 {
        ids.push(place.save_op(epoch, "state").await);
    }
    for id in &ids[1..] {
        place.damage_op(*id).await;
    }
    let mut op = place.operator("op", 1);
    let error = place.recovery().run(&mut [&mut op], &mut []).await.unwrap_err();
    assert!(
        matches!(&error, RecoveryError::TooFar { fall_backs: 3, .. }),
        "{error}"
    );
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let report = error.report().unwrap();
    assert_eq!((report.skipped.len(), &report.untried[..]), (4, &ids[..1]));
    assert_eq!(op.state, BTreeMap::new());

    let recovered = place
        .recovery()
        .fall_backs(4)
        .run(&mut [&mut op], &mut [])
        .await
        .unwrap();
    assert_eq!(recovered.report.restored.unwrap().checkpoint, ids[0]);
    // The damaged ones are not forgotten: what comes next comes after them, whoever tells of them.
    assert_eq!(recovered.next_epoch.get(), 6);
    place.store.delete(&Path::from("_latest")).await.unwrap();
    let recovery = place.recovery().fall_backs(4);
    let recovered = recovery.run(&mut [&mut op], &mut []).await.unwrap();
    assert_eq!(recovered.next_epoch.get(), 6);
    assert_eq!(op.state.len(), 1);
}

/// What `_latest` names was there once: what is listed is older, and that is told.
#[tokio::test]
async fn a_pointer_to_nothing_is_a_step_back() {
    let place = Place::new();
    let older = place.save_op(1, "older").await;
    let newer = place.save_op(2, "newer").await;
    let manifest = Path::parse(format!("{newer}/manifest.json")).unwrap();
    place.store.delete(&manifest).await.unwrap();
    let mut op = place.operator("op", 1);
    let staying = place.recovery().fall_backs(0);
    let error = staying.run(&mut [&mut op], &mut []).await.unwrap_err();
    assert!(matches!(error, RecoveryError::TooFar { .. }), "{error}");
    assert!(error.to_string().contains(manifest.as_ref()), "{error}");

    let recovery = place.recovery().fall_backs(1);
    let recovered = recovery.run(&mut [&mut op], &mut []).await.unwrap();
    assert_eq!(recovered.report.skipped[0].checkpoint, newer);
    assert_eq!(recovered.report.restored.unwrap().checkpoint, older);
    assert_eq!(recovered.next_epoch.get(), 3);
}

#[tokio::test]
async fn a_newer_version_is_not_damage() {
    let place = Place::new();
    place.save_op(1, "older").await;
    let newer = place.save_op(2, "newer").await;
    let path = Path::parse(format!("{newer}/manifest.json")).unwrap();
    place.store.put(&path, r#"{"version":99}"#.into()).await.unwrap();
    let mut op = place.operator("op", 1);
    let error = place.recovery().run(&mut [&mut op], &mut []).await.unwrap_err();
    assert!(matches!(error, RecoveryError::Stopped { .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(op.state, BTreeMap::new());
}

#[tokio::test]
async fn a_source_that_cannot_go_on_leaves_no_state() {
    let place = Place::new();
    place
        .save(1, None, &[("op", vec![snapshot("x")])], &[("in", file(1).into())])
        .await;
    let (mut op, mut source) = (place.operator("op", 1), place.source("in"));
    source.fails = true;
    let error = place
        .recovery()
        .run(&mut [&mut op], &mut [&mut source])
        .await
        .unwrap_err();
    assert!(
        matches!(&error, RecoveryError::Source { name, .. } if name == "in"),
        "{error}"
    );
    assert_eq!(
        taken(&place.calls),
        ["op reset", "op restore 0", "in seek 1", "op reset"]
    );
    assert_eq!(op.state, BTreeMap::new());
}

#[tokio::test]
async fn an_operator_that_cannot_be_reset_is_told_with_what_came_before() {
    let place = Place::new();
    place.save_op(1, "state").await;
    let (mut op, mut other) = (
        place.operator("op", 1).manner(Manner::CannotReset),
        place.operator("other", 1),
    );
    let error = place
        .recovery()
        .run(&mut [&mut op, &mut other], &mut [])
        .await
        .unwrap_err();
    let RecoveryError::NotReset { operator, after, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(operator, "op");
    assert!(matches!(**after, RecoveryError::Operators { .. }), "{after}");
    // The other one was, all the same.
    assert_eq!(taken(&place.calls), ["op reset", "other reset"]);
}

#[tokio::test(start_paused = true)]
async fn an_operator_that_hangs_ends_with_the_time() {
    let place = Place::new();
    place.save_op(1, "state").await;
    let mut op = place.operator("op", 1).manner(Manner::Hangs);
    let recovery = place.recovery().timeout(Duration::from_mins(1));
    let error = recovery.run(&mut [&mut op], &mut []).await.unwrap_err();
    assert!(matches!(error, RecoveryError::TimedOut { .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Transient);
    assert!(error.report().unwrap().latest.is_some(), "what was found is told");
    assert_eq!(taken(&place.calls).last().unwrap(), "op reset");
}

#[tokio::test]
async fn two_of_one_name_are_refused() {
    let place = Place::new();
    let (mut one, mut two) = (place.operator("op", 1), place.operator("op", 1));
    let refused = place.recovery().run(&mut [&mut one, &mut two], &mut []).await;
    assert!(matches!(refused, Err(RecoveryError::Invalid(_))), "{refused:?}");
    let (mut one, mut two) = (place.source("in"), place.source("in"));
    let refused = place.recovery().run(&mut [], &mut [&mut one, &mut two]).await;
    assert!(matches!(refused, Err(RecoveryError::Invalid(_))), "{refused:?}");
    // An operator and a source are different things.
    let (mut operator, mut source) = (place.operator("op", 1), place.source("op"));
    place
        .recovery()
        .run(&mut [&mut operator], &mut [&mut source])
        .await
        .unwrap();
}

/// Each request takes a second of a clock that stands still otherwise, so that the time tells how many went side by side.
#[tokio::test(start_paused = true)]
async fn so_many_files_are_loaded_at_a_time() {
    let place = Place::new();
    let partitions = 12;
    let files: Files = (0..partitions).map(|_| snapshot("x")).collect();
    place
        .save(1, None, &[("a", files.clone()), ("b", files)], &[])
        .await;
    let config = ThrottleConfig {
        wait_get_per_call: Duration::from_secs(1),
        ..ThrottleConfig::default()
    };
    let slow = checkpointer(Arc::new(ThrottledStore::new(place.store.fork(), config)));
    let mut took = Vec::new();
    for concurrency in [1, 4, 8, 24] {
        let (mut a, mut b) = (place.operator("a", partitions), place.operator("b", partitions));
        let recovery = Recovery::new(slow.clone()).concurrency(NonZeroUsize::new(concurrency).unwrap());
        let begun = tokio::time::Instant::now();
        recovery.run(&mut [&mut a, &mut b], &mut []).await.unwrap();
        took.push(begun.elapsed().as_secs());
        assert_eq!((a.state.len(), b.state.len()), (12, 12));
    }
    // `_latest` twice, and the manifest; then 24 files.
    assert_eq!(took, [3 + 24, 3 + 6, 3 + 3, 3 + 1]);
}
