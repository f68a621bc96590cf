//! The obligations of an engine, one test each where a model says too little.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use alluvium_core::KeyRange;
use alluvium_engine::{Engine, EngineError, Space, StateDirError, WriteBatch};
use alluvium_memory::{MemoryEngine, MemoryOptions};
use bytes::Bytes;

fn both(check: impl Fn(MemoryEngine)) {
    check(MemoryEngine::in_memory());
    let dir = tempfile::tempdir().unwrap();
    check(MemoryEngine::open(dir.path(), MemoryOptions::default()).unwrap());
}

fn put(engine: &MemoryEngine, space: Space, key: &str, value: &str) {
    let mut batch = WriteBatch::default();
    batch.put(space, key.to_owned(), value.to_owned());
    engine.commit(batch).unwrap();
}

/// Obligation 1.
#[test]
fn no_reader_sees_a_part_of_a_commit() {
    let dir = tempfile::tempdir().unwrap();
    let options = MemoryOptions::default().min_compaction_bytes(16 << 10);
    let engine = Arc::new(MemoryEngine::open(dir.path(), options).unwrap());
    let spaces = [engine.space("a").unwrap(), engine.space("b").unwrap()];
    let done = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let (engine, done) = (Arc::clone(&engine), Arc::clone(&done));
            thread::spawn(move || {
                let mut looks = 0;
                while !done.load(Ordering::Acquire) || looks == 0 {
                    let snapshot = engine.snapshot().unwrap();
                    let values: Vec<Bytes> = spaces
                        .iter()
                        .flat_map(|space| snapshot.scan(*space, &KeyRange::all()).unwrap())
                        .map(|pair| pair.unwrap().1)
                        .collect();
                    assert!(values.is_empty() || values.len() == 600, "{} rows", values.len());
                    assert!(
                        values.windows(2).all(|two| two[0] == two[1]),
                        "two commits at once"
                    );
                    looks += 1;
                }
            })
        })
        .collect();
    for round in 0..200_u32 {
        let mut batch = WriteBatch::default();
        for key in 0..300 {
            for space in spaces {
                batch.put(space, format!("{key:03}"), round.to_be_bytes().to_vec());
            }
        }
        engine.commit(batch).unwrap();
    }
    done.store(true, Ordering::Release);
    for reader in readers {
        reader.join().unwrap();
    }
}

/// Obligation 3.
#[test]
fn snapshots_stand_still_during_commits_and_drops_and_after_a_close() {
    both(|engine| {
        let space = engine.space("s").unwrap();
        for n in 0..1000 {
            put(&engine, space, &format!("{n:04}"), "old");
        }
        let snapshot = engine.snapshot().unwrap();
        let mut scan = snapshot.scan(space, &KeyRange::all()).unwrap();
        assert_eq!(scan.next().unwrap().unwrap(), ("0000".into(), "old".into()));
        put(&engine, space, "0001", "new");
        put(&engine, space, "00005", "new");
        engine.drop_space("s").unwrap();
        let other = engine.space("s").unwrap();
        assert_ne!(space, other, "a handle came to mean another space");
        put(&engine, other, "0002", "other");
        engine.close().unwrap();
        drop(engine);
        assert_eq!(snapshot.get(space, b"0001").unwrap().unwrap(), "old");
        assert!(matches!(snapshot.get(other, b"0002"), Err(EngineError::NoSpace)));
        drop(snapshot);
        let rest: Vec<_> = scan.map(Result::unwrap).collect();
        assert_eq!(rest.len(), 999);
        assert!(rest.is_sorted() && rest.iter().all(|(_, value)| value == "old"));
    });
}

/// Obligation 5.
#[test]
fn an_ingest_that_fails_leaves_no_space_and_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let engine = MemoryEngine::open(dir.path(), MemoryOptions::default()).unwrap();
    let files = || std::fs::read_dir(dir.path().join("data")).unwrap().count();
    let before = files();
    let pair = |key: &'static str| Ok((Bytes::from(key), Bytes::from("v")));
    let ingest = |pairs: Vec<Result<(Bytes, Bytes), alluvium_core::BoxError>>| {
        engine.ingest("s", &mut pairs.into_iter())
    };
    assert!(matches!(
        ingest(vec![pair("b"), pair("a")]),
        Err(EngineError::Invalid(_))
    ));
    assert!(matches!(
        ingest(vec![pair("a"), pair("a")]),
        Err(EngineError::Invalid(_))
    ));
    assert!(matches!(ingest(vec![pair("")]), Err(EngineError::Invalid(_))));
    assert!(matches!(
        ingest(vec![pair("a"), Err("broken".into())]),
        Err(EngineError::Pairs(_))
    ));
    assert!(engine.spaces().unwrap().is_empty());
    assert_eq!(files(), before);
    engine.space("s").unwrap();
    assert!(matches!(ingest(vec![pair("a")]), Err(EngineError::Invalid(_))));
    assert_eq!(files(), before);
}

/// Obligation 5: commits go on while pairs come in, and of two ingests of one name one wins.
#[test]
fn the_source_of_an_ingest_may_use_the_engine() {
    both(|engine| {
        let other = engine.space("other").unwrap();
        let mut pairs = (0..3000).map(|n| {
            put(&engine, other, &format!("{n:04}"), "v");
            Ok((format!("{n:04}").into(), "ingested".into()))
        });
        let space = engine.ingest("s", &mut pairs).unwrap();
        assert_eq!(engine.approximate_len(space).unwrap(), 3000);
        assert_eq!(engine.approximate_len(other).unwrap(), 3000);

        let mut first = std::iter::once_with(|| {
            engine.ingest("t", &mut std::iter::empty()).unwrap();
            Ok(("k".into(), "v".into()))
        });
        assert!(matches!(
            engine.ingest("t", &mut first),
            Err(EngineError::Invalid(_))
        ));
        let space = engine.space("t").unwrap();
        assert_eq!(engine.approximate_len(space).unwrap(), 0);
    });
}

/// Obligation 6.
#[test]
fn a_dropped_space_is_gone_and_its_handle_means_nothing() {
    both(|engine| {
        let space = engine.space("s").unwrap();
        put(&engine, space, "k", "v");
        engine.drop_space("s").unwrap();
        engine.drop_space("s").unwrap();
        let mut batch = WriteBatch::default();
        let other = engine.space("other").unwrap();
        batch.put(other, "k", "v");
        batch.put(space, "k", "v");
        assert!(matches!(engine.commit(batch), Err(EngineError::NoSpace)));
        assert_eq!(
            engine.get(other, b"k").unwrap(),
            None,
            "a part of the batch was written"
        );
        assert!(matches!(engine.get(space, b"k"), Err(EngineError::NoSpace)));
        assert!(matches!(engine.approximate_len(space), Err(EngineError::NoSpace)));
        let snapshot = engine.snapshot().unwrap();
        assert!(matches!(
            snapshot.scan(space, &KeyRange::all()).map(|_| ()),
            Err(EngineError::NoSpace)
        ));
    });
}

/// Obligation 9.
#[test]
fn a_directory_has_one_owner() {
    let dir = tempfile::tempdir().unwrap();
    let open = || MemoryEngine::open(dir.path(), MemoryOptions::default());
    let engine = open().unwrap();
    assert!(matches!(
        open(),
        Err(EngineError::StateDir(StateDirError::Locked { .. }))
    ));
    engine.close().unwrap();
    let engine = open().unwrap();
    drop(engine);
    open().unwrap();
}

#[test]
fn a_closed_engine_says_so() {
    both(|engine| {
        let space = engine.space("s").unwrap();
        put(&engine, space, "k", "v");
        engine.close().unwrap();
        engine.close().unwrap();
        let closed = |error: EngineError| assert!(matches!(error, EngineError::Closed), "{error:?}");
        closed(engine.space("s").unwrap_err());
        closed(engine.spaces().unwrap_err());
        closed(engine.drop_space("s").unwrap_err());
        closed(engine.commit(WriteBatch::default()).unwrap_err());
        closed(engine.get(space, b"k").unwrap_err());
        closed(engine.snapshot().map(|_| ()).unwrap_err());
        closed(engine.ingest("t", &mut std::iter::empty()).unwrap_err());
        closed(engine.approximate_len(space).unwrap_err());
        closed(engine.sync().unwrap_err());
        closed(engine.stats().unwrap_err());
    });
}

#[test]
fn an_engine_can_be_closed_while_an_ingest_is_under_way() {
    let dir = tempfile::tempdir().unwrap();
    let engine = MemoryEngine::open(dir.path(), MemoryOptions::default()).unwrap();
    let mut pairs = (0_u32..).map(|n| {
        if n == 100 {
            engine.close().unwrap();
        }
        Ok((Bytes::copy_from_slice(&n.to_be_bytes()), Bytes::new()))
    });
    assert!(matches!(engine.ingest("s", &mut pairs), Err(EngineError::Closed)));
    let engine = MemoryEngine::open(dir.path(), MemoryOptions::default()).unwrap();
    assert!(engine.spaces().unwrap().is_empty());
}

#[test]
fn only_what_exists_is_opened_as_existing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    let missing = MemoryEngine::open_existing(&path, MemoryOptions::default());
    assert!(matches!(
        missing,
        Err(EngineError::StateDir(StateDirError::Missing { .. }))
    ));
    assert!(!path.exists());
}

#[test]
fn names_and_keys_are_checked() {
    both(|engine| {
        for name in ["", "a/b", "ä", &"x".repeat(201)] {
            assert!(
                matches!(engine.space(name), Err(EngineError::Invalid(_))),
                "{name}"
            );
        }
        let space = engine.space("s").unwrap();
        let mut batch = WriteBatch::default();
        batch.put(space, "k", "v");
        batch.put(space, "", "v");
        assert!(matches!(engine.commit(batch), Err(EngineError::Invalid(_))));
        assert_eq!(engine.get(space, b"k").unwrap(), None);
        assert_eq!(engine.get(space, b"").unwrap(), None);
    });
}
