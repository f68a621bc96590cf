//! Obligation 2: changes at or below the cursor leave the table as it is.

use proptest::prelude::*;

use super::{apply_in_batches, expect};
use crate::support::{OpenTable, length, property};
use crate::{History, TableHarness, TableModel};

/// Applying everything again, in the same batches or in others, changes nothing, the cursor included.
pub fn o2_applying_again_changes_nothing(harness: &dyn TableHarness) {
    let mut table = OpenTable::new(harness);
    let history = History::new(20);
    let model = TableModel::of(&history, 150);
    apply_in_batches(&*table, &history, 0, 150);
    expect(&*table, &model);
    for round in 0..2 {
        apply_in_batches(&*table, &history, 0, 150);
        expect(&*table, &model);
        table
            .apply(&history.changes(1..=150), &history.cursor(150))
            .unwrap();
        expect(&*table, &model);
        table
            .apply(&history.changes(20..=70), &history.cursor(70))
            .unwrap();
        expect(&*table, &model);
        table.apply(&[], &history.cursor(3)).unwrap();
        expect(&*table, &model);
        if round == 0 && table.persistent() {
            table.drop_and_reopen();
        }
    }
}

/// Of a batch that begins before the cursor and ends after it, only what is new is applied: an old put does not bring
/// back what was overwritten or deleted since.
pub fn o2_of_a_batch_across_the_cursor_only_the_rest_is_applied(harness: &dyn TableHarness) {
    for tracked in [false, true] {
        let table = OpenTable::new(harness);
        let history = History::new(21);
        apply_in_batches(&*table, &history, 0, 10);
        table.track_changes(tracked).unwrap();
        let mut at = 10;
        for (from, to) in [(1, 30), (25, 26), (10, 31), (30, 60), (1, 100), (99, 140)] {
            table
                .apply(&history.changes(from..=to), &history.cursor(to))
                .unwrap();
            at = at.max(to);
            expect(&*table, &TableModel::of(&history, at));
        }
        if tracked {
            let found = table
                .snapshot()
                .unwrap()
                .changes_since(History::sequence(10))
                .unwrap();
            let found: Vec<_> = found.collect::<Result<_, _>>().unwrap();
            let expected = TableModel::of(&history, 140).changes_since(History::sequence(10));
            assert_eq!(found, expected);
        }
    }
}

/// However batches overlap, also when they end before the cursor, and whenever the table is opened again, it is what
/// applying every message once makes.
pub fn o2_random_overlapping_batches_are_as_one_pass(harness: &dyn TableHarness) {
    let batches = prop::collection::vec((0..60_u64, 1..50_u64, prop::bool::weighted(0.1)), 1..25);
    property(length(8, 300), &batches, |batches| {
        let mut table = OpenTable::new(harness);
        let history = History::new(22);
        let (mut model, mut at) = (TableModel::default(), 0);
        for (back, count, reopen) in batches {
            let from = at - back.min(at);
            let to = from + count;
            table
                .apply(&history.changes(from + 1..=to), &history.cursor(to))
                .unwrap();
            if to > at {
                model.advance(&history, at, to);
                at = to;
            }
            if reopen && table.persistent() {
                table.drop_and_reopen();
            }
            expect(&*table, &model);
        }
    });
}
