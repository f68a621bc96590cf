//! Obligation 7: rows and cursor are one commit, or there are no rows.

use std::sync::Arc;

use alluvium_core::{Change, CursorStoreError, DeleteReason, Sequence, Timestamp};

use super::place::{at, with_place};
use crate::CursorStoreHarness;
use crate::support::refused;

fn row(key: &str, value: &str, sequence: u64) -> Change {
    Change::put(
        key.to_owned(),
        value.to_owned(),
        Sequence::new(sequence),
        Timestamp::from_nanos(9),
    )
}

/// Where there is no table, rows are refused and the cursor stays.
pub fn o7_rows_without_a_table_are_refused(harness: &dyn CursorStoreHarness) {
    with_place(harness, async |place, cursors| {
        let held = cursors.hold(place.name()).await.unwrap();
        held.save_with(&at(1), Arc::default()).await.unwrap();
        refused!(
            held.save_with(&at(2), vec![row("k", "v", 2)].into()).await,
            CursorStoreError::Unsupported { .. }
        );
        assert_eq!(held.load().await.unwrap(), Some(at(1)));
    });
}

/// Rows are there with their cursor, in whatever order they were brought.
pub fn o7_rows_and_cursor_move_together(harness: &dyn CursorStoreHarness) {
    with_place(harness, async |place, cursors| {
        let table = place.table().await;
        let value = |key: &str| table.get(key.as_bytes()).unwrap().map(|row| row.value);
        let held = cursors.hold(place.name()).await.unwrap();
        let rows = vec![row("b", "2", 5), row("a", "first", 3), row("a", "last", 3)];
        held.save_with(&at(5), rows.into()).await.unwrap();
        assert_eq!(value("a").as_deref(), Some(&b"last"[..]));
        assert_eq!(value("b").as_deref(), Some(&b"2"[..]));
        assert_eq!(held.load().await.unwrap(), Some(at(5)));
        assert_eq!(table.cursor(), Some(at(5).cursor));
        let gone = Change::delete(
            "a",
            DeleteReason::Deleted,
            Sequence::new(6),
            Timestamp::from_nanos(9),
        );
        held.save_with(&at(8), vec![gone].into()).await.unwrap();
        assert_eq!(value("a"), None);
        held.save(&at(9)).await.unwrap();
        assert_eq!(table.cursor(), Some(at(9).cursor));
    });
}

/// Rows that the table would take for written before are refused, and so is a cursor that goes back: nothing is left out
/// unnoticed.
pub fn o7_rows_do_not_go_back(harness: &dyn CursorStoreHarness) {
    with_place(harness, async |place, cursors| {
        let table = place.table().await;
        let held = cursors.hold(place.name()).await.unwrap();
        held.save_with(&at(5), vec![row("a", "1", 5)].into())
            .await
            .unwrap();
        for (record, rows) in [
            (at(4), Vec::new()),
            (at(5), vec![row("a", "2", 5)]),
            (at(9), vec![row("a", "2", 4)]),
            (at(9), vec![row("a", "2", 4), row("b", "2", 7)]),
            (at(9), vec![row("b", "2", 10)]),
        ] {
            refused!(
                held.save_with(&record, rows.into()).await,
                CursorStoreError::Invalid(_)
            );
        }
        assert_eq!(held.load().await.unwrap(), Some(at(5)));
        assert_eq!(table.get(b"a").unwrap().unwrap().value, "1");
        assert_eq!(table.get(b"b").unwrap(), None);
        held.save_with(&at(9), vec![row("b", "2", 9)].into())
            .await
            .unwrap();
    });
}

/// Rows of whoever is fenced are not written.
pub fn o7_rows_of_a_fenced_holder_are_not_written(harness: &dyn CursorStoreHarness) {
    with_place(harness, async |place, cursors| {
        let table = place.table().await;
        let first = cursors.hold(place.name()).await.unwrap();
        first
            .save_with(&at(1), vec![row("a", "1", 1)].into())
            .await
            .unwrap();
        let second = cursors.hold(place.name()).await.unwrap();
        refused!(
            first.save_with(&at(3), vec![row("a", "3", 3)].into()).await,
            CursorStoreError::Fenced { .. }
        );
        assert_eq!(table.get(b"a").unwrap().unwrap().value, "1");
        second
            .save_with(&at(2), vec![row("a", "2", 2)].into())
            .await
            .unwrap();
        assert_eq!(table.get(b"a").unwrap().unwrap().value, "2");
    });
}

/// A table is bound to what its first record is a cursor of.
pub fn o7_a_record_of_something_else_is_refused(harness: &dyn CursorStoreHarness) {
    with_place(harness, async |place, cursors| {
        let held = cursors.hold(place.name()).await.unwrap();
        held.save(&at(1)).await.unwrap();
        let mut other = at(2);
        other.scope = alluvium_core::Scope::all();
        refused!(held.save(&other).await, CursorStoreError::Mismatch { .. });
        let mut other = at(2);
        other.cursor.log.name.replace_range(.., "REFUNDS");
        refused!(held.save(&other).await, CursorStoreError::Mismatch { .. });
        let mut recreated = at(2);
        recreated.cursor.log.created = Timestamp::from_nanos(77);
        refused!(held.save(&recreated).await, CursorStoreError::Invalid(_));
        assert_eq!(held.load().await.unwrap(), Some(at(1)));
    });
}
