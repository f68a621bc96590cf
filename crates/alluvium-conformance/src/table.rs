//! The suite for [`Table`].
//!
//! As in the [`engine`](crate::engine) suite, a test is a function that panics where the table does not keep its word,
//! and its name begins with the number of the obligation it is about. [`table_suite!`](crate::table_suite) makes a
//! `#[test]` of each.

mod binding;
mod changes;
mod changes_model;
mod damage;
mod idempotent;
mod kills;
mod load;
mod methods;
mod one_commit;
mod snapshots;

pub use binding::*;
pub use changes::*;
pub use changes_model::*;
pub use damage::*;
pub use idempotent::*;
pub use kills::*;
pub use load::*;
pub use methods::*;
pub use one_commit::*;
pub use snapshots::*;

use alluvium_core::Table;

use crate::{History, TableModel};

/// Applies the messages of a history after one number and up to another, in one batch.
fn apply(table: &dyn Table, history: &History, from: u64, to: u64) {
    let changes = history.changes(from + 1..=to);
    table.apply(&changes, &history.cursor(to)).unwrap();
}

/// The same in batches of different lengths.
fn apply_in_batches(table: &dyn Table, history: &History, from: u64, to: u64) {
    let mut at = from;
    while at < to {
        let next = (at + 1 + at % 13).min(to);
        apply(table, history, at, next);
        at = next;
    }
}

/// Asserts that the table is what the model is, by its snapshot and by its own reads.
#[track_caller]
fn expect(table: &dyn Table, model: &TableModel) {
    assert_eq!(table.cursor(), model.cursor);
    let snapshot = table.snapshot().unwrap();
    assert_eq!(model.difference(snapshot.as_ref()).unwrap(), None);
    for number in 0..80 {
        let key = History::key(number);
        assert_eq!(table.get(&key).unwrap(), model.rows.get(&key).cloned(), "{key:?}");
    }
}
