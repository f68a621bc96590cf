//! Obligation 3: snapshots stand still.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use alluvium_core::{KeyRange, TableSnapshot};

use super::one_commit::repair;
use super::{apply, apply_in_batches};
use crate::content::difference;
use crate::support::{OpenTable, Stop, length};
use crate::{History, TableHarness, TableModel};

/// Snapshots of different cursors all stay as they were, changes included, while applies, repairs and loads go on.
pub fn o3_snapshots_stand_still_through_applies_repairs_and_loads(harness: &dyn TableHarness) {
    let table = OpenTable::new(harness);
    let history = History::new(30);
    let mut taken: Vec<(u64, Arc<dyn TableSnapshot>)> = Vec::new();
    apply(&*table, &history, 0, 1);
    table.track_changes(true).unwrap();
    for number in 1..12 {
        apply_in_batches(&*table, &history, (number - 1) * 20 + 1, number * 20 + 1);
        taken.push((number * 20 + 1, table.snapshot().unwrap()));
    }
    let check = |what: &str| {
        for (number, snapshot) in &taken {
            let model = TableModel::of(&history, *number);
            let different = model.difference(snapshot.as_ref()).unwrap();
            assert_eq!(
                different, None,
                "the snapshot of message {number} has moved: {what}"
            );
            let since = History::sequence(1);
            let changes = snapshot.changes_since(since).unwrap();
            let changes: Vec<_> = changes.collect::<Result<_, _>>().unwrap();
            assert_eq!(changes, model.changes_since(since), "{what}");
        }
    };
    check("applies");
    let (from, to) = (TableModel::of(&history, 221), TableModel::of(&history, 300));
    for changes in repair(&from, &to, &history).chunks(20) {
        table.amend(changes).unwrap();
    }
    check("a repair");
    table.apply(&[], &history.cursor(300)).unwrap();
    for number in [400, 500] {
        let model = TableModel::of(&history, number);
        table.load(&mut model.to_load(), &history.cursor(number)).unwrap();
        check("a load");
    }
    apply_in_batches(&*table, &history, 500, 520);
    check("applies after a load");
    table.track_changes(false).unwrap();
    check("the change index switched off");
}

/// A scan that is under way goes on with what its snapshot had, also when the snapshot is let go of and the table
/// loaded anew.
pub fn o3_a_scan_stands_still_and_outlives_its_snapshot(harness: &dyn TableHarness) {
    let table = OpenTable::new(harness);
    let history = History::new(31);
    apply_in_batches(&*table, &history, 0, 200);
    let snapshot = table.snapshot().unwrap();
    let scan = snapshot.scan(&KeyRange::all()).unwrap();
    drop(snapshot);
    let mut found = std::collections::BTreeMap::new();
    let mut at = 200;
    for row in scan {
        found.extend([row.unwrap()]);
        apply(&*table, &history, at, at + 5);
        at += 5;
        if at == 250 {
            let model = TableModel::of(&history, at);
            table.load(&mut model.to_load(), &history.cursor(at)).unwrap();
        }
    }
    assert_eq!(difference(&found, &TableModel::of(&history, 200).rows), None);
}

/// A snapshot that one thread reads stands still at every moment while another applies and loads.
pub fn o3_a_snapshot_stands_still_beside_a_concurrent_writer(harness: &dyn TableHarness) {
    let table = OpenTable::new(harness);
    let history = History::new(32);
    apply_in_batches(&*table, &history, 0, 100);
    let model = TableModel::of(&history, 100);
    let snapshot = table.snapshot().unwrap();
    let (begun, done) = (AtomicBool::new(false), AtomicBool::new(false));
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut at = 100;
            while !done.load(Ordering::Acquire) {
                apply_in_batches(&*table, &history, at, at + 100);
                at += 100;
                let model = TableModel::of(&history, at);
                table.load(&mut model.to_load(), &history.cursor(at)).unwrap();
                begun.store(true, Ordering::Release);
            }
        });
        let stop = Stop(&done);
        let (mut reads, mut moved) = (0, None);
        while !writer.is_finished() && moved.is_none() && reads < length(60, 2_000) {
            moved = model.difference(snapshot.as_ref()).unwrap();
            reads += u64::from(begun.load(Ordering::Acquire));
        }
        drop(stop);
        assert_eq!(moved, None, "the snapshot has moved");
    });
}
