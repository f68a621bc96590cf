//! What single methods promise beside the numbered obligations.

use alluvium_engine::{EngineError, WriteBatch};

use crate::support::{OpenEngine, refused};
use crate::{EngineHarness, Random};

/// `space`: asking again gives the same space and keeps what is in it, until a reopen and after.
pub fn m_space_is_idempotent(harness: &dyn EngineHarness) {
    let mut engine = OpenEngine::new(harness);
    assert_eq!(
        engine.space_names(),
        Vec::<String>::new(),
        "a new engine has no spaces"
    );
    let space = engine.space("a").unwrap();
    engine.put("a", b"key", b"value");
    for _ in 0..3 {
        assert_eq!(engine.space("a").unwrap(), space);
    }
    assert_ne!(engine.space("b").unwrap(), space);
    assert_eq!(engine.space_names(), ["a", "b"]);
    if engine.persistent() {
        engine.reopen();
        assert_eq!(engine.space_names(), ["a", "b"]);
    }
    assert_eq!(engine.value("a", b"key").as_deref(), Some(&b"value"[..]));
}

/// `space`, `ingest`: every name of 1 to 200 of the allowed characters is one, also what a file system has its own
/// ideas about.
pub fn m_every_allowed_name_is_a_space(harness: &dyn EngineHarness) {
    let mut engine = OpenEngine::new(harness);
    let long = "x".repeat(200);
    let all = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    let mut names = vec![
        all, &long, "a", "A", ".", "..", "-", "_", "0", "0.0", "con", "lock", "data",
    ];
    for name in &names {
        engine.put(name, b"name", name.as_bytes());
    }
    engine
        .ingest("...", &mut std::iter::once(Ok(("name".into(), "...".into()))))
        .unwrap();
    names.push("...");
    names.sort_unstable();
    assert_eq!(engine.space_names(), names);
    if engine.persistent() {
        engine.reopen();
        assert_eq!(engine.space_names(), names);
    }
    for name in names {
        assert_eq!(
            engine.value(name, b"name").as_deref(),
            Some(name.as_bytes()),
            "{name}"
        );
    }
}

/// `space`, `ingest`: any other name is refused and makes nothing.
pub fn m_other_names_are_refused(harness: &dyn EngineHarness) {
    let engine = OpenEngine::new(harness);
    let long = "x".repeat(201);
    for name in [
        "", &long, "a/b", "../a", "a b", "ä", "a\0", "a\n", "~a", "a:b", "*",
    ] {
        refused!(engine.space(name), EngineError::Invalid(_));
        let mut pairs = std::iter::once(Ok(("key".into(), "value".into())));
        refused!(engine.ingest(name, &mut pairs), EngineError::Invalid(_));
    }
    assert_eq!(engine.space_names(), Vec::<String>::new());
}

/// `commit`: what it wrote is read by whoever begins to read after it, in any thread.
pub fn m_a_commit_is_visible_to_every_thread_when_it_returns(harness: &dyn EngineHarness) {
    let engine = OpenEngine::new(harness);
    let space = engine.space("a").unwrap();
    let (committed, reads) = std::sync::mpsc::sync_channel::<u32>(0);
    std::thread::scope(|scope| {
        let engine = &engine;
        scope.spawn(move || {
            for number in reads {
                let found = engine.get(space, b"key").unwrap().unwrap();
                let found = u32::from_be_bytes(found.as_ref().try_into().unwrap());
                assert!(
                    found >= number,
                    "commit {number} had returned, and {found} is read"
                );
            }
        });
        for number in 0..500_u32 {
            engine.put("a", b"key", &number.to_be_bytes());
            committed.send(number).expect("the reader reads on");
        }
        drop(committed);
    });
}

/// `commit`: writers in several threads lose nothing to each other.
pub fn m_concurrent_commits_all_count(harness: &dyn EngineHarness) {
    const EACH: u32 = 150;
    let engine = OpenEngine::new(harness);
    let space = engine.space("a").unwrap();
    std::thread::scope(|scope| {
        for writer in 0..4_u8 {
            let engine = &engine;
            scope.spawn(move || {
                for number in 0..EACH {
                    let mut key = vec![writer];
                    key.extend_from_slice(&number.to_be_bytes());
                    let mut batch = WriteBatch::default();
                    batch.put(space, key, vec![writer; 50]);
                    batch.put(space, "shared", vec![writer; 50]);
                    engine.commit(batch).unwrap();
                }
            });
        }
    });
    for writer in 0..4_u8 {
        for number in 0..EACH {
            let mut key = vec![writer];
            key.extend_from_slice(&number.to_be_bytes());
            assert_eq!(
                engine.value("a", &key),
                Some(vec![writer; 50]),
                "{number} of writer {writer}"
            );
        }
    }
    assert!(engine.value("a", b"shared").is_some());
}

/// `approximate_len`: about right for pairs that were put once, committed or ingested.
pub fn m_approximate_len_is_about_right(harness: &dyn EngineHarness) {
    const COUNT: u32 = 1_000;
    let engine = OpenEngine::new(harness);
    let committed = engine.space("committed").unwrap();
    assert_eq!(engine.approximate_len(committed).unwrap(), 0);
    let mut batch = WriteBatch::default();
    (0..COUNT).for_each(|number| batch.put(committed, number.to_be_bytes().to_vec(), "value"));
    engine.commit(batch).unwrap();
    let mut pairs = (0..COUNT).map(|number| Ok((number.to_be_bytes().to_vec().into(), "value".into())));
    let ingested = engine.ingest("ingested", &mut pairs).unwrap();
    for space in [committed, ingested] {
        let length = engine.approximate_len(space).unwrap();
        let (least, most) = (u64::from(COUNT / 2), u64::from(COUNT * 2));
        assert!((least..=most).contains(&length), "{length} of {COUNT}");
    }
}

/// `stats`: an engine on disk takes what it was given to hold; one in memory takes no disk.
pub fn m_stats_tell_what_is_on_disk(harness: &dyn EngineHarness) {
    let engine = OpenEngine::new(harness);
    let value = Random::new(8).bytes(1 << 20);
    engine.put("a", b"key", &value);
    engine.sync().unwrap();
    let stats = engine.stats().unwrap();
    if engine.persistent() {
        assert!(stats.disk_bytes >= 1 << 20, "{stats:?}");
    } else {
        assert_eq!(stats.disk_bytes, 0);
    }
    assert!(stats.journal_bytes <= stats.disk_bytes, "{stats:?}");
}

/// `sync`: fine at any time, also with nothing to sync.
pub fn m_sync_is_fine_at_any_time(harness: &dyn EngineHarness) {
    let engine = OpenEngine::new(harness);
    engine.sync().unwrap();
    for number in 0..20_u8 {
        engine.put("a", b"key", &[number]);
        engine.sync().unwrap();
        engine.sync().unwrap();
    }
    assert_eq!(engine.value("a", b"key"), Some(vec![19]));
}
