//! Obligation 7: a table keeps to its binding.

use alluvium_core::{Binding, DeleteReason, Mode, Operation, Scope, Sequence, TableError};

use super::{apply, expect};
use crate::support::{OpenTable, error_of, refused};
use crate::{History, TableHarness, TableModel};

fn binding(history: &History, filters: &[&str]) -> Binding {
    Binding {
        log: history.log().name.clone(),
        scope: if filters.is_empty() {
            Scope::all()
        } else {
            Scope::of(filters).unwrap()
        },
        mode: Mode::default(),
    }
}

/// A new table is bound to nothing, and then to what it was bound to first; binding it to the same again is fine.
pub fn o7_a_table_is_bound_once(harness: &dyn TableHarness) {
    let table = OpenTable::new(harness);
    let history = History::new(70);
    assert_eq!(table.binding(), None);
    let bound = binding(&history, &["routes.>"]);
    for _ in 0..3 {
        table.bind(&bound).unwrap();
        assert_eq!(table.binding(), Some(bound.clone()));
    }
    assert_eq!(table.cursor(), None, "binding moves no cursor");
    apply(&*table, &history, 0, 50);
    table.bind(&bound).unwrap();
    assert_eq!(table.binding(), Some(bound));
    expect(&*table, &TableModel::of(&history, 50));
}

/// Another log or another scope is refused with both in the error, and the table stays as it was.
pub fn o7_another_binding_is_refused(harness: &dyn TableHarness) {
    let mut table = OpenTable::new(harness);
    let history = History::new(71);
    let bound = binding(&history, &["routes.>", "flags.*"]);
    table.bind(&bound).unwrap();
    apply(&*table, &history, 0, 50);
    let model = TableModel::of(&history, 50);
    let mut other_log = bound.clone();
    other_log.log.push('2');
    let others = [
        other_log,
        binding(&history, &[]),
        binding(&history, &["routes.>"]),
        binding(&history, &["routes.>", "flags.>"]),
    ];
    for reopened in [false, true] {
        for other in &others {
            match error_of(table.bind(other)) {
                TableError::Mismatch { stored, expected } => {
                    assert_eq!((&*stored, &*expected), (&bound, other));
                }
                error => panic!("not the error that it should be: {error:?}"),
            }
            assert_eq!(table.binding(), Some(bound.clone()));
            expect(&*table, &model);
        }
        if !reopened && table.persistent() {
            table.drop_and_reopen();
        }
    }
}

/// Reopens, loads and repairs a table, up to 60 of this history, and has it looked at after each.
fn through_everything(table: &mut OpenTable<'_>, history: &History, look: impl Fn(&OpenTable<'_>)) {
    let again = |table: &mut OpenTable<'_>| {
        if table.persistent() {
            table.drop_and_reopen();
        }
        look(table);
    };
    again(table);
    let model = TableModel::of(history, 60);
    table.load(&mut model.to_load(), &history.cursor(60)).unwrap();
    again(table);
    table.amend(&[]).unwrap();
    again(table);
    table.apply(&[], &history.cursor(60)).unwrap();
    again(table);
    expect(&**table, &model);
}

/// The binding is durable with the next commit, and stays through loads and repairs.
pub fn o7_the_binding_survives_reopens_loads_and_repairs(harness: &dyn TableHarness) {
    let mut table = OpenTable::new(harness);
    let history = History::new(72);
    let bound = binding(&history, &["routes.>"]);
    table.bind(&bound).unwrap();
    apply(&*table, &history, 0, 20);
    through_everything(&mut table, &history, |table| {
        assert_eq!(table.binding(), Some(bound.clone()));
    });
}

/// Through loads, repairs and reopens. A table that nobody told does not say so.
pub fn o8_that_a_log_can_evict_is_remembered_for_ever(harness: &dyn TableHarness) {
    let mut table = OpenTable::new(harness);
    let history = History::new(75);
    let model = TableModel::of(&history, 60);
    apply(&*table, &history, 0, 20);
    assert!(!table.has_evicted());
    table.load(&mut model.to_load(), &history.cursor(60)).unwrap();
    assert!(!table.has_evicted());
    for _ in 0..2 {
        table.remember_eviction().unwrap();
        assert!(table.has_evicted());
    }
    through_everything(&mut table, &history, |table| assert!(table.has_evicted()));
}

/// Through loads, repairs and reopens, and until it is told otherwise. It is no row, and no change.
pub fn o8_from_where_on_it_has_seen_its_log_is_remembered(harness: &dyn TableHarness) {
    let mut table = OpenTable::new(harness);
    let history = History::new(77);
    assert_eq!(table.since(), None);
    apply(&*table, &history, 0, 20);
    assert_eq!(table.since(), None);
    for since in [
        Some(Sequence::new(7)),
        None,
        Some(Sequence::new(9)),
        Some(Sequence::new(8)),
    ] {
        table.remember_since(since).unwrap();
        through_everything(&mut table, &history, |table| assert_eq!(table.since(), since));
    }
}

/// Rows go, the cursor and all other rows stay, and the change index tells what went.
pub fn m_what_is_forgotten_is_gone_and_the_cursor_stays(harness: &dyn TableHarness) {
    let mut table = OpenTable::new(harness);
    let history = History::new(76);
    let no_row = bytes::Bytes::from_static(b"no row");
    refused!(
        table.forget(std::slice::from_ref(&no_row)),
        TableError::Invalid(_)
    );
    apply(&*table, &history, 0, 40);
    table.track_changes(true).unwrap();
    apply(&*table, &history, 40, 60);
    let mut model = TableModel::of(&history, 60);
    let gone: Vec<_> = model.rows.keys().take(2).cloned().collect();
    for _ in 0..2 {
        table
            .forget(&[gone[0].clone(), no_row.clone(), gone[1].clone()])
            .unwrap();
    }
    for key in &gone {
        model.rows.remove(key);
    }
    let changes = table
        .snapshot()
        .unwrap()
        .changes_since(history.cursor(59).sequence);
    let changes: Vec<_> = changes.unwrap().map(Result::unwrap).collect();
    for key in &gone {
        let told = changes
            .iter()
            .any(|change| change.key == key && change.operation == Operation::Delete(DeleteReason::Vanished));
        assert!(told, "{key:?} is in no change: {changes:?}");
    }
    expect(&*table, &model);
    if table.persistent() {
        table.drop_and_reopen();
    }
    expect(&*table, &model);
    table.amend(&[]).unwrap();
    refused!(table.forget(&gone), TableError::Invalid(_));
}

/// A table that nobody bound is bound to the log whose cursor it is given first; another log is refused from then on.
pub fn o7_the_first_cursor_binds_an_unbound_table(harness: &dyn TableHarness) {
    let mut table = OpenTable::new(harness);
    let history = History::new(73);
    apply(&*table, &history, 0, 20);
    for _ in 0..2 {
        let bound = table.binding().expect("what was written to is bound");
        assert_eq!(bound.log, history.log().name);
        let mut other = bound.clone();
        other.log.push('2');
        refused!(table.bind(&other), TableError::Mismatch { .. });
        let mut cursor = history.cursor(30);
        cursor.log.name.push('2');
        refused!(
            table.apply(&history.changes(21..=30), &cursor),
            TableError::Invalid(_)
        );
        if table.persistent() {
            table.drop_and_reopen();
        }
    }
    expect(&*table, &TableModel::of(&history, 20));
}

/// Neither an apply nor a load takes a bound table to another log, though nothing was applied to it yet.
pub fn o7_a_cursor_of_another_log_is_refused_by_a_bound_table(harness: &dyn TableHarness) {
    let table = OpenTable::new(harness);
    let history = History::new(74);
    let mut bound = binding(&history, &[]);
    bound.log.push('2');
    table.bind(&bound).unwrap();
    let model = TableModel::of(&history, 20);
    refused!(
        table.apply(&history.changes(1..=20), &history.cursor(20)),
        TableError::Invalid(_)
    );
    refused!(
        table.load(&mut model.to_load(), &history.cursor(20)),
        TableError::Invalid(_)
    );
    expect(&*table, &TableModel::default());
    assert_eq!(table.binding(), Some(bound));
}
