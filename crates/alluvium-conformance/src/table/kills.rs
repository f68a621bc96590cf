//! Obligations 1, 4 and 5 in a process that is killed again and again.

use std::path::Path;

use alluvium_core::{Entry, Sequence, TableError, TableSnapshot, Timestamp};
use bytes::Bytes;

use super::changes::expect_whole_or_refused;
use crate::process::report;
use crate::support::{Directory, OpenTable, Opened, length};
use crate::{History, Random, TableHarness, TableModel, ThisTest};

/// Messages per apply, at most.
const BATCH: u64 = 25;

/// A process killed while it applies leaves a prefix of the log, exactly at its cursor, with all that was applied when
/// a call returned.
pub fn o1_a_kill_leaves_a_prefix_of_the_log_at_its_cursor(harness: &dyn TableHarness, test: ThisTest) {
    apply_and_kill(harness, test, &History::new(11), false);
}

/// A process killed while it applies with its changes tracked leaves a change index that is whole or refuses, and the
/// table as in [`o1_a_kill_leaves_a_prefix_of_the_log_at_its_cursor`].
pub fn o5_a_kill_leaves_a_whole_change_index(harness: &dyn TableHarness, test: ThisTest) {
    apply_and_kill(harness, test, &History::new(15), true);
}

fn position(snapshot: &dyn TableSnapshot) -> u64 {
    let cursor = snapshot.cursor();
    cursor.map_or(0, |cursor| {
        History::number(cursor.sequence).expect("a cursor in a gap was never given")
    })
}

fn open(harness: &dyn TableHarness, dir: &Path) -> Result<Opened, TableError> {
    OpenTable::open(harness, dir)
}

fn apply_and_kill(harness: &dyn TableHarness, test: ThisTest, history: &History, tracked: bool) {
    if let Some(part) = test.child() {
        let (_tables, table) = open(harness, &part.dir).unwrap();
        table.track_changes(tracked).unwrap();
        let mut at = position(table.snapshot().unwrap().as_ref());
        loop {
            let next = at + 1 + Random::nth(11, at).below(BATCH);
            table
                .apply(&history.changes(at + 1..=next), &history.cursor(next))
                .unwrap();
            report(next);
            at = next;
        }
    }
    let directory = Directory::new();
    let mut random = Random::new(1);
    let (mut model, mut at) = (TableModel::default(), 0);
    for round in 0..length(4, 60) {
        let reports = test
            .start(&directory.path(), round)
            .kill_after(random.below(100), random.below(200_000));
        let acknowledged = reports.last().map_or(at, |number| number.parse::<u64>().unwrap());
        let (tables, table) = open(harness, &directory.path()).unwrap();
        let snapshot = table.snapshot().unwrap();
        let found = position(snapshot.as_ref());
        assert!(
            (acknowledged..=acknowledged + BATCH).contains(&found),
            "message {acknowledged} had been applied, and the cursor is at {found}"
        );
        if found > 0 {
            model.advance(history, at, found);
            at = found;
        }
        assert_eq!(
            model.difference(snapshot.as_ref()).unwrap(),
            None,
            "after message {found}"
        );
        let floor = table.stats().unwrap().changes_floor;
        if tracked && found > 0 {
            assert!(floor.is_some(), "changes are no longer tracked");
            expect_whole_or_refused(snapshot.as_ref(), &model, at, floor);
        }
        drop(snapshot);
        if random.percent(50) {
            tables.close().unwrap();
        }
    }
    assert!(at > 0, "nothing was applied");
}

const ROWS: u64 = 2_000;
const PER_REPORT: u64 = 200;

/// The content of the load of this number: other rows for each, of which some keys come again.
fn loaded(history: &History, number: u64) -> TableModel {
    let mut random = Random::nth(14, number);
    let rows = (0..ROWS).map(|row| {
        let key = Bytes::from(format!("key.{:08}", row * 3 + number % 3));
        let entry = Entry {
            value: Bytes::from(random.bytes(200)),
            sequence: Sequence::new(number),
            timestamp: Timestamp::from_nanos(1),
        };
        (key, entry)
    });
    TableModel {
        rows: rows.collect(),
        cursor: Some(history.cursor(number)),
        ..TableModel::default()
    }
}

/// A process killed while it loads leaves the old content or the new, whole and at its cursor, never a mixture, and
/// the new one if the load had returned.
pub fn o4_a_kill_during_a_load_leaves_the_old_content_or_the_new(harness: &dyn TableHarness, test: ThisTest) {
    let history = History::new(14);
    if let Some(part) = test.child() {
        let (_tables, table) = open(harness, &part.dir).unwrap();
        let mut number = position(table.snapshot().unwrap().as_ref());
        loop {
            number += 1;
            let model = loaded(&history, number);
            let mut rows = model.to_load().zip(1..).map(|(row, count)| {
                if count % PER_REPORT == 0 {
                    report(format_args!("row {count} of {number}"));
                }
                row
            });
            table.load(&mut rows, &history.cursor(number)).unwrap();
            report(format_args!("loaded {number}"));
        }
    }
    let directory = Directory::new();
    let mut random = Random::new(14);
    let mut last = 0;
    for round in 0..length(6, 100) {
        let reports = test
            .start(&directory.path(), round)
            .kill_after(random.below(35), random.below(200_000));
        let returned = reports
            .iter()
            .filter_map(|report| report.strip_prefix("loaded ")?.parse().ok());
        last = returned.max().unwrap_or(last);
        let (tables, table) = open(harness, &directory.path()).unwrap();
        let snapshot = table.snapshot().unwrap();
        let found = position(snapshot.as_ref());
        assert!(
            found == last || found == last + 1,
            "load {last} had returned, and the table is that of load {found}"
        );
        let expected = if found == 0 {
            TableModel::default()
        } else {
            loaded(&history, found)
        };
        assert_eq!(
            expected.difference(snapshot.as_ref()).unwrap(),
            None,
            "after load {found}"
        );
        last = found;
        drop(snapshot);
        if random.percent(50) {
            tables.close().unwrap();
        }
    }
    assert!(last > 0, "nothing was loaded");
}
