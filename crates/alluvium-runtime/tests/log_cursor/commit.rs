//! A position moves after the work, and not before.

use std::sync::Arc;

use alluvium_core::{Change, CursorStoreError, ErrorKind, Scope, Table};
use alluvium_engine::{EngineTable, TableCursorStore};
use alluvium_memory::MemoryEngine;
use alluvium_runtime::{LogCursor, LogCursorError};

use crate::failing::Failing;
use crate::place::{NAME, Place};
use crate::support::{assert_at_rest, batch, only_a};

#[tokio::test]
async fn what_was_not_committed_is_given_again() {
    let place = Place::of(5);
    let mut cursor = place.open().await;
    assert_eq!(place.stored().await, Some(0), "where it begins is stored");
    assert_eq!(batch(&mut cursor, 2).await, [1, 2]);
    cursor.commit().await.unwrap();
    assert_eq!(batch(&mut cursor, 100).await, [3, 4, 5]);
    assert_eq!(place.stored().await, Some(2));
    assert_eq!(
        (
            cursor.committed().sequence.get(),
            cursor.position().sequence.get()
        ),
        (2, 5)
    );

    cursor.rollback().await.unwrap();
    assert_eq!(batch(&mut cursor, 1).await, [3]);
    let mut second = place.open().await;
    assert_eq!(batch(&mut second, 100).await, [3, 4, 5]);
    second.commit().await.unwrap();
    assert_at_rest(&mut second);
    place.add(1);
    assert_eq!(batch(&mut second, 100).await, [6]);
    assert_eq!(place.stored().await, Some(5));
}

#[tokio::test]
async fn single_messages_come_one_by_one() {
    let place = Place::of(3);
    let mut cursor = place.open().await;
    for number in 1..=3 {
        assert_eq!(cursor.poll().await.unwrap().sequence.get(), number);
        cursor.commit().await.unwrap();
        assert_eq!(place.stored().await, Some(number));
    }
    assert!(cursor.poll_batch(0).await.unwrap().is_empty());
}

#[tokio::test]
async fn whoever_comes_second_fences_the_first() {
    let place = Place::of(5);
    let mut first = place.open().await;
    assert_eq!(batch(&mut first, 2).await, [1, 2]);
    let mut second = place.open().await;
    let error = first.commit().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fenced, "{error:?}");
    assert_eq!(batch(&mut second, 3).await, [1, 2, 3]);
    second.commit().await.unwrap();
    assert_eq!(first.commit().await.unwrap_err().kind(), ErrorKind::Fenced);
    assert_eq!(place.stored().await, Some(3));
}

#[tokio::test]
async fn without_a_store_it_lasts_as_long_as_the_cursor() {
    let place = Place::of(3);
    let mut cursor = LogCursor::builder(Arc::new(place.log.clone()), Scope::all())
        .open()
        .await
        .unwrap();
    assert_eq!(batch(&mut cursor, 2).await, [1, 2]);
    cursor.commit().await.unwrap();
    assert_eq!(batch(&mut cursor, 2).await, [3]);
    cursor.rollback().await.unwrap();
    assert_eq!(batch(&mut cursor, 2).await, [3]);
    let row = Change::put("k", "v", cursor.position().sequence, cursor.position().timestamp);
    let error = cursor.commit_with(vec![row]).await.unwrap_err();
    assert!(matches!(error, LogCursorError::RowsWithoutStore), "{error:?}");
}

/// What has become of a save that failed, the store tells.
#[tokio::test]
async fn after_a_failed_save_it_goes_back_to_what_is_stored() {
    for done in [false, true] {
        let place = Place::of(4);
        // The beginning is stored by somebody for whom nothing fails.
        drop(place.open().await);
        let (store, failures) = Failing::new(&place.store, done);
        let mut cursor = place.cursor().held_in(store, NAME).open().await.unwrap();
        assert_eq!(batch(&mut cursor, 2).await, [1, 2]);
        assert_eq!(cursor.commit().await.unwrap_err().kind(), ErrorKind::Transient);
        assert_eq!(
            *failures.borrow(),
            1,
            "a cursor leaves it to its caller to try again"
        );
        assert_eq!(cursor.committed().sequence.get(), 0);
        cursor.rollback().await.unwrap();
        let expected = if done { vec![3, 4] } else { vec![1, 2, 3, 4] };
        assert_eq!(batch(&mut cursor, 100).await, expected, "done: {done}");
    }
}

#[tokio::test]
async fn it_moves_along_with_what_the_scope_leaves_out() {
    let place = Place::of(4);
    let mut cursor = place.cursor_of(only_a()).open().await.unwrap();
    assert_eq!(batch(&mut cursor, 100).await, [1, 3]);
    assert_at_rest(&mut cursor);
    cursor.commit().await.unwrap();
    assert_eq!(place.stored().await, Some(4));
    place.add(1);
    assert_eq!(batch(&mut cursor, 100).await, [5]);
}

/// A message that has arrived and was not given stands in the way.
#[tokio::test]
async fn it_never_moves_past_what_was_not_given() {
    let place = Place::of(6);
    let mut cursor = place.cursor_of(only_a()).open().await.unwrap();
    assert_eq!(batch(&mut cursor, 1).await, [1]);
    cursor.commit().await.unwrap();
    assert_eq!(place.stored().await, Some(1));
}

/// Rows and position are one commit, across roll-backs, restarts and takeovers: each message counts once.
#[tokio::test]
async fn in_a_table_every_message_counts_once() {
    let place = Place::of(0);
    let engine = Arc::new(MemoryEngine::in_memory());
    let table: Arc<dyn Table> = Arc::new(EngineTable::open(engine, "sums").unwrap());
    let store = Arc::new(TableCursorStore::new(Arc::clone(&table)));
    let sum = |table: &Arc<dyn Table>| -> u64 {
        let row = table.get(b"sum").unwrap();
        row.map_or(0, |row| u64::from_le_bytes(row.value[..].try_into().unwrap()))
    };
    for round in 0..30 {
        place.add(20);
        let builder = LogCursor::builder(Arc::new(place.log.clone()), Scope::all());
        let mut cursor = builder.held_in(store.clone() as _, "sums").open().await.unwrap();
        let mut left = 20;
        while left > 0 {
            let batch = cursor.poll_batch(7).await.unwrap();
            if round % 3 == 0 && left == 13 {
                // The work was done, and is thrown away.
                left = -1;
                break;
            }
            let sum = sum(&table) + batch.iter().map(|change| change.sequence.get()).sum::<u64>();
            let last = batch.last().unwrap();
            let row = Change::put("sum", sum.to_le_bytes().to_vec(), last.sequence, last.timestamp);
            cursor.commit_with(vec![row]).await.unwrap();
            left -= i32::try_from(batch.len()).unwrap();
            if round % 5 == 0 {
                cursor.rollback().await.unwrap();
            }
        }
        let upto = table.cursor().unwrap().sequence.get();
        assert_eq!(sum(&table), upto * (upto + 1) / 2, "round {round}, {left} left");
    }
    let mut cursor = LogCursor::builder(Arc::new(place.log.clone()), Scope::all())
        .held_in(store as _, "sums")
        .open()
        .await
        .unwrap();
    while cursor.position().sequence.get() < 600 {
        let batch = cursor.poll_batch(100).await.unwrap();
        let sum = sum(&table) + batch.iter().map(|change| change.sequence.get()).sum::<u64>();
        let last = batch.last().unwrap();
        let row = Change::put("sum", sum.to_le_bytes().to_vec(), last.sequence, last.timestamp);
        cursor.commit_with(vec![row]).await.unwrap();
    }
    assert_eq!(sum(&table), 600 * 601 / 2);
}

#[tokio::test]
async fn a_name_of_another_log_or_scope_is_refused() {
    let place = Place::of(3);
    drop(place.open().await);
    let error = place.cursor_of(only_a()).open().await.unwrap_err();
    let mismatch =
        |error: &LogCursorError| matches!(error, LogCursorError::Store(CursorStoreError::Mismatch { .. }));
    assert!(mismatch(&error), "{error:?}");
    let other = Arc::new(alluvium_memory::MemoryLog::new("REFUNDS"));
    let builder = LogCursor::builder(other, Scope::all()).held_in(Arc::new(place.store.clone()), NAME);
    let error = builder.open().await.unwrap_err();
    assert!(mismatch(&error), "{error:?}");
    assert_eq!(place.stored().await, Some(0));
}
