//! Obligation 4: scans give the keys of a range in byte order, each once. And what a key and a value may be.

use std::collections::BTreeMap;
use std::ops::Bound;

use alluvium_core::KeyRange;
use alluvium_engine::{EngineError, WriteBatch};
use bytes::Bytes;

use crate::content::{difference, pairs};
use crate::support::OpenEngine;
use crate::{EngineHarness, Random};

/// Keys of 1 to 3 bytes that engines have got wrong before: zeros, 0xff, keys that begin others.
fn awkward_keys() -> Vec<Bytes> {
    let bytes = [0x00, 0x01, b'a', 0x7f, 0x80, 0xfe, 0xff];
    let mut keys: Vec<Vec<u8>> = bytes.iter().map(|byte| vec![*byte]).collect();
    for first in bytes {
        for second in bytes {
            keys.push(vec![first, second]);
            keys.push(vec![first, second, 0xff]);
            keys.push(vec![first, second, 0x00]);
        }
    }
    keys.into_iter().map(Bytes::from).collect()
}

/// Commits awkward keys in no order, a few at a time, some of them more than once.
fn filled(harness: &dyn EngineHarness) -> (OpenEngine<'_>, BTreeMap<Bytes, Bytes>) {
    let engine = OpenEngine::new(harness);
    let space = engine.space("a").unwrap();
    let mut random = Random::new(40);
    let keys = awkward_keys();
    let mut expected = BTreeMap::new();
    for _ in 0..120 {
        let mut batch = BTreeMap::new();
        for _ in 0..5 {
            batch.insert(
                keys[random.index(keys.len())].clone(),
                Bytes::from(random.bytes(20)),
            );
        }
        expected.extend(batch.clone());
        let mut writes = WriteBatch::default();
        for (key, value) in batch {
            writes.put(space, key, value);
        }
        engine.commit(writes).unwrap();
    }
    assert!(expected.len() > 100);
    (engine, expected)
}

fn scan(engine: &OpenEngine<'_>, range: &KeyRange) -> Vec<(Bytes, Bytes)> {
    let space = engine.space("a").unwrap();
    let scan = engine.snapshot().unwrap().scan(space, range).unwrap();
    scan.collect::<Result<_, EngineError>>().unwrap()
}

#[track_caller]
fn expect_scan(engine: &OpenEngine<'_>, range: &KeyRange, expected: &BTreeMap<Bytes, Bytes>) {
    let within: Vec<_> = expected
        .iter()
        .filter(|(key, _)| range.contains(key))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    assert_eq!(scan(engine, range), within, "the scan of {range:?}");
}

/// All keys in byte order, each once, though they were written in no order and more than once.
pub fn o4_a_scan_gives_every_key_once_in_byte_order(harness: &dyn EngineHarness) {
    let (engine, expected) = filled(harness);
    let found = scan(&engine, &KeyRange::all());
    assert!(
        found.is_sorted_by(|a, b| a.0 < b.0),
        "out of order, or a key twice"
    );
    expect_scan(&engine, &KeyRange::all(), &expected);
}

/// Included, excluded and open ends in every combination, at keys that are there and at others.
pub fn o4_every_kind_of_bound_is_kept(harness: &dyn EngineHarness) {
    let (engine, mut expected) = filled(harness);
    // Some bounds are no keys.
    let space = engine.space("a").unwrap();
    let mut batch = WriteBatch::default();
    for key in awkward_keys().into_iter().step_by(3) {
        expected.remove(&key);
        batch.remove(space, key);
    }
    engine.commit(batch).unwrap();
    let ends: Vec<Bytes> = awkward_keys().into_iter().step_by(4).collect();
    for start in &ends {
        expect_scan(&engine, &KeyRange::of(start.clone()..), &expected);
        expect_scan(&engine, &KeyRange::of(..start.clone()), &expected);
        expect_scan(&engine, &KeyRange::of(..=start.clone()), &expected);
        let after = KeyRange::new(Bound::Excluded(start.clone()), Bound::Unbounded);
        expect_scan(&engine, &after, &expected);
        for end in ends.iter().filter(|end| *end >= start) {
            expect_scan(&engine, &KeyRange::of(start.clone()..end.clone()), &expected);
            expect_scan(&engine, &KeyRange::of(start.clone()..=end.clone()), &expected);
            for last in [Bound::Included(end.clone()), Bound::Excluded(end.clone())] {
                let after = KeyRange::new(Bound::Excluded(start.clone()), last);
                expect_scan(&engine, &after, &expected);
            }
        }
    }
}

/// A range whose end comes before its start, or that holds nothing, is empty and no panic.
pub fn o4_an_empty_range_gives_nothing(harness: &dyn EngineHarness) {
    let (engine, _) = filled(harness);
    let key = |text: &'static str| Bytes::from_static(text.as_bytes());
    let ranges = [
        KeyRange::new(Bound::Included(key("b")), Bound::Included(key("a"))),
        KeyRange::new(Bound::Included(key("b")), Bound::Excluded(key("a"))),
        KeyRange::new(Bound::Excluded(key("b")), Bound::Included(key("a"))),
        KeyRange::new(Bound::Excluded(key("b")), Bound::Excluded(key("a"))),
        KeyRange::new(Bound::Included(key("a")), Bound::Excluded(key("a"))),
        KeyRange::new(Bound::Excluded(key("a")), Bound::Included(key("a"))),
        KeyRange::new(Bound::Excluded(key("a")), Bound::Excluded(key("a"))),
        // Not empty as a range, but nothing is there.
        KeyRange::new(Bound::Included(key("b")), Bound::Excluded(key("c"))),
        KeyRange::prefix("no such prefix"),
    ];
    for range in ranges {
        assert_eq!(scan(&engine, &range), [], "the scan of {range:?}");
    }
    let space = engine.space("empty").unwrap();
    let mut nothing = engine.snapshot().unwrap().scan(space, &KeyRange::all()).unwrap();
    assert!(nothing.next().is_none(), "an empty space");
}

/// A prefix range gives the keys that begin with the prefix, also where no key can come after them.
pub fn o4_a_prefix_range_gives_exactly_its_keys(harness: &dyn EngineHarness) {
    let (engine, expected) = filled(harness);
    for prefix in awkward_keys().iter().chain([&Bytes::new()]) {
        let range = KeyRange::prefix(prefix);
        let within: Vec<Bytes> = expected
            .keys()
            .filter(|key| key.starts_with(prefix))
            .cloned()
            .collect();
        let found: Vec<Bytes> = scan(&engine, &range).into_iter().map(|(key, _)| key).collect();
        assert_eq!(found, within, "the keys that begin with {prefix:?}");
    }
}

/// Keys are bytes: each of the awkward ones is read back alone, and its neighbours are not.
pub fn o4_binary_keys_are_kept_apart(harness: &dyn EngineHarness) {
    let engine = OpenEngine::new(harness);
    let keys = awkward_keys();
    for key in keys.iter().step_by(2) {
        engine.put("a", key, key);
    }
    for (index, key) in keys.iter().enumerate() {
        let expected = (index % 2 == 0).then(|| key.to_vec());
        assert_eq!(engine.value("a", key), expected, "{key:?}");
    }
    let long = vec![b'k'; 4_000];
    engine.put("a", &long, b"long");
    assert_eq!(engine.value("a", &long).as_deref(), Some(&b"long"[..]));
    assert_eq!(engine.value("a", &long[1..]), None);
}

/// An empty value is a value, for a get, a scan and a snapshot.
pub fn o4_an_empty_value_is_there(harness: &dyn EngineHarness) {
    let engine = OpenEngine::new(harness);
    engine
        .put_all("a", &[(b"empty", b""), (b"full", b"value")])
        .unwrap();
    assert_eq!(engine.value("a", b"empty").as_deref(), Some(&b""[..]));
    assert_eq!(engine.value("a", b"absent"), None);
    assert_eq!(scan(&engine, &KeyRange::all()).len(), 2);
    engine.put("a", b"full", b"");
    assert_eq!(
        engine.value("a", b"full").as_deref(),
        Some(&b""[..]),
        "a value made empty"
    );
    let mut source = [Ok(("k".into(), Bytes::new()))].into_iter();
    let ingested = engine.ingest("ingested", &mut source).unwrap();
    assert_eq!(engine.get(ingested, b"k").unwrap(), Some(Bytes::new()));
}

/// Values of a MiB come back as they were.
pub fn o4_a_value_of_a_mib_comes_back(harness: &dyn EngineHarness) {
    let engine = OpenEngine::new(harness);
    let space = engine.space("a").unwrap();
    let mut random = Random::new(41);
    let mut expected = BTreeMap::new();
    for number in 0..5_u32 {
        let value = Bytes::from(random.bytes(1 << 20));
        let key = Bytes::copy_from_slice(&number.to_be_bytes());
        let mut batch = WriteBatch::default();
        batch.put(space, key.clone(), value.clone());
        engine.commit(batch).unwrap();
        expected.insert(key, value);
    }
    let mut source = expected.clone().into_iter().map(Ok);
    let ingested = engine.ingest("ingested", &mut source).unwrap();
    let snapshot = engine.snapshot().unwrap();
    for space in [space, ingested] {
        assert_eq!(
            difference(&pairs(snapshot.as_ref(), space).unwrap(), &expected),
            None
        );
    }
}

/// A removed key is neither read nor scanned, can be removed again, and can be put again.
pub fn o4_a_removed_key_is_gone(harness: &dyn EngineHarness) {
    let (engine, mut expected) = filled(harness);
    let space = engine.space("a").unwrap();
    let mut batch = WriteBatch::default();
    for key in awkward_keys().into_iter().step_by(2) {
        expected.remove(&key);
        batch.remove(space, key);
    }
    batch.remove(space, "never there");
    for _ in 0..2 {
        engine.commit(batch.clone()).unwrap();
        for key in awkward_keys() {
            assert_eq!(
                engine.get(space, &key).unwrap(),
                expected.get(&key).cloned(),
                "{key:?}"
            );
        }
        expect_scan(&engine, &KeyRange::all(), &expected);
    }
    let key = awkward_keys().swap_remove(0);
    engine.put("a", &key, b"again");
    expected.insert(key, "again".into());
    expect_scan(&engine, &KeyRange::all(), &expected);
}

/// The same key in two spaces is two keys.
pub fn o4_spaces_do_not_see_each_other(harness: &dyn EngineHarness) {
    let engine = OpenEngine::new(harness);
    let names = ["a", "A", "a.b", "a-b", "a_b", "aa", ".", "..", "b"];
    for name in names {
        engine.put(name, b"key", name.as_bytes());
        engine.put(name, name.as_bytes(), b"own");
    }
    let mut batch = WriteBatch::default();
    batch.remove(engine.space("b").unwrap(), "key");
    engine.commit(batch).unwrap();
    for name in names {
        let expected = (name != "b").then(|| name.as_bytes().to_vec());
        assert_eq!(engine.value(name, b"key"), expected, "in {name}");
        for other in names.into_iter().filter(|other| *other != name) {
            assert_eq!(engine.value(name, other.as_bytes()), None, "{other} in {name}");
        }
    }
}
