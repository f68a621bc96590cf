//! Obligation 6: damage is named.

use std::path::Path;

use alluvium_core::{ErrorKind, TableError, TableSnapshot};

use super::{apply, apply_in_batches};
use crate::damage::{Kind, Outcome, Stock, in_full};
use crate::history::rows;
use crate::support::OpenTable;
use crate::{History, TableHarness, TableModel};

/// A byte turned over in any file is an error that names the file, or makes no difference.
pub fn o6_a_flipped_byte_is_named(harness: &dyn TableHarness) {
    damage_each(harness, Kind::Flipped);
}

/// A file that was cut off is an error that names the file, or loses at most the newest commits of the newest journal.
pub fn o6_a_file_cut_off_is_named(harness: &dyn TableHarness) {
    damage_each(harness, Kind::CutOff);
}

/// A missing file is an error that names it or its directory, or makes no difference.
pub fn o6_a_missing_file_is_named(harness: &dyn TableHarness) {
    damage_each(harness, Kind::Missing);
}

const LOADED: u64 = 200;
const LAST: u64 = 350;

fn damage_each(harness: &dyn TableHarness, damage: Kind) {
    let mut table = OpenTable::new(harness);
    let history = History::new(60);
    apply_in_batches(&*table, &history, 0, 100);
    table.reopen();
    apply_in_batches(&*table, &history, 100, LOADED);
    let model = TableModel::of(&history, LOADED);
    table.load(&mut model.to_load(), &history.cursor(LOADED)).unwrap();
    table.track_changes(true).unwrap();
    apply_in_batches(&*table, &history, LOADED, LAST - 1);
    apply(&*table, &history, LAST - 1, LAST);
    table.sync().unwrap();
    table.tables().close().unwrap();
    let stock = Stock::of(&table.path());
    let expected = TableModel::of(&history, LAST);
    let is_journal = |file: &Path| harness.is_table_journal(file);
    stock.damage_each(damage, LAST, &is_journal, &|dir| {
        open_and_read(harness, dir, &history, &expected)
    });
}

fn open_and_read(
    harness: &dyn TableHarness,
    dir: &Path,
    history: &History,
    expected: &TableModel,
) -> Outcome {
    let (tables, table) = match OpenTable::open(harness, dir) {
        Ok(opened) => opened,
        Err(error) => return refused(error, true),
    };
    let outcome = match table
        .snapshot()
        .and_then(|snapshot| compare(snapshot.as_ref(), history, expected))
    {
        Ok(outcome) => outcome,
        Err(error) => refused(error, false),
    };
    drop(table);
    // What it says about a close matters no more.
    let _ = tables.close();
    outcome
}

fn compare(
    snapshot: &dyn TableSnapshot,
    history: &History,
    expected: &TableModel,
) -> Result<Outcome, TableError> {
    let Some(cursor) = snapshot.cursor() else {
        let rows = rows(snapshot)?;
        return Ok(if rows.is_empty() {
            Outcome::Holds(0)
        } else {
            Outcome::Wrong(format!("{} rows and no cursor", rows.len()))
        });
    };
    let Some(number) = History::number(cursor.sequence) else {
        return Ok(Outcome::Wrong(format!(
            "a cursor that was never given: {cursor:?}"
        )));
    };
    let different = if number == LAST {
        expected.difference(snapshot)?
    } else {
        TableModel::of(history, number).difference(snapshot)?
    };
    Ok(match different {
        None => Outcome::Holds(number),
        Some(different) => Outcome::Wrong(format!("up to message {number}: {different}")),
    })
}

fn refused(error: TableError, at_open: bool) -> Outcome {
    let (kind, text) = (error.kind(), format!("{} ({error:?})", in_full(&error)));
    let path = match error {
        TableError::Corrupt { path, .. } => Some(path),
        _ => None,
    };
    Outcome::Refused {
        kind,
        // What the directory says it is was damaged: the storage refuses it as a whole, and says which directory.
        whole: path.is_none() && matches!(kind, ErrorKind::Invalid | ErrorKind::Corrupt),
        path,
        at_open,
        text,
    }
}
