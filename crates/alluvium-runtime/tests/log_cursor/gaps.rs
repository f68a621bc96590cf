//! What is missing is told once, with the reason, and never for what the scope leaves out.

use alluvium_core::Scope;
use alluvium_runtime::{Gap, GapReason, LogCursor};

use crate::place::Place;
use crate::support::{assert_at_rest, batch, only_a, sequence};

/// What is told: expected, delivered, and first, last and reason of what is missing.
type Told = (u64, Option<u64>, Vec<(u64, u64, GapReason)>);

fn told(cursor: &mut LogCursor) -> Vec<Told> {
    let gaps = cursor.take_gaps();
    assert_eq!(gaps.dropped, 0);
    gaps.gaps.iter().map(of).collect()
}

fn of(gap: &Gap) -> Told {
    let missing = gap.missing.iter().map(|missing| {
        assert!(missing.certain);
        (missing.first.get(), missing.last.unwrap().get(), missing.reason)
    });
    (
        gap.expected.get(),
        gap.delivered.map(alluvium_core::Sequence::get),
        missing.collect(),
    )
}

#[tokio::test]
async fn what_was_removed_amid_the_log_is_told() {
    let place = Place::of(9);
    for removed in [3, 4, 7, 9] {
        assert!(place.log.remove(sequence(removed)));
    }
    let mut cursor = place.open().await;
    assert_eq!(batch(&mut cursor, 100).await, [1, 2, 5, 6, 8]);
    assert_at_rest(&mut cursor);
    let expected = vec![
        (3, Some(5), vec![(3, 4, GapReason::Removed)]),
        (7, Some(8), vec![(7, 7, GapReason::Removed)]),
        (9, None, vec![(9, 9, GapReason::Removed)]),
    ];
    assert_eq!(told(&mut cursor), expected);
    cursor.rollback().await.unwrap();
    assert_eq!(batch(&mut cursor, 100).await, [1, 2, 5, 6, 8]);
    assert_eq!(told(&mut cursor), [], "told once");
}

#[tokio::test]
async fn what_went_under_a_slow_reader_is_told_with_its_reason() {
    let place = Place::of(3_000);
    let mut cursor = place.open().await;
    let first = batch(&mut cursor, 10).await;
    assert_eq!(first.last(), Some(&10));
    // It has 1,024 of them already.
    place.log.evict_before(sequence(2_001));
    place.log.remove(sequence(2_001));
    place.log.remove(sequence(2_003));
    let mut given = 10;
    while given < 3_000 {
        given = *batch(&mut cursor, 5_000).await.last().unwrap();
    }
    let expected = vec![
        (1_025, Some(2_002), vec![(1_025, 2_001, GapReason::Evicted)]),
        (2_003, Some(2_004), vec![(2_003, 2_003, GapReason::Removed)]),
    ];
    assert_eq!(told(&mut cursor), expected);
}

#[tokio::test]
async fn what_the_scope_leaves_out_is_no_gap() {
    let place = Place::of(3_000);
    let mut cursor = place.cursor_of(only_a()).open().await.unwrap();
    let mut given = 0;
    while given < 2_999 {
        given = *batch(&mut cursor, 100).await.last().unwrap();
    }
    assert_at_rest(&mut cursor);
    place.add(5);
    assert_eq!(batch(&mut cursor, 100).await, [3_001, 3_003, 3_005]);
    // Long seen to be left out, and gone only then.
    place.add(1_000);
    place.log.evict_before(sequence(4_001));
    place.add(1);
    assert!(told(&mut cursor).is_empty());
}

/// In a scope that is not everything, what the log has no more is told as uncertain, and what was removed amid it is not.
#[tokio::test]
async fn in_a_scope_what_went_under_a_slow_reader_is_uncertain() {
    let place = Place::of(6_000);
    let mut cursor = place.cursor_of(only_a()).open().await.unwrap();
    batch(&mut cursor, 1).await;
    let arrived = 2 * 1_024 - 1;
    place.log.evict_before(sequence(5_001));
    place.log.remove(sequence(5_003));
    let mut given = 0;
    while given < 5_999 {
        given = *batch(&mut cursor, 5_000).await.last().unwrap();
    }
    let gaps = cursor.take_gaps().gaps;
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    let missing = &gaps[0].missing;
    assert_eq!(missing.len(), 1, "{gaps:?}");
    assert_eq!(
        (
            gaps[0].expected.get(),
            missing[0].first.get(),
            missing[0].last,
            missing[0].certain
        ),
        (arrived + 1, arrived + 1, Some(sequence(5_000)), false)
    );
    assert_eq!(
        gaps[0].to_string(),
        format!(
            "expected {0}, got 5001: {0} to 5000 (evicted; perhaps none in scope)",
            arrived + 1
        )
    );
}

#[tokio::test]
async fn the_oldest_gaps_go_and_are_counted() {
    let place = Place::of(20);
    for removed in (2..20).step_by(2) {
        place.log.remove(sequence(removed));
    }
    let builder = place.cursor_of(Scope::all()).max_gaps(3);
    let mut cursor = builder.open().await.unwrap();
    batch(&mut cursor, 100).await;
    let gaps = cursor.take_gaps();
    let expected: Vec<u64> = gaps.gaps.iter().map(|gap| gap.expected.get()).collect();
    assert_eq!((expected, gaps.dropped), (vec![14, 16, 18], 6));
    assert_eq!(cursor.take_gaps().dropped, 0);
}
