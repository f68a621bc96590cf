//! Obligation 5: `changes_since` is whole or refuses.

use alluvium_core::{Change, DeleteReason, Sequence, TableError, TableSnapshot};

use super::{apply, apply_in_batches};
use crate::support::{OpenTable, error_of, refused};
use crate::{History, TableHarness, TableModel};

/// Asks a view with tracked changes for those since every sequence up to message `last` and some beyond. From the
/// floor on the answer is exactly what the model says; before it, it is that the index does not reach that far.
#[track_caller]
pub(super) fn expect_whole_or_refused(
    snapshot: &dyn TableSnapshot,
    model: &TableModel,
    last: u64,
    floor: Option<Sequence>,
) {
    let last = History::sequence(last).get() + 2;
    // Near the ends and near the floor, and some in between: a history can be long.
    let near = |at: u64, since: u64| since.abs_diff(at) < 2;
    let step = (last / 10).max(1);
    let of_interest = |since: &u64| {
        since.is_multiple_of(step)
            || near(last - 2, *since)
            || *since == last
            || floor.is_some_and(|floor| near(floor.get(), *since))
    };
    for since in (0..=last).filter(of_interest).map(Sequence::new) {
        match (snapshot.changes_since(since), floor) {
            (Ok(changes), Some(floor)) if since >= floor => {
                let found: Vec<Change> = changes.collect::<Result<_, _>>().unwrap();
                let expected = model.changes_since(since);
                let differs = found
                    .iter()
                    .zip(&expected)
                    .position(|(found, expected)| found != expected);
                let differs = differs.unwrap_or(found.len().min(expected.len()));
                assert!(
                    found == expected,
                    "since {since} (floor {floor}) there are {} changes, not {}; number {differs} is {:.200}, not {:.200}",
                    found.len(),
                    expected.len(),
                    format!("{:?}", found.get(differs)),
                    format!("{:?}", expected.get(differs)),
                );
            }
            (Ok(_), _) => panic!("changes since {since}, before the floor {floor:?}, are given"),
            (
                Err(TableError::Trimmed {
                    since: asked,
                    floor: known,
                }),
                _,
            ) if floor.is_none_or(|floor| since < floor && known == floor) => {
                assert_eq!(asked, since);
            }
            (Err(error), _) => panic!("since {since} (floor {floor:?}): {error:?}"),
        }
    }
}

fn floor(table: &OpenTable<'_>) -> Option<Sequence> {
    table.stats().unwrap().changes_floor
}

#[track_caller]
fn expect_tracked(table: &OpenTable<'_>, history: &History, last: u64, floor_at: u64) {
    assert_eq!(floor(table), Some(History::sequence(floor_at)), "the floor");
    let snapshot = table.snapshot().unwrap();
    let model = TableModel::of(history, last);
    expect_whole_or_refused(snapshot.as_ref(), &model, last, floor(table));
}

/// A new table tracks nothing and says so; one that stopped tracking as well.
pub fn o5_changes_that_are_not_tracked_are_refused(harness: &dyn TableHarness) {
    let mut table = OpenTable::new(harness);
    let history = History::new(50);
    let refuses = |table: &OpenTable<'_>| {
        assert_eq!(floor(table), None);
        for since in [0, 1, 50, 10_000] {
            let snapshot = table.snapshot().unwrap();
            refused!(
                snapshot.changes_since(Sequence::new(since)),
                TableError::NotTracked
            );
        }
    };
    refuses(&table);
    apply_in_batches(&*table, &history, 0, 50);
    refuses(&table);
    table.track_changes(true).unwrap();
    apply_in_batches(&*table, &history, 50, 80);
    table.track_changes(false).unwrap();
    refuses(&table);
    apply_in_batches(&*table, &history, 80, 100);
    refuses(&table);
    if table.persistent() {
        table.drop_and_reopen();
        refuses(&table);
    }
}

/// From the cursor at which tracking began every change is known, deletes and keys that come again included, each key
/// once, as it is now, rising in sequence; before it the answer is that the index does not reach that far.
pub fn o5_changes_are_whole_from_where_tracking_began(harness: &dyn TableHarness) {
    let table = OpenTable::new(harness);
    let history = History::new(51);
    apply_in_batches(&*table, &history, 0, 60);
    table.track_changes(true).unwrap();
    expect_tracked(&table, &history, 60, 60);
    for at in (60..300).step_by(30) {
        apply_in_batches(&*table, &history, at, at + 30);
        expect_tracked(&table, &history, at + 30, 60);
    }
    // Again is no beginning.
    table.track_changes(true).unwrap();
    expect_tracked(&table, &history, 300, 60);
    let model = TableModel::of(&history, 300);
    let changes = model.changes_since(History::sequence(60));
    assert!(
        changes.iter().any(|change| change.value().is_none()),
        "there are deletes among them"
    );
}

/// A table that tracks from its first message knows every change.
pub fn o5_tracking_from_the_beginning_knows_every_change(harness: &dyn TableHarness) {
    let table = OpenTable::new(harness);
    let history = History::new(52);
    table.apply(&[], &history.cursor(0)).unwrap();
    table.track_changes(true).unwrap();
    apply_in_batches(&*table, &history, 0, 200);
    expect_tracked(&table, &history, 200, 0);
}

/// A delete is a change, for whatever reason and of whatever key, also of one that was never there, and also twice.
pub fn o5_deletes_are_changes(harness: &dyn TableHarness) {
    let mut table = OpenTable::new(harness);
    let history = History::new(53);
    table.apply(&[], &history.cursor(0)).unwrap();
    table.track_changes(true).unwrap();
    let at = |number| (History::sequence(number), history.cursor(number).timestamp);
    let put = |number, key: &'static str| Change::put(key, "value", at(number).0, at(number).1);
    let delete = |number, key: &'static str, reason| Change::delete(key, reason, at(number).0, at(number).1);
    let changes = [
        put(1, "a"),
        put(2, "b"),
        put(3, "c"),
        put(4, "d"),
        put(5, "again"),
        delete(6, "a", DeleteReason::Deleted),
        delete(7, "b", DeleteReason::Purged),
        delete(8, "c", DeleteReason::Expired),
        delete(9, "d", DeleteReason::Vanished),
        delete(10, "again", DeleteReason::Deleted),
        delete(11, "never there", DeleteReason::Deleted),
        put(12, "again"),
        delete(13, "a", DeleteReason::Purged),
    ];
    let mut model = TableModel::default();
    for (number, change) in (1..).zip(&changes) {
        table
            .apply(std::slice::from_ref(change), &history.cursor(number))
            .unwrap();
        model.apply(change);
        let snapshot = table.snapshot().unwrap();
        expect_whole_or_refused(snapshot.as_ref(), &model, number, Some(Sequence::ZERO));
    }
    if table.persistent() {
        table.drop_and_reopen();
        let snapshot = table.snapshot().unwrap();
        expect_whole_or_refused(snapshot.as_ref(), &model, 13, Some(Sequence::ZERO));
    }
}

/// Switched off, the index is forgotten; switched on again, it begins at the cursor of that moment, though what it
/// held before was about the same keys.
pub fn o5_switching_off_forgets_and_switching_on_begins_anew(harness: &dyn TableHarness) {
    let table = OpenTable::new(harness);
    let history = History::new(54);
    apply_in_batches(&*table, &history, 0, 10);
    let mut at = 10;
    for round in 0..4 {
        table.track_changes(true).unwrap();
        let began = at;
        apply_in_batches(&*table, &history, at, at + 40);
        at += 40;
        expect_tracked(&table, &history, at, began);
        table.track_changes(false).unwrap();
        table.track_changes(false).unwrap();
        assert_eq!(floor(&table), None);
        if round % 2 == 0 {
            // Not seen by the index.
            apply_in_batches(&*table, &history, at, at + 25);
            at += 25;
        }
    }
}

/// The index is there after a reopen, at the same floor, and goes on.
pub fn o5_the_change_index_survives_a_reopen(harness: &dyn TableHarness) {
    for again in [OpenTable::reopen, OpenTable::drop_and_reopen] {
        let mut table = OpenTable::new(harness);
        let history = History::new(55);
        apply_in_batches(&*table, &history, 0, 30);
        table.track_changes(true).unwrap();
        for at in (30..150).step_by(40) {
            apply_in_batches(&*table, &history, at, at + 40);
            again(&mut table);
            expect_tracked(&table, &history, at + 40, 30);
        }
    }
}

/// A load begins the index anew at its cursor: what it replaced is not known key by key.
pub fn o5_a_load_raises_the_floor_to_its_cursor(harness: &dyn TableHarness) {
    let mut table = OpenTable::new(harness);
    let history = History::new(56);
    apply_in_batches(&*table, &history, 0, 30);
    table.track_changes(true).unwrap();
    apply_in_batches(&*table, &history, 30, 100);
    // Further ahead, and back again.
    for number in [200, 80] {
        let model = TableModel::of(&history, number);
        table.load(&mut model.to_load(), &history.cursor(number)).unwrap();
        expect_tracked(&table, &history, number, number);
        apply_in_batches(&*table, &history, number, number + 50);
        expect_tracked(&table, &history, number + 50, number);
        if table.persistent() {
            table.drop_and_reopen();
            expect_tracked(&table, &history, number + 50, number);
        }
    }
    table.track_changes(false).unwrap();
    let model = TableModel::of(&history, 300);
    table.load(&mut model.to_load(), &history.cursor(300)).unwrap();
    let snapshot = table.snapshot().unwrap();
    refused!(snapshot.changes_since(Sequence::new(400)), TableError::NotTracked);
}

/// In a repair nothing can be said about changes; after it everything since its end can.
pub fn o5_a_repair_raises_the_floor_to_its_end(harness: &dyn TableHarness) {
    let mut table = OpenTable::new(harness);
    let history = History::new(57);
    apply_in_batches(&*table, &history, 0, 30);
    table.track_changes(true).unwrap();
    apply_in_batches(&*table, &history, 30, 100);
    let mut at = 100;
    // Ahead, as when the log has overrun the reader, and back, as when it has lost its tail.
    for to in [180, 120] {
        let (from, target) = (TableModel::of(&history, at), TableModel::of(&history, to));
        for changes in super::one_commit::repair(&from, &target, &history).chunks(9) {
            table.amend(changes).unwrap();
            let snapshot = table.snapshot().unwrap();
            for since in [0, 30, 100, 180, 400] {
                let error = error_of(snapshot.changes_since(Sequence::new(since)));
                assert!(matches!(error, TableError::Trimmed { .. }), "{error:?}");
            }
        }
        table.apply(&[], &history.cursor(to)).unwrap();
        expect_tracked(&table, &history, to, to);
        if table.persistent() {
            table.drop_and_reopen();
            expect_tracked(&table, &history, to, to);
        }
        for step in 0..3 {
            apply(&*table, &history, to + step * 10, to + (step + 1) * 10);
            expect_tracked(&table, &history, to + (step + 1) * 10, to);
        }
        at = to + 30;
    }
}
