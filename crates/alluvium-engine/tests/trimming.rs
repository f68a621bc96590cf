//! The change index forgets its oldest entries, stays bounded, and says how far back it reaches.

use std::collections::BTreeMap;
use std::sync::Arc;

use alluvium_core::{Change, Cursor, DeleteReason, LogIdentity, Sequence, Table, TableError, Timestamp};
use alluvium_engine::{Engine, EngineTable};
use alluvium_memory::MemoryEngine;

const KEPT: u64 = 500;
const KEYS: u64 = 40;

/// Every third message deletes its key.
fn change(sequence: u64) -> Change {
    let key = format!("key.{}", sequence * sequence % KEYS);
    let (at, timestamp) = (
        Sequence::new(sequence),
        Timestamp::from_nanos(sequence.cast_signed()),
    );
    if sequence.is_multiple_of(3) {
        Change::delete(key, DeleteReason::Deleted, at, timestamp)
    } else {
        Change::put(key, sequence.to_string(), at, timestamp)
    }
}

#[test]
fn the_index_stays_bounded_and_answers_from_its_floor_on() {
    let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::in_memory());
    let table = EngineTable::open(Arc::clone(&engine), "t")
        .unwrap()
        .with_max_changes(KEPT);
    table.track_changes(true).unwrap();
    let start = Cursor::start_of(LogIdentity::new("KV_b", Timestamp::from_nanos(1)));
    let mut sequence = 0;
    for batch in [1, 700, 3, 1_300, 50, 1, 2_900, 45].into_iter().cycle().take(40) {
        let changes: Vec<Change> = (sequence + 1..=sequence + batch).map(change).collect();
        sequence += batch;
        table
            .apply(
                &changes,
                &start.at(Sequence::new(sequence), Timestamp::from_nanos(0)),
            )
            .unwrap();
        check(&table, sequence);
    }
    let space = engine.space("table.t.0").unwrap();
    let pairs = engine.approximate_len(space).unwrap();
    // Rows and last deletes of every key, the entries kept, a step's worth of slack, and the table's own rows.
    let bound = 2 * KEYS + KEPT + 2 * 1_024 + 3;
    assert!(pairs <= bound, "{pairs} pairs are stored");
}

/// From the floor on the answer is exact; below it there is none.
fn check(table: &EngineTable, last: u64) {
    let floor = table.stats().unwrap().changes_floor.unwrap();
    let mut expected: BTreeMap<u64, Change> = BTreeMap::new();
    let mut latest: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
    for sequence in floor.get() + 1..=last {
        let change = change(sequence);
        if let Some(before) = latest.insert(change.key.to_vec(), sequence) {
            expected.remove(&before);
        }
        expected.insert(sequence, change);
    }
    let snapshot = table.snapshot().unwrap();
    let found: Vec<Change> = snapshot
        .changes_since(floor)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(found, expected.into_values().collect::<Vec<_>>(), "since {floor}");
    if floor > Sequence::ZERO {
        let below = snapshot.changes_since(floor.previous()).err();
        assert!(matches!(below, Some(TableError::Trimmed { .. })), "{below:?}");
    }
}
