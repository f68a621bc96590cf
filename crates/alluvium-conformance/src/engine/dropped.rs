//! Obligation 6: a dropped space is gone.

use alluvium_core::KeyRange;
use alluvium_engine::{EngineError, WriteBatch};
use bytes::Bytes;

use crate::process::{Part, report};
use crate::support::{Directory, OpenEngine, length, refused};
use crate::{EngineHarness, Random, ThisTest};

/// A dropped space is listed no more, and its handle means nothing to any method.
pub fn o6_a_handle_to_a_dropped_space_means_nothing(harness: &dyn EngineHarness) {
    let engine = OpenEngine::new(harness);
    engine.put("stays", b"key", b"value");
    engine.put("goes", b"key", b"value");
    let space = engine.space("goes").unwrap();
    engine.drop_space("goes").unwrap();
    assert_eq!(engine.space_names(), ["stays"]);
    refused!(engine.get(space, b"key"), EngineError::NoSpace);
    refused!(engine.approximate_len(space), EngineError::NoSpace);
    let mut batch = WriteBatch::default();
    batch.put(space, "key", "value");
    refused!(engine.commit(batch), EngineError::NoSpace);
    let mut batch = WriteBatch::default();
    batch.remove(space, "key");
    refused!(engine.commit(batch), EngineError::NoSpace);
    let snapshot = engine.snapshot().unwrap();
    refused!(snapshot.get(space, b"key"), EngineError::NoSpace);
    refused!(snapshot.scan(space, &KeyRange::all()), EngineError::NoSpace);
    assert_eq!(engine.value("stays", b"key").as_deref(), Some(&b"value"[..]));
}

/// A space that is made again under the name of a dropped one begins empty, and the old handle is not its handle.
pub fn o6_a_space_made_again_begins_empty(harness: &dyn EngineHarness) {
    let mut engine = OpenEngine::new(harness);
    for round in 0..4_u8 {
        let space = engine.space("a").unwrap();
        assert_eq!(engine.value("a", b"key"), None, "in round {round}");
        assert!(
            engine
                .snapshot()
                .unwrap()
                .scan(space, &KeyRange::all())
                .unwrap()
                .next()
                .is_none()
        );
        engine.put("a", b"key", &[round]);
        if round == 2 && engine.persistent() {
            engine.reopen();
        }
        let old = engine.space("a").unwrap();
        engine.drop_space("a").unwrap();
        let new = engine.space("a").unwrap();
        assert_ne!(old, new);
        refused!(engine.get(old, b"key"), EngineError::NoSpace);
    }
}

/// Dropping what does not exist, or no longer exists, is no error.
pub fn o6_dropping_what_is_not_there_is_fine(harness: &dyn EngineHarness) {
    let engine = OpenEngine::new(harness);
    engine.put("a", b"key", b"value");
    engine.drop_space("unknown").unwrap();
    engine.drop_space("a").unwrap();
    engine.drop_space("a").unwrap();
    assert_eq!(engine.space_names(), Vec::<String>::new());
}

/// A dropped space does not come back, however the engine ends, and the others stay; nor does what an earlier space
/// of its name held.
pub fn o6_a_dropped_space_is_gone_after_a_reopen(harness: &dyn EngineHarness) {
    for again in [OpenEngine::reopen, OpenEngine::drop_and_reopen] {
        let mut engine = OpenEngine::new(harness);
        for name in ["stays", "goes", "comes again"].map(|name| name.replace(' ', "-")) {
            engine.put(&name, b"key", b"value");
        }
        let mut pairs =
            (0..1_000_u32).map(|number| Ok((Bytes::copy_from_slice(&number.to_be_bytes()), "".into())));
        engine.ingest("ingested", &mut pairs).unwrap();
        again(&mut engine);
        for name in ["goes", "comes-again", "ingested"] {
            engine.drop_space(name).unwrap();
        }
        engine.put("comes-again", b"other", b"value");
        for _ in 0..2 {
            again(&mut engine);
            assert_eq!(engine.space_names(), ["comes-again", "stays"]);
            assert_eq!(engine.value("stays", b"key").as_deref(), Some(&b"value"[..]));
            assert_eq!(engine.value("comes-again", b"key"), None);
            assert_eq!(
                engine.value("comes-again", b"other").as_deref(),
                Some(&b"value"[..])
            );
        }
    }
}

/// What a dropped space took on disk is free again after some more commits and reopens. Journals do not count: they may
/// keep what was written to it for as long as they keep anything of that time.
pub fn o6_the_disk_space_of_a_dropped_space_is_freed_in_time(harness: &dyn EngineHarness) {
    const BYTES: u64 = 8 << 20;
    let mut engine = OpenEngine::new(harness);
    let mut random = Random::new(6);
    let space = engine.space("committed").unwrap();
    for number in 0..32_u32 {
        let mut batch = WriteBatch::default();
        batch.put(space, number.to_be_bytes().to_vec(), random.bytes(128 << 10));
        engine.commit(batch).unwrap();
    }
    let mut pairs = (0..32_u32).map(|number| {
        Ok((
            Bytes::copy_from_slice(&number.to_be_bytes()),
            random.bytes(128 << 10).into(),
        ))
    });
    engine.ingest("ingested", &mut pairs).unwrap();
    engine.sync().unwrap();
    let full = engine.stats().unwrap().disk_bytes;
    assert!(
        full >= BYTES,
        "{BYTES} bytes that no compression makes shorter take {full}"
    );
    engine.drop_space("committed").unwrap();
    engine.drop_space("ingested").unwrap();
    let mut taken = full;
    for number in 0..100_u32 {
        engine.put("small", &number.to_be_bytes(), &random.bytes(64 << 10));
        engine.drop_space("small").unwrap();
        engine.sync().unwrap();
        engine.reopen();
        let stats = engine.stats().unwrap();
        taken = stats.disk_bytes - stats.journal_bytes;
        if taken < BYTES / 2 {
            return;
        }
    }
    panic!("of {full} bytes {taken} are still taken, journals apart");
}

/// A process killed while it makes, fills and drops spaces leaves no dropped one behind, and only whole ones.
pub fn o6_dropped_spaces_stay_gone_after_a_kill(harness: &dyn EngineHarness, test: ThisTest) {
    if let Some(part) = test.child() {
        drop_until_killed(harness, &part);
        return;
    }
    let directory = Directory::new();
    let mut random = Random::new(6);
    for round in 0..length(4, 60) {
        let reports = test
            .start(&directory.path(), round)
            .kill_after(random.below(100), random.below(200_000));
        let last = |what: &str| {
            let numbers = reports
                .iter()
                .filter_map(|report| report.strip_prefix(what)?.parse::<u64>().ok());
            numbers.max()
        };
        let (filled, dropped) = (last("filled "), last("dropped "));
        let first = round * 1_000_000;
        // At most one space was under way: the one after the last that was dropped.
        let under_way = dropped.map_or(first, |dropped| dropped + 1);
        let engine = harness.open(&directory.path()).unwrap();
        let listed = engine.spaces().unwrap();
        assert!(
            listed.is_empty() || listed == [name(under_way)],
            "{listed:?} are there, and at most {} was not dropped yet",
            name(under_way)
        );
        if filled == Some(under_way) {
            // The drop may have been under way as well, so it may be gone, but what is there is whole.
            for space in &listed {
                let space = engine.space(space).unwrap();
                let snapshot = engine.snapshot().unwrap();
                let found = snapshot.scan(space, &KeyRange::all()).unwrap();
                assert_eq!(
                    found.map(Result::unwrap).count(),
                    KEYS,
                    "a part of a dropped space"
                );
            }
        }
        for space in listed {
            engine.drop_space(&space).unwrap();
        }
    }
}

const KEYS: usize = 40;

fn name(number: u64) -> String {
    format!("passing.{number}")
}

fn drop_until_killed(harness: &dyn EngineHarness, part: &Part) {
    let engine = harness.open(&part.dir).unwrap();
    assert_eq!(engine.spaces().unwrap(), Vec::<String>::new());
    for number in part.round * 1_000_000.. {
        let name = name(number);
        let pairs = (0..KEYS as u64).map(|key| {
            (
                Bytes::copy_from_slice(&key.to_be_bytes()),
                Bytes::from(vec![7; 500]),
            )
        });
        if number % 2 == 0 {
            let space = engine.space(&name).unwrap();
            let mut batch = WriteBatch::default();
            pairs.for_each(|(key, value)| batch.put(space, key, value));
            engine.commit(batch).unwrap();
        } else {
            engine.ingest(&name, &mut pairs.map(Ok)).unwrap();
        }
        report(format_args!("filled {number}"));
        engine.drop_space(&name).unwrap();
        report(format_args!("dropped {number}"));
    }
}
