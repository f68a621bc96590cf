//! Obligation 9: one owner; and what is left after a close.

use alluvium_core::KeyRange;
use alluvium_engine::{EngineError, StateDir, StateDirError, WriteBatch};

use crate::EngineHarness;
use crate::process::no_process_starts;
use crate::support::{OpenEngine, refused};

/// A second open is refused while the first lives, and does it no harm.
pub fn o9_a_second_open_is_refused_while_the_first_lives(harness: &dyn EngineHarness) {
    let mut engine = OpenEngine::new(harness);
    for round in 0..3_u8 {
        engine.put("a", b"key", &[round]);
        for _ in 0..3 {
            refused!(
                harness.open(&engine.path()),
                EngineError::StateDir(StateDirError::Locked { .. })
            );
        }
        assert_eq!(engine.value("a", b"key"), Some(vec![round]));
        engine.put("a", b"other", &[round]);
        engine.reopen();
        assert_eq!(engine.value("a", b"other"), Some(vec![round]));
    }
}

/// The directory can be opened again as soon as a close has returned, though handles, snapshots and scans of the old
/// engine live on. They say that it is closed, or go on with what they had, and never anything else.
pub fn o9_a_close_lets_go_at_once(harness: &dyn EngineHarness) {
    let engine = OpenEngine::new(harness);
    let space = engine.space("a").unwrap();
    for number in 0..1_000_u32 {
        engine.put("a", &number.to_be_bytes(), b"value");
    }
    let snapshot = engine.snapshot().unwrap();
    let mut scan = snapshot.scan(space, &KeyRange::all()).unwrap();
    scan.next().unwrap().unwrap();
    let again = {
        let _no_process_starts = no_process_starts();
        engine.close().unwrap();
        harness.open(&engine.path()).unwrap()
    };
    match snapshot.get(space, &0_u32.to_be_bytes()) {
        Ok(value) => assert_eq!(value.as_deref(), Some(&b"value"[..])),
        Err(error) => assert!(matches!(error, EngineError::Closed), "{error:?}"),
    }
    let rest: Vec<_> = scan.collect();
    match rest.last() {
        Some(Err(error)) => assert!(matches!(error, EngineError::Closed), "{error:?}"),
        _ => assert_eq!(rest.len(), 999, "a scan that was cut off says so"),
    }
    drop(snapshot);
    let space = again.space("a").unwrap();
    assert_eq!(
        again.get(space, &7_u32.to_be_bytes()).unwrap().as_deref(),
        Some(&b"value"[..])
    );
    let mut batch = WriteBatch::default();
    batch.put(space, "key", "new");
    again.commit(batch).unwrap();
    refused!(engine.get(space, b"key"), EngineError::Closed);
}

/// Dropping the last handle lets go of the directory too.
pub fn o9_a_drop_lets_go_at_once(harness: &dyn EngineHarness) {
    let mut engine = OpenEngine::new(harness);
    for number in 0..5_u8 {
        engine.put("a", b"key", &[number]);
        let beside = engine.handle();
        refused!(
            harness.open(&engine.path()),
            EngineError::StateDir(StateDirError::Locked { .. })
        );
        drop(beside);
        engine.drop_and_reopen();
        assert_eq!(engine.value("a", b"key"), Some(vec![number]));
    }
}

/// After a close every method says so, and a second close is fine.
pub fn o9_a_closed_engine_says_so(harness: &dyn EngineHarness) {
    let engine = OpenEngine::new(harness);
    engine.put("a", b"key", b"value");
    let space = engine.space("a").unwrap();
    engine.close().unwrap();
    refused!(engine.space("a"), EngineError::Closed);
    refused!(engine.space("new"), EngineError::Closed);
    refused!(engine.spaces(), EngineError::Closed);
    refused!(engine.drop_space("a"), EngineError::Closed);
    let mut batch = WriteBatch::default();
    batch.put(space, "key", "later");
    refused!(engine.commit(batch), EngineError::Closed);
    refused!(engine.get(space, b"key"), EngineError::Closed);
    refused!(engine.snapshot(), EngineError::Closed);
    let mut pairs = std::iter::once(Ok(("key".into(), "value".into())));
    refused!(engine.ingest("filled", &mut pairs), EngineError::Closed);
    refused!(engine.approximate_len(space), EngineError::Closed);
    refused!(engine.sync(), EngineError::Closed);
    refused!(engine.stats(), EngineError::Closed);
    engine.close().unwrap();
}

/// The directory says whose it is: the name of the engine, as the engine gives it.
pub fn o9_the_directory_records_whose_it_is(harness: &dyn EngineHarness) {
    let engine = OpenEngine::new(harness);
    assert_eq!(StateDir::stored_engine(&engine.path()).unwrap(), engine.name());
    engine.close().unwrap();
    assert_eq!(StateDir::stored_engine(&engine.path()).unwrap(), engine.name());
}
