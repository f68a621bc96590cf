//! What the engine promises, on disk and without.

use alluvium_core::KeyRange;

use super::*;

fn put(engine: &MemoryEngine, space: Space, key: &str, value: &str) {
    let mut batch = WriteBatch::default();
    batch.put(space, key.to_owned(), value.to_owned());
    engine.commit(batch).unwrap();
}

#[test]
fn a_commit_is_there_after_a_reopen() {
    let dir = tempfile::tempdir().unwrap();
    let engine = MemoryEngine::open(dir.path(), MemoryOptions::default()).unwrap();
    let a = engine.space("a").unwrap();
    let b = engine.space("b").unwrap();
    put(&engine, a, "k", "1");
    put(&engine, b, "k", "2");
    let c = engine
        .ingest(
            "c",
            &mut (0..1000).map(|n| Ok((format!("{n:04}").into(), "v".into()))),
        )
        .unwrap();
    assert_eq!(
        engine
            .snapshot()
            .unwrap()
            .scan(c, &KeyRange::all())
            .unwrap()
            .count(),
        1000
    );
    engine.drop_space("b").unwrap();
    assert!(matches!(engine.get(b, b"k"), Err(EngineError::NoSpace)));
    drop(engine);
    let engine = MemoryEngine::open(dir.path(), MemoryOptions::default()).unwrap();
    let a = engine.space("a").unwrap();
    assert_eq!(engine.get(a, b"k").unwrap().unwrap(), "1");
    let c = engine.space("c").unwrap();
    assert_eq!(engine.approximate_len(c).unwrap(), 1000);
    assert_eq!(engine.spaces().unwrap().len(), 2);
}
