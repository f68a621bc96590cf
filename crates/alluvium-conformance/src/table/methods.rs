//! What single methods promise beside the numbered obligations.

use std::ops::Bound;
use std::sync::Arc;

use alluvium_core::{Change, DeleteReason, Entry, KeyRange, Sequence, Table, TableError};
use bytes::Bytes;

use super::{apply_in_batches, expect};
use crate::support::{OpenTable, refused};
use crate::{History, TableHarness, TableModel};

/// Applies puts of these keys, each with its key as its value.
fn put_keys(table: &dyn Table, history: &History, from: u64, keys: &[Bytes]) -> TableModel {
    let mut model = TableModel::default();
    let mut changes = Vec::new();
    for (number, key) in (from + 1..).zip(keys) {
        let cursor = history.cursor(number);
        changes.push(Change::put(
            key.clone(),
            key.clone(),
            cursor.sequence,
            cursor.timestamp,
        ));
    }
    let cursor = history.cursor(from + keys.len() as u64);
    table.apply(&changes, &cursor).unwrap();
    for change in &changes {
        model.apply(change);
    }
    model.cursor = Some(cursor);
    model
}

/// Keys that begin as whatever a table may store beside its rows, and others that engines have got wrong before.
fn awkward_keys() -> Vec<Bytes> {
    let mut keys: Vec<Bytes> = [
        "binding",
        "cursor",
        "changes",
        "live",
        "\0binding",
        "\0cursor",
        "\0changes",
        "\0live",
        "\u{1}",
        "\u{2}",
        "\u{3}",
        "\0",
        "\0\0",
        "a",
        "a\0",
        "aa",
        "b",
    ]
    .into_iter()
    .map(|text| Bytes::from_static(text.as_bytes()))
    .collect();
    for byte in [0x00, 0x01, 0x02, 0x03, 0x04, 0x7f, 0x80, 0xfe, 0xff] {
        keys.push(Bytes::from(vec![byte, 0, 0, 0, 0, 0, 0, 0, 1, b'k']));
        keys.push(Bytes::from(vec![byte, 0xff]));
        keys.push(Bytes::from(vec![byte; 3]));
        // Longer than any buffer on a stack.
        keys.push(Bytes::from(vec![byte; 300]));
    }
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// `get`, `scan`: any bytes are a key, also those that a table may use for itself, before and after a delete, a load
/// and a reopen, with changes tracked or not.
pub fn m_any_bytes_are_a_key(harness: &dyn TableHarness) {
    for tracked in [false, true] {
        let mut table = OpenTable::new(harness);
        let history = History::new(1);
        table.track_changes(tracked).unwrap();
        let keys = awkward_keys();
        let mut model = put_keys(&*table, &history, 0, &keys);
        let check = |table: &dyn Table, model: &TableModel| {
            expect(table, model);
            for key in &keys {
                assert_eq!(table.get(key).unwrap().as_ref(), model.rows.get(key), "{key:?}");
            }
        };
        check(&*table, &model);
        let mut number = keys.len() as u64;
        for key in keys.iter().step_by(3) {
            number += 1;
            let cursor = history.cursor(number);
            let delete = Change::delete(
                key.clone(),
                DeleteReason::Deleted,
                cursor.sequence,
                cursor.timestamp,
            );
            table.apply(std::slice::from_ref(&delete), &cursor).unwrap();
            model.apply(&delete);
            model.cursor = Some(cursor);
        }
        check(&*table, &model);
        if table.persistent() {
            table.drop_and_reopen();
            check(&*table, &model);
        }
        table.load(&mut model.to_load(), &history.cursor(number)).unwrap();
        check(&*table, &model);
    }
}

/// `get`: an entry is the value, the sequence and the timestamp of the message that put it there.
pub fn m_an_entry_names_its_message(harness: &dyn TableHarness) {
    let table = OpenTable::new(harness);
    let history = History::new(2);
    apply_in_batches(&*table, &history, 0, 100);
    let model = TableModel::of(&history, 100);
    assert!(model.rows.len() > 20);
    for (key, entry) in &model.rows {
        let number = History::number(entry.sequence).unwrap();
        let change = history.change(number);
        let expected = Entry {
            value: change.value().unwrap().clone(),
            sequence: change.sequence,
            timestamp: change.timestamp,
        };
        assert_eq!(table.get(key).unwrap(), Some(expected));
    }
    assert_eq!(table.get(b"never there").unwrap(), None);
    assert_eq!(table.get(b"").unwrap(), None);
}

/// `get`, `scan`: an empty value is there, an absent key is not, and a delete makes the one into the other.
pub fn m_an_empty_value_is_there(harness: &dyn TableHarness) {
    let mut table = OpenTable::new(harness);
    let history = History::new(3);
    let at = |number| (history.cursor(number).sequence, history.cursor(number).timestamp);
    let empty = Change::put("empty", "", at(1).0, at(1).1);
    let full = Change::put("full", "value", at(2).0, at(2).1);
    table.apply(&[empty, full], &history.cursor(2)).unwrap();
    let scanned = |table: &dyn Table| {
        let snapshot = table.snapshot().unwrap();
        snapshot
            .scan(&KeyRange::all())
            .unwrap()
            .map(|row| row.unwrap().0)
            .collect::<Vec<_>>()
    };
    for _ in 0..2 {
        assert_eq!(table.get(b"empty").unwrap().unwrap().value, "");
        assert_eq!(table.get(b"absent").unwrap(), None);
        assert_eq!(scanned(&*table), ["empty", "full"]);
        if table.persistent() {
            table.reopen();
        }
    }
    let emptied = Change::put("full", "", at(3).0, at(3).1);
    let deleted = Change::delete("empty", DeleteReason::Deleted, at(4).0, at(4).1);
    table.apply(&[emptied, deleted], &history.cursor(4)).unwrap();
    assert_eq!(table.get(b"full").unwrap().unwrap().value, "");
    assert_eq!(table.get(b"empty").unwrap(), None);
    assert_eq!(scanned(&*table), ["full"]);
}

/// `scan`: every kind of range gives exactly the rows within it, in key order.
pub fn m_a_scan_gives_the_rows_within_its_range(harness: &dyn TableHarness) {
    let table = OpenTable::new(harness);
    let history = History::new(4);
    let keys = awkward_keys();
    table.track_changes(true).unwrap();
    let model = put_keys(&*table, &history, 0, &keys);
    let snapshot = table.snapshot().unwrap();
    let check = |range: KeyRange| {
        let found: Vec<Bytes> = snapshot.scan(&range).unwrap().map(|row| row.unwrap().0).collect();
        let expected: Vec<Bytes> = model
            .rows
            .keys()
            .filter(|key| range.contains(key))
            .cloned()
            .collect();
        assert_eq!(found, expected, "{range:?}");
    };
    check(KeyRange::all());
    check(KeyRange::prefix(""));
    for start in &keys {
        check(KeyRange::prefix(start));
        check(KeyRange::prefix(&start[..1]));
        for end in keys.iter().step_by(5) {
            for first in [
                Bound::Included(start.clone()),
                Bound::Excluded(start.clone()),
                Bound::Unbounded,
            ] {
                check(KeyRange::new(first.clone(), Bound::Included(end.clone())));
                check(KeyRange::new(first.clone(), Bound::Excluded(end.clone())));
                check(KeyRange::new(first, Bound::Unbounded));
            }
        }
    }
}

/// Two tables in one storage do not see each other, whatever their names, and each can be loaded and repaired alone.
pub fn m_tables_do_not_see_each_other(harness: &dyn TableHarness) {
    const NAMES: [&str; 6] = ["a", "a.1", "a.1.0", "a.0", "A", "b"];
    let mut storage = OpenTable::new(harness);
    let history = |index: usize| History::new(100 + index as u64);
    let open = |storage: &OpenTable<'_>| -> Vec<Arc<dyn Table>> {
        NAMES.map(|name| storage.tables().table(name).unwrap()).into()
    };
    let check = |tables: &[Arc<dyn Table>], at: u64| {
        for (index, table) in tables.iter().enumerate() {
            assert_eq!(table.name(), NAMES[index]);
            expect(
                table.as_ref(),
                &TableModel::of(&history(index), at + index as u64),
            );
        }
    };
    let tables = open(&storage);
    for (index, table) in tables.iter().enumerate() {
        apply_in_batches(table.as_ref(), &history(index), 0, 50 + index as u64);
    }
    check(&tables, 50);
    for (index, table) in tables.iter().enumerate() {
        let to = 90 + index as u64;
        let model = TableModel::of(&history(index), to);
        if index % 2 == 0 {
            table
                .load(&mut model.to_load(), &history(index).cursor(to))
                .unwrap();
        } else {
            table.amend(&[]).unwrap();
            apply_in_batches(table.as_ref(), &history(index), 50 + index as u64, to);
        }
    }
    check(&tables, 90);
    drop(tables);
    if storage.persistent() {
        storage.drop_and_reopen();
        let tables = open(&storage);
        check(&tables, 90);
    }
    assert_eq!(storage.cursor(), None, "the one that nothing was done to");
}

/// A name that a table cannot have is refused.
pub fn m_names_that_no_table_can_have_are_refused(harness: &dyn TableHarness) {
    let storage = OpenTable::new(harness);
    for name in ["", "a/b", "../a", "a b", "ä", "a\0"] {
        refused!(storage.tables().table(name), TableError::Invalid(_));
    }
}

/// `stats`: the rows, about, whatever else the table stores; the engine by its name; where the changes begin.
pub fn m_stats_tell_what_there_is(harness: &dyn TableHarness) {
    let table = OpenTable::new(harness);
    let history = History::new(5);
    let stats = table.stats().unwrap();
    assert_eq!((stats.rows, stats.changes_floor), (0, None));
    assert!(!stats.engine.is_empty());
    table.apply(&[], &history.cursor(0)).unwrap();
    table.track_changes(true).unwrap();
    let keys: Vec<Bytes> = (0..500_u32)
        .map(|key| Bytes::copy_from_slice(&key.to_be_bytes()))
        .collect();
    put_keys(&*table, &history, 0, &keys);
    let stats = table.stats().unwrap();
    assert!((250..=1_000).contains(&stats.rows), "{} of 500 rows", stats.rows);
    assert_eq!(stats.changes_floor, Some(Sequence::ZERO));
    table.sync().unwrap();
    let bytes = table.stats().unwrap().disk_bytes;
    assert_eq!(bytes > 0, table.persistent(), "{bytes} bytes on disk");
}
