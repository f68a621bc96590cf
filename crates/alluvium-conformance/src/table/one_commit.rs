//! Obligation 1: data and cursor move in one commit.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use alluvium_core::{Change, DeleteReason, Operation, Sequence, TableError};

use super::{apply, apply_in_batches, expect};
use crate::support::{OpenTable, Stop, length, refused};
use crate::{History, TableHarness, TableModel};

/// After every batch the table is the prefix of the log that its cursor says.
pub fn o1_data_and_cursor_move_together(harness: &dyn TableHarness) {
    let table = OpenTable::new(harness);
    let history = History::new(1);
    assert_eq!(table.cursor(), None, "a new table");
    let mut model = TableModel::default();
    expect(&*table, &model);
    let mut at = 0;
    for step in [1, 1, 5, 30, 200, 1, 17] {
        apply(&*table, &history, at, at + step);
        model.advance(&history, at, at + step);
        at += step;
        expect(&*table, &model);
    }
}

/// Beside a writer every snapshot is exact at its own cursor.
pub fn o1_a_snapshot_is_exact_at_its_cursor_beside_a_writer(harness: &dyn TableHarness) {
    let table = OpenTable::new(harness);
    let history = History::new(2);
    apply(&*table, &history, 0, 1);
    let (done, seen) = (AtomicBool::new(false), AtomicU64::new(0));
    let wanted = length(50, 1_000);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let (mut model, mut at) = (TableModel::default(), 0);
            while !done.load(Ordering::Acquire) {
                let snapshot = table.snapshot().unwrap();
                let sequence = snapshot.cursor().unwrap().sequence;
                let number = History::number(sequence).unwrap();
                assert!(number >= at, "the cursor went back from {at} to {number}");
                model.advance(&history, at, number);
                at = number;
                let different = model.difference(snapshot.as_ref()).unwrap();
                assert_eq!(different, None, "at message {at}");
                seen.fetch_add(1, Ordering::Release);
            }
        });
        let _stop = Stop(&done);
        let mut at = 1;
        while !reader.is_finished() && (at < 1_000 || seen.load(Ordering::Acquire) < wanted) {
            apply(&*table, &history, at, at + 10);
            at += 10;
        }
    });
}

/// What was applied is there, at the cursor, after a close and after a drop without one.
pub fn o1_what_was_applied_survives_a_reopen(harness: &dyn TableHarness) {
    for again in [OpenTable::reopen, OpenTable::drop_and_reopen] {
        let mut table = OpenTable::new(harness);
        let history = History::new(3);
        for round in 0..4 {
            apply_in_batches(&*table, &history, round * 100, (round + 1) * 100);
            again(&mut table);
            expect(&*table, &TableModel::of(&history, (round + 1) * 100));
        }
    }
}

/// Of a key that occurs more than once in a batch the last change counts, whatever came before it.
pub fn o1_the_last_change_of_a_key_in_a_batch_counts(harness: &dyn TableHarness) {
    let history = History::new(4);
    let put = |number: u64, value: &'static str| {
        let at = history.change(number);
        Change::put("key", value, at.sequence, at.timestamp)
    };
    let delete = |number: u64| {
        let at = history.change(number);
        Change::delete("key", DeleteReason::Deleted, at.sequence, at.timestamp)
    };
    let batches = [
        vec![put(1, "first"), put(2, "second")],
        vec![put(3, "third"), delete(4)],
        vec![delete(5), put(6, "sixth")],
        vec![
            put(7, "seventh"),
            delete(8),
            put(9, ""),
            delete(10),
            put(11, "eleventh"),
        ],
        vec![delete(12), put(13, "thirteenth"), delete(14)],
    ];
    for tracked in [false, true] {
        let table = OpenTable::new(harness);
        table.track_changes(tracked).unwrap();
        let mut model = TableModel::default();
        let mut at = 0;
        for batch in &batches {
            at += batch.len() as u64;
            table.apply(batch, &history.cursor(at)).unwrap();
            for change in batch {
                model.apply(change);
            }
            model.cursor = Some(history.cursor(at));
            expect(&*table, &model);
            let found = table
                .get(b"key")
                .unwrap()
                .map(|entry| (entry.value, entry.sequence));
            let last = &batch[batch.len() - 1];
            assert_eq!(found, last.value().map(|value| (value.clone(), last.sequence)));
        }
    }
}

/// Without changes only the cursor moves.
pub fn o1_an_empty_apply_moves_only_the_cursor(harness: &dyn TableHarness) {
    let mut table = OpenTable::new(harness);
    let history = History::new(5);
    // Nothing of the log is in the table's scope yet.
    table.apply(&[], &history.cursor(0)).unwrap();
    assert_eq!(table.cursor(), Some(history.cursor(0)));
    table.apply(&[], &history.cursor(3)).unwrap();
    let mut model = TableModel {
        cursor: Some(history.cursor(3)),
        ..TableModel::default()
    };
    expect(&*table, &model);
    apply(&*table, &history, 3, 60);
    model.advance(&history, 3, 60);
    table.apply(&[], &history.cursor(90)).unwrap();
    model.cursor = Some(history.cursor(90));
    expect(&*table, &model);
    if table.persistent() {
        table.drop_and_reopen();
        expect(&*table, &model);
    }
}

/// A repair takes the cursor away with its first step and leaves it away, after a reopen too, until an apply gives it
/// back.
pub fn o1_amend_takes_the_cursor_away_until_the_next_apply(harness: &dyn TableHarness) {
    let mut table = OpenTable::new(harness);
    let history = History::new(6);
    apply_in_batches(&*table, &history, 0, 100);
    let target = TableModel::of(&history, 160);
    let steps = repair(&TableModel::of(&history, 100), &target, &history);
    assert!(steps.len() > 10, "there is something to repair");
    let mut rows = TableModel::of(&history, 100);
    for (number, changes) in steps.chunks(steps.len() / 4).enumerate() {
        table.amend(changes).unwrap();
        for change in changes {
            rows.apply(change);
        }
        assert_eq!(table.cursor(), None);
        if number == 1 && table.persistent() {
            table.drop_and_reopen();
            assert_eq!(table.cursor(), None, "after a reopen");
        }
        let snapshot = table.snapshot().unwrap();
        assert_eq!(snapshot.cursor(), None);
        assert_eq!(rows.difference_in_rows(snapshot.as_ref()).unwrap(), None);
    }
    table.apply(&[], &history.cursor(160)).unwrap();
    expect(&*table, &target);
    if table.persistent() {
        table.drop_and_reopen();
        expect(&*table, &target);
    }
    // And on from there.
    apply_in_batches(&*table, &history, 160, 200);
    expect(&*table, &TableModel::of(&history, 200));
}

/// A repair of nothing takes the cursor away as well.
pub fn o1_an_empty_amend_takes_the_cursor_away(harness: &dyn TableHarness) {
    let table = OpenTable::new(harness);
    let history = History::new(6);
    apply(&*table, &history, 0, 50);
    table.amend(&[]).unwrap();
    assert_eq!(table.cursor(), None);
    // The cursor may come back further behind: a log that has lost its tail.
    table.apply(&[], &history.cursor(40)).unwrap();
    assert_eq!(table.cursor(), Some(history.cursor(40)));
    let mut model = TableModel::of(&history, 50);
    model.cursor = Some(history.cursor(40));
    expect(&*table, &model);
}

/// A cursor of another log, or of the same name created at another time, is refused, and nothing is applied.
pub fn o1_a_cursor_of_another_log_is_refused(harness: &dyn TableHarness) {
    let table = OpenTable::new(harness);
    let history = History::new(7);
    apply(&*table, &history, 0, 50);
    let model = TableModel::of(&history, 50);
    let changes = history.changes(51..=60);
    let mut renamed = history.cursor(60);
    renamed.log.name.push('2');
    let mut recreated = history.cursor(60);
    recreated.log.created = history.cursor(1).timestamp;
    for cursor in [renamed, recreated] {
        refused!(table.apply(&changes, &cursor), TableError::Invalid(_));
        refused!(table.apply(&[], &cursor), TableError::Invalid(_));
        expect(&*table, &model);
    }
    apply(&*table, &history, 50, 60);
    expect(&*table, &TableModel::of(&history, 60));
}

/// A cursor before the last change is refused, and nothing is applied.
pub fn o1_a_cursor_before_the_last_change_is_refused(harness: &dyn TableHarness) {
    let table = OpenTable::new(harness);
    let history = History::new(8);
    refused!(
        table.apply(&history.changes(1..=10), &history.cursor(9)),
        TableError::Invalid(_)
    );
    expect(&*table, &TableModel::default());
    apply(&*table, &history, 0, 50);
    refused!(
        table.apply(&history.changes(51..=60), &history.cursor(59)),
        TableError::Invalid(_)
    );
    expect(&*table, &TableModel::of(&history, 50));
    // Further ahead it is fine: what came in between was not in the scope.
    let cursor = history.cursor(60);
    let cursor = cursor.at(Sequence::new(cursor.sequence.get() + 1), cursor.timestamp);
    table.apply(&history.changes(51..=60), &cursor).unwrap();
    let mut model = TableModel::of(&history, 60);
    model.cursor = Some(cursor);
    expect(&*table, &model);
}

/// The changes, in key order, that make one table into another, as a reconcile finds them: keys that are missing have
/// vanished.
pub(super) fn repair(from: &TableModel, to: &TableModel, history: &History) -> Vec<Change> {
    let mut changes: Vec<Change> = to
        .rows
        .iter()
        .filter(|(key, entry)| from.rows.get(*key) != Some(entry))
        .map(|(key, entry)| Change::put(key.clone(), entry.value.clone(), entry.sequence, entry.timestamp))
        .collect();
    let at = to.cursor.clone().unwrap_or_else(|| history.cursor(0));
    let vanished = from.rows.keys().filter(|key| !to.rows.contains_key(*key));
    changes.extend(
        vanished.map(|key| Change::delete(key.clone(), DeleteReason::Vanished, at.sequence, at.timestamp)),
    );
    changes.sort_by(|a, b| a.key.cmp(&b.key));
    debug_assert!(changes.iter().all(|change| match &change.operation {
        Operation::Put(_) => to.rows.contains_key(&change.key),
        Operation::Delete(_) => !to.rows.contains_key(&change.key),
    }));
    changes
}
