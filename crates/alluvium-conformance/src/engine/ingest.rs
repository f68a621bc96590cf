//! Obligation 5: an ingest makes a whole space or none.

use std::collections::BTreeMap;

use alluvium_core::{BoxError, KeyRange};
use alluvium_engine::{Engine, EngineError, Pair, Space, WriteBatch};
use bytes::Bytes;

use crate::content::{difference, pairs};
use crate::process::{Part, report};
use crate::support::{Directory, OpenEngine, length, refused};
use crate::{EngineHarness, Random, ThisTest};

/// So many pairs with rising binary keys.
fn source(count: u32, seed: u64) -> impl Iterator<Item = Result<Pair, BoxError>> {
    let mut random = Random::new(seed);
    (0..count).map(move |number| {
        let length = if number % 10 == 0 {
            0
        } else {
            1 + random.index(300)
        };
        let value = random.bytes(length);
        Ok((
            Bytes::copy_from_slice(&(number * 3).to_be_bytes()),
            Bytes::from(value),
        ))
    })
}

fn expected(count: u32, seed: u64) -> BTreeMap<Bytes, Bytes> {
    source(count, seed).map(Result::unwrap).collect()
}

#[track_caller]
fn expect_space(engine: &dyn Engine, space: Space, expected: &BTreeMap<Bytes, Bytes>) {
    let found = pairs(engine.snapshot().unwrap().as_ref(), space).unwrap();
    assert_eq!(difference(&found, expected), None);
}

/// A failed ingest leaves no space, now and after a reopen, harms no other one, and its name can be used at once.
#[track_caller]
fn expect_nothing_left(mut engine: OpenEngine<'_>) {
    assert_eq!(engine.space_names(), ["other"]);
    if engine.persistent() {
        engine.drop_and_reopen();
        assert_eq!(engine.space_names(), ["other"], "after a reopen");
    }
    assert_eq!(engine.value("other", b"key").as_deref(), Some(&b"value"[..]));
    let space = engine.ingest("filled", &mut source(50, 1)).unwrap();
    expect_space(&*engine, space, &expected(50, 1));
    engine.drop_space("filled").unwrap();
    let space = engine.space("filled").unwrap();
    expect_space(&*engine, space, &BTreeMap::new());
}

fn with_other(harness: &dyn EngineHarness) -> OpenEngine<'_> {
    let engine = OpenEngine::new(harness);
    engine.put("other", b"key", b"value");
    engine
}

/// An ingest makes a space of exactly its pairs, which is a space like any other.
pub fn o5_an_ingest_makes_a_space_of_its_pairs(harness: &dyn EngineHarness) {
    let engine = with_other(harness);
    let space = engine.ingest("filled", &mut source(5_000, 2)).unwrap();
    assert_eq!(engine.space_names(), ["filled", "other"]);
    assert_eq!(
        engine.space("filled").unwrap(),
        space,
        "the handle is that of the space"
    );
    let mut expected = expected(5_000, 2);
    expect_space(&*engine, space, &expected);
    let mut batch = WriteBatch::default();
    for number in (0..6_000_u32).step_by(500) {
        // Overwrites and new keys.
        let key = Bytes::copy_from_slice(&(number * 3 + number % 2).to_be_bytes());
        batch.put(space, key.clone(), "later");
        expected.insert(key, "later".into());
    }
    let removed = Bytes::copy_from_slice(&3_u32.to_be_bytes());
    batch.remove(space, removed.clone());
    expected.remove(&removed);
    batch.put(engine.space("other").unwrap(), "key", "in the same commit");
    engine.commit(batch).unwrap();
    expect_space(&*engine, space, &expected);
    assert_eq!(
        engine.value("other", b"key").as_deref(),
        Some(&b"in the same commit"[..])
    );
}

/// An ingest of no pairs makes an empty space.
pub fn o5_an_ingest_of_nothing_makes_an_empty_space(harness: &dyn EngineHarness) {
    let mut engine = with_other(harness);
    engine.ingest("filled", &mut std::iter::empty()).unwrap();
    assert_eq!(engine.space_names(), ["filled", "other"]);
    if engine.persistent() {
        engine.drop_and_reopen();
        assert_eq!(engine.space_names(), ["filled", "other"]);
    }
    let space = engine.space("filled").unwrap();
    expect_space(&*engine, space, &BTreeMap::new());
    engine.put("filled", b"key", b"value");
    assert_eq!(engine.value("filled", b"key").as_deref(), Some(&b"value"[..]));
}

/// The error of the source comes back as it was, and nothing is left.
pub fn o5_an_ingest_whose_source_fails_leaves_nothing(harness: &dyn EngineHarness) {
    for after in [0, 1, 3_000] {
        let engine = with_other(harness);
        let mut failing = source(after, 3).chain([Err("the source is out of reach".into())]);
        let error = crate::support::error_of(engine.ingest("filled", &mut failing));
        match error {
            EngineError::Pairs(source) => assert_eq!(source.to_string(), "the source is out of reach"),
            other => panic!("not the error of the source: {other:?}"),
        }
        expect_nothing_left(engine);
    }
}

/// Keys that fall are refused, and nothing is left.
pub fn o5_an_ingest_of_falling_keys_leaves_nothing(harness: &dyn EngineHarness) {
    for after in [1, 3_000] {
        let engine = with_other(harness);
        let falling = Ok((Bytes::from_static(&[0]), "value".into()));
        // 0 begins all keys of the source and sorts before them.
        let mut falling = source(after, 4).chain([falling]);
        refused!(engine.ingest("filled", &mut falling), EngineError::Invalid(_));
        expect_nothing_left(engine);
    }
}

/// A key that comes twice is refused, and nothing is left.
pub fn o5_an_ingest_of_a_key_twice_leaves_nothing(harness: &dyn EngineHarness) {
    let engine = with_other(harness);
    let mut twice = source(3_000, 5).chain(source(3_000, 5).skip(2_999));
    refused!(engine.ingest("filled", &mut twice), EngineError::Invalid(_));
    expect_nothing_left(engine);
}

/// A space that exists is not ingested into: it keeps what it has, however it was made.
pub fn o5_an_ingest_into_an_existing_space_is_refused(harness: &dyn EngineHarness) {
    let mut engine = with_other(harness);
    engine.space("empty").unwrap();
    engine.ingest("filled", &mut source(100, 6)).unwrap();
    for name in ["other", "empty", "filled"] {
        refused!(engine.ingest(name, &mut source(10, 7)), EngineError::Invalid(_));
    }
    let check = |engine: &OpenEngine<'_>| {
        assert_eq!(engine.space_names(), ["empty", "filled", "other"]);
        let space = |name| engine.space(name).unwrap();
        expect_space(&**engine, space("empty"), &BTreeMap::new());
        expect_space(&**engine, space("filled"), &expected(100, 6));
        assert_eq!(engine.value("other", b"key").as_deref(), Some(&b"value"[..]));
    };
    check(&engine);
    if engine.persistent() {
        engine.reopen();
        check(&engine);
    }
}

/// What was ingested is there after a reopen, with what was committed to it since.
pub fn o5_an_ingest_is_durable_when_it_returns(harness: &dyn EngineHarness) {
    let mut engine = with_other(harness);
    engine.ingest("filled", &mut source(5_000, 8)).unwrap();
    engine.drop_and_reopen();
    let mut expected = expected(5_000, 8);
    let space = engine.space("filled").unwrap();
    expect_space(&*engine, space, &expected);
    engine.put("filled", b"key", b"later");
    expected.insert("key".into(), "later".into());
    for again in [OpenEngine::drop_and_reopen, OpenEngine::reopen] {
        again(&mut engine);
        let space = engine.space("filled").unwrap();
        expect_space(&*engine, space, &expected);
    }
}

const PAIRS: u32 = 3_000;
const PER_REPORT: u32 = 250;

/// A process killed while it ingests leaves no space, or one that can be dropped and ingested again; what it had
/// ingested before is whole.
pub fn o5_a_kill_during_an_ingest_leaves_all_or_nothing(harness: &dyn EngineHarness, test: ThisTest) {
    if let Some(part) = test.child() {
        ingest_until_killed(harness, &part);
        return;
    }
    let directory = Directory::new();
    let mut random = Random::new(5);
    for round in 0..length(6, 100) {
        let reports = test
            .start(&directory.path(), round)
            .kill_after(random.below(40), random.below(200_000));
        let done: Vec<u64> = reports
            .iter()
            .filter_map(|report| report.strip_prefix("done ")?.parse().ok())
            .collect();
        let engine = harness.open(&directory.path()).unwrap();
        let mut listed = engine.spaces().unwrap();
        for number in &done {
            let name = name(*number);
            assert!(listed.contains(&name), "{name} had been ingested");
            let space = engine.space(&name).unwrap();
            expect_space(&*engine, space, &expected(PAIRS, *number));
        }
        listed.retain(|listed| !done.iter().any(|number| name(*number) == *listed));
        let next = name(done.last().map_or(round * 1_000, |number| number + 1));
        assert!(
            listed.is_empty() || listed == [next.as_str()],
            "{listed:?} were listed, and at most {next} was under way"
        );
        engine.drop_space(&next).unwrap();
        assert!(!engine.spaces().unwrap().contains(&next), "{next} was dropped");
        let space = engine.ingest(&next, &mut source(50, 9)).unwrap();
        expect_space(&*engine, space, &expected(50, 9));
        // The next round begins with none.
        for name in engine.spaces().unwrap() {
            engine.drop_space(&name).unwrap();
        }
    }
}

fn name(number: u64) -> String {
    format!("filled.{number}")
}

fn ingest_until_killed(harness: &dyn EngineHarness, part: &Part) {
    let engine = harness.open(&part.dir).unwrap();
    assert_eq!(engine.spaces().unwrap(), Vec::<String>::new(), "all were dropped");
    for number in part.round * 1_000.. {
        let mut pairs = source(PAIRS, number).zip(1..).map(|(pair, count): (_, u32)| {
            if count % PER_REPORT == 0 {
                report(format_args!("at {count}"));
            }
            pair
        });
        let space = engine.ingest(&name(number), &mut pairs).unwrap();
        report(format_args!("done {number}"));
        // A scan for its own sake: readers are there as well.
        let snapshot = engine.snapshot().unwrap();
        assert_eq!(
            snapshot.scan(space, &KeyRange::all()).unwrap().count(),
            PAIRS as usize
        );
    }
}
