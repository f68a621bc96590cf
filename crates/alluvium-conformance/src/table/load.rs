//! Obligation 4: a load is all or nothing.

use std::sync::mpsc;
use std::thread;

use alluvium_core::{BoxError, Change, Entry, Row, Table, TableError};

use super::{apply_in_batches, expect};
use crate::support::{OpenTable, error_of, patience, refused};
use crate::{History, TableHarness, TableModel};

/// A table with the first 100 messages of a history.
fn filled<'h>(harness: &'h dyn TableHarness, history: &History) -> OpenTable<'h> {
    let table = OpenTable::new(harness);
    apply_in_batches(&*table, history, 0, 100);
    table
}

/// After a load the table holds the rows and no others, at the cursor, and so it does after a reopen.
pub fn o4_a_load_replaces_the_whole_content(harness: &dyn TableHarness) {
    let history = History::new(40);
    let mut table = filled(harness, &history);
    // Further ahead, and further back, as when an older artifact is restored.
    for number in [400, 60] {
        let model = TableModel::of(&history, number);
        table.load(&mut model.to_load(), &history.cursor(number)).unwrap();
        expect(&*table, &model);
        if table.persistent() {
            table.drop_and_reopen();
            expect(&*table, &model);
            table.reopen();
            expect(&*table, &model);
        }
    }
    apply_in_batches(&*table, &history, 60, 130);
    expect(&*table, &TableModel::of(&history, 130));
}

/// A new table can be loaded before anything was applied to it.
pub fn o4_a_new_table_can_be_loaded(harness: &dyn TableHarness) {
    let history = History::new(41);
    let mut table = OpenTable::new(harness);
    let model = TableModel::of(&history, 300);
    table.load(&mut model.to_load(), &history.cursor(300)).unwrap();
    expect(&*table, &model);
    assert!(table.binding().is_some(), "what was written to is bound");
    if table.persistent() {
        table.drop_and_reopen();
        expect(&*table, &model);
        assert!(table.binding().is_some());
    }
}

/// A load of no rows empties the table.
pub fn o4_a_load_of_nothing_empties_the_table(harness: &dyn TableHarness) {
    let history = History::new(42);
    let mut table = filled(harness, &history);
    table.load(&mut std::iter::empty(), &history.cursor(200)).unwrap();
    let model = TableModel {
        cursor: Some(history.cursor(200)),
        ..TableModel::default()
    };
    expect(&*table, &model);
    if table.persistent() {
        table.drop_and_reopen();
        expect(&*table, &model);
    }
}

/// A load ends a repair: the cursor is back.
pub fn o4_a_load_ends_a_repair(harness: &dyn TableHarness) {
    let history = History::new(42);
    let table = filled(harness, &history);
    table.amend(&[]).unwrap();
    let model = TableModel::of(&history, 90);
    table.load(&mut model.to_load(), &history.cursor(90)).unwrap();
    expect(&*table, &model);
}

/// What was begun and failed leaves the old content, now and after a reopen, and the next load goes well.
fn expect_old_content(mut table: OpenTable<'_>, history: &History) {
    let model = TableModel::of(history, 100);
    expect(&*table, &model);
    if table.persistent() {
        table.drop_and_reopen();
        expect(&*table, &model);
    }
    apply_in_batches(&*table, history, 100, 120);
    expect(&*table, &TableModel::of(history, 120));
    let model = TableModel::of(history, 300);
    table.load(&mut model.to_load(), &history.cursor(300)).unwrap();
    expect(&*table, &model);
}

/// The error of the rows comes back as it was, and the old content stays.
pub fn o4_a_load_whose_rows_fail_leaves_the_old_content(harness: &dyn TableHarness) {
    let history = History::new(43);
    for after in [0, 1, 30] {
        let table = filled(harness, &history);
        let rows = TableModel::of(&history, 200).to_load().take(after);
        let mut failing = rows.chain([Err("the store is out of reach".into())]);
        match error_of(table.load(&mut failing, &history.cursor(200))) {
            TableError::Rows(source) => assert_eq!(source.to_string(), "the store is out of reach"),
            other => panic!("not the error of the rows: {other:?}"),
        }
        expect_old_content(table, &history);
    }
}

/// Rows that are not in strictly rising order are refused, and the old content stays.
pub fn o4_a_load_of_unsorted_rows_leaves_the_old_content(harness: &dyn TableHarness) {
    let history = History::new(44);
    let rows: Vec<Row> = TableModel::of(&history, 200).rows.into_iter().collect();
    assert!(rows.len() > 30);
    let mut swapped = rows.clone();
    swapped.swap(28, 29);
    let mut twice = rows.clone();
    twice.insert(30, rows[29].clone());
    let mut reversed = rows;
    reversed.reverse();
    for rows in [swapped, twice, reversed] {
        let table = filled(harness, &history);
        let outcome = table.load(&mut rows.into_iter().map(Ok), &history.cursor(200));
        refused!(outcome, TableError::Invalid(_));
        expect_old_content(table, &history);
    }
}

/// A load from another log is refused, and the old content stays.
pub fn o4_a_load_from_another_log_leaves_the_old_content(harness: &dyn TableHarness) {
    let history = History::new(45);
    let table = filled(harness, &history);
    let mut cursor = history.cursor(200);
    cursor.log.name.push('2');
    let outcome = table.load(&mut TableModel::of(&history, 200).to_load(), &cursor);
    refused!(outcome, TableError::Invalid(_));
    expect_old_content(table, &history);
}

/// Readers see the old content until the load returns, whole and at its cursor, by every way to read, and do not wait
/// for it. Afterwards they see the new.
pub fn o4_readers_see_the_old_content_until_a_load_returns(harness: &dyn TableHarness) {
    let history = History::new(46);
    let table = filled(harness, &history);
    let (old, new) = (TableModel::of(&history, 100), TableModel::of(&history, 300));
    let early = table.snapshot().unwrap();
    let (half_way, wait) = mpsc::channel();
    let (read, go_on) = mpsc::channel();
    let mut waited = None;
    thread::scope(|scope| {
        let (table, old) = (&table, &old);
        scope.spawn(move || {
            while wait.recv().is_ok() {
                expect(&**table, old);
                let _ = read.send(());
            }
        });
        let rows = new.to_load();
        let count = new.rows.len();
        let mut rows = rows.zip(1..).map(|(row, number)| -> Result<Row, BoxError> {
            if number == count / 2 || number == count {
                let _ = half_way.send(());
                let outcome = go_on.recv_timeout(patience());
                waited = Some(waited.unwrap_or(Ok(())).and(outcome));
            }
            row
        });
        table.load(&mut rows, &history.cursor(300)).unwrap();
        drop(rows);
        drop(half_way);
    });
    assert_eq!(
        waited,
        Some(Ok(())),
        "readers wait for a load, or do not see the old content"
    );
    expect(&*table, &new);
    assert_eq!(
        old.difference(early.as_ref()).unwrap(),
        None,
        "a snapshot from before"
    );
}

/// A load of many rows is whole: more than any batch or buffer holds.
pub fn o4_a_load_of_many_rows_is_whole(harness: &dyn TableHarness) {
    const ROWS: u64 = 50_000;
    let history = History::new(47);
    let mut table = OpenTable::new(harness);
    let row = |number: u64| -> Row {
        let at = history.cursor(number);
        let entry = Entry {
            value: number.to_be_bytes().to_vec().into(),
            sequence: at.sequence,
            timestamp: at.timestamp,
        };
        (number.to_be_bytes().to_vec().into(), entry)
    };
    table
        .load(
            &mut (1..=ROWS).map(|number| Ok(row(number))),
            &history.cursor(ROWS),
        )
        .unwrap();
    let check = |table: &dyn Table| {
        let snapshot = table.snapshot().unwrap();
        let mut number = 0;
        for found in snapshot.scan(&alluvium_core::KeyRange::all()).unwrap() {
            number += 1;
            assert_eq!(found.unwrap(), row(number));
        }
        assert_eq!(number, ROWS);
        let rows = table.stats().unwrap().rows;
        assert!(
            (ROWS / 2..=ROWS * 2).contains(&rows),
            "{rows} of about {ROWS} rows"
        );
    };
    check(&*table);
    if table.persistent() {
        table.drop_and_reopen();
        check(&*table);
    }
    let at = history.change(ROWS + 1);
    let change = Change::put(1_u64.to_be_bytes().to_vec(), "later", at.sequence, at.timestamp);
    table.apply(&[change], &history.cursor(ROWS + 1)).unwrap();
    assert_eq!(table.get(&1_u64.to_be_bytes()).unwrap().unwrap().value, "later");
}
