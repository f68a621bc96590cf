//! Where a cursor begins, and what it says to a log that is not what it was.

use alluvium_core::{ErrorKind, ReconcileReason};
use alluvium_runtime::{GapReason, LogCursorError, OnLoss, StartAt};

use crate::place::Place;
use crate::support::{assert_at_rest, batch, only_a, sequence, try_batch};

#[tokio::test]
async fn it_begins_where_it_is_told_and_remembers_that() {
    for (start_at, begins, given) in [
        (StartAt::Oldest, 2, vec![3, 4, 5, 6]),
        (StartAt::Sequence(sequence(1)), 2, vec![3, 4, 5, 6]),
        (StartAt::Sequence(sequence(5)), 4, vec![5, 6]),
        (StartAt::Sequence(sequence(100)), 5, vec![6]),
        (StartAt::Next, 5, vec![6]),
    ] {
        let place = Place::of(5);
        place.log.evict_before(sequence(3));
        drop(place.cursor().start_at(start_at).open().await.unwrap());
        assert_eq!(place.stored().await, Some(begins), "{start_at:?}");
        place.add(1);
        // From the second time on it goes by what is stored.
        let mut cursor = place.open().await;
        assert_eq!(batch(&mut cursor, 100).await, given, "{start_at:?}");
        assert!(cursor.take_gaps().gaps.is_empty(), "{start_at:?}");
    }
}

#[tokio::test]
async fn an_empty_log_is_waited_for() {
    for start_at in [StartAt::Oldest, StartAt::Next, StartAt::Sequence(sequence(9))] {
        let place = Place::of(0);
        let mut cursor = place.cursor().start_at(start_at).open().await.unwrap();
        assert_at_rest(&mut cursor);
        place.add(2);
        assert_eq!(batch(&mut cursor, 100).await, [1, 2]);
    }
}

/// What has become of a log, what is said of that, and what is given if it may go on.
type Break = (&'static str, fn(&Place), ReconcileReason, GapReason, Vec<u64>);

/// Between two runs.
fn breaks() -> [Break; 3] {
    [
        (
            "created again",
            |place| {
                place.log.replace();
                place.add(3);
            },
            ReconcileReason::LogReplaced,
            GapReason::LogReplaced,
            vec![1, 2, 3],
        ),
        (
            "lost its tail",
            |place| place.log.cut_after(sequence(2)),
            ReconcileReason::TailLost,
            GapReason::TailLost,
            vec![],
        ),
        (
            "another history",
            |place| {
                place.log.cut_after(sequence(2));
                place.add(4);
            },
            ReconcileReason::HistoryChanged,
            GapReason::HistoryChanged,
            vec![1, 2, 3, 4, 5, 6],
        ),
    ]
}

#[tokio::test]
async fn a_position_that_means_nothing_is_told_and_stays() {
    for (what, happens, expected, ..) in breaks() {
        let place = Place::of(5);
        let mut cursor = place.open().await;
        batch(&mut cursor, 5).await;
        cursor.commit().await.unwrap();
        drop(cursor);
        happens(&place);
        for _ in 0..2 {
            let error = place.cursor().open().await.unwrap_err();
            assert!(
                matches!(&error, LogCursorError::Lost { reason, position }
                    if *reason == expected && position.sequence == sequence(5)),
                "{what}: {error:?}"
            );
            assert_eq!(error.kind(), ErrorKind::Unavailable);
        }
        assert_eq!(place.stored().await, Some(5), "{what}");
    }
}

#[tokio::test]
async fn where_it_may_it_goes_on_and_tells() {
    for (what, happens, _, expected, given) in breaks() {
        let place = Place::of(5);
        let mut cursor = place.open().await;
        batch(&mut cursor, 5).await;
        cursor.commit().await.unwrap();
        drop(cursor);
        happens(&place);
        let builder = place.cursor().on_break(OnLoss::Continue);
        let mut cursor = builder.open().await.unwrap();
        let gaps = cursor.take_gaps().gaps;
        assert_eq!(gaps.len(), 1, "{what}: {gaps:?}");
        assert_eq!(gaps[0].expected, sequence(6), "{what}");
        assert_eq!(
            (
                gaps[0].missing[0].reason,
                gaps[0].missing[0].last,
                gaps[0].missing[0].certain
            ),
            (expected, None, false),
            "{what}"
        );
        if given.is_empty() {
            assert_at_rest(&mut cursor);
            place.add(1);
            assert_eq!(batch(&mut cursor, 100).await, [3], "{what}");
        } else {
            assert_eq!(batch(&mut cursor, 100).await, given, "{what}");
        }
        cursor.rollback().await.unwrap();
        let again = batch(&mut cursor, 100).await;
        assert!(given.is_empty() || again == given, "{what}: {again:?}");
        cursor.commit().await.unwrap();
        drop(cursor);
        let mut cursor = place.open().await;
        assert_at_rest(&mut cursor);
        assert!(cursor.take_gaps().gaps.is_empty(), "{what}");
    }
}

/// The same under a running cursor.
#[tokio::test]
async fn a_log_that_changes_while_it_is_read_is_told() {
    let place = Place::of(5);
    let mut cursor = place.open().await;
    batch(&mut cursor, 5).await;
    place.log.replace();
    place.add(2);
    for _ in 0..2 {
        let error = try_batch(&mut cursor, 5).await.unwrap_err();
        assert!(
            matches!(
                &error,
                LogCursorError::Lost {
                    reason: ReconcileReason::LogReplaced,
                    ..
                }
            ),
            "{error:?}"
        );
    }

    let place = Place::of(5);
    let builder = place.cursor().on_break(OnLoss::Continue);
    let mut cursor = builder.open().await.unwrap();
    batch(&mut cursor, 5).await;
    place.log.replace();
    place.add(2);
    assert_eq!(batch(&mut cursor, 5).await, [1, 2]);
    let gaps = cursor.take_gaps().gaps;
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    cursor.commit().await.unwrap();
    assert_eq!(place.stored().await, Some(2));
}

#[tokio::test]
async fn an_overrun_is_told_or_refused() {
    for (scope, certain) in [(alluvium_core::Scope::all(), true), (only_a(), false)] {
        let place = Place::of(10);
        let mut cursor = place.cursor_of(scope.clone()).open().await.unwrap();
        batch(&mut cursor, 1).await;
        cursor.commit().await.unwrap();
        drop(cursor);
        place.log.evict_before(sequence(7));
        let strict = place.cursor_of(scope.clone()).on_overrun(OnLoss::Stop);
        let error = strict.open().await.unwrap_err();
        assert!(
            matches!(
                &error,
                LogCursorError::Lost {
                    reason: ReconcileReason::Overrun,
                    ..
                }
            ),
            "{error:?}"
        );
        let mut cursor = place.cursor_of(scope).open().await.unwrap();
        let gaps = cursor.take_gaps();
        assert_eq!(gaps.gaps.len(), 1, "{gaps:?}");
        let missing = &gaps.gaps[0].missing[0];
        assert_eq!(
            (
                missing.first.get(),
                missing.last.map(alluvium_core::Sequence::get)
            ),
            (2, Some(6))
        );
        assert_eq!((missing.reason, missing.certain), (GapReason::Evicted, certain));
        assert_eq!(batch(&mut cursor, 1).await, [7]);
        // What is read again is not told again.
        cursor.rollback().await.unwrap();
        assert_eq!(batch(&mut cursor, 1).await, [7]);
        assert!(cursor.take_gaps().gaps.is_empty());
    }
}

#[tokio::test]
async fn a_purged_log_is_told_and_goes_on() {
    let place = Place::of(10);
    drop(place.open().await);
    place.log.evict_before(sequence(11));
    let mut cursor = place.open().await;
    let gaps = cursor.take_gaps().gaps;
    assert_eq!(gaps[0].to_string(), "expected 1: 1 to 10 (evicted)");
    assert_at_rest(&mut cursor);
    place.add(1);
    assert_eq!(batch(&mut cursor, 5).await, [11]);
    cursor.commit().await.unwrap();
    assert_eq!(place.stored().await, Some(11));
}
