//! The decision over its whole input space, against an oracle that asks what a reader would come to miss.

use super::*;
use crate::{LogIdentity, Retention};

const THIS_LOG: i64 = 100;
const EARLIER_LOG: i64 = 50;

fn log(created: i64) -> LogIdentity {
    LogIdentity::new("KV_a", Timestamp::from_nanos(created))
}

fn bounds(first: u64, last: u64) -> Bounds {
    Bounds {
        log: log(THIS_LOG),
        first: Sequence::new(first),
        last: Sequence::new(last),
        messages: (last + 1).saturating_sub(first),
        bytes: 0,
        retention: Retention::default(),
    }
}

/// What the truth demands, told without the order of checks that `plan` has: reading on is right exactly when the
/// table is a prefix of this very log and every message after the prefix can still be had.
fn must_reconcile(
    cursor: Option<&Cursor>,
    has_rows: bool,
    bounds: &Bounds,
    at_cursor: Option<Timestamp>,
) -> bool {
    let Some(cursor) = cursor else { return has_rows };
    let same_log = cursor.log.created == bounds.log.created;
    let inside = cursor.sequence.get() <= bounds.last.get();
    let same_message = cursor.sequence.get() == 0 || at_cursor.is_none_or(|found| found == cursor.timestamp);
    let nothing_missed = cursor.sequence.get() + 1 >= bounds.first.get() || !has_rows;
    !(same_log && inside && same_message && nothing_missed)
}

#[test]
fn the_whole_input_space_agrees_with_the_oracle() {
    let mut seen = 0;
    for last in 0..6_u64 {
        for first in 1..=last + 1 {
            let bounds = bounds(first, last);
            let mut cursors = vec![None];
            for created in [THIS_LOG, EARLIER_LOG] {
                for sequence in 0..8 {
                    cursors.push(Some(
                        Cursor::start_of(log(created)).at(Sequence::new(sequence), Timestamp::from_nanos(7)),
                    ));
                }
            }
            for cursor in &cursors {
                for has_rows in [false, true] {
                    for at_cursor in [
                        None,
                        Some(Timestamp::from_nanos(7)),
                        Some(Timestamp::from_nanos(8)),
                    ] {
                        for bound_to in [None, Some("KV_a"), Some("KV_b")] {
                            seen += 1;
                            let input = PlanInput {
                                bound_to,
                                scope: &Scope::all(),
                                mode: Mode::Mirror,
                                cursor: cursor.as_ref(),
                                has_rows,
                                has_evicted: false,
                                vanished: false,
                                bounds: &bounds,
                                at_cursor,
                                newest: None,
                            };
                            check(&input);
                        }
                    }
                }
            }
        }
    }
    assert_eq!(seen, 21 * 17 * 2 * 3 * 3, "the space is enumerated, not sampled");
}

fn check(input: &PlanInput<'_>) {
    let decided = plan(input);
    if input.bound_to == Some("KV_b") {
        assert!(
            matches!(decided, Plan::Refuse(RefuseReason::OtherLog { .. })),
            "{input:?}: {decided:?}"
        );
        return;
    }
    let reconcile = must_reconcile(input.cursor, input.has_rows, input.bounds, input.at_cursor);
    match decided {
        Plan::Reconcile(_) => assert!(reconcile, "{input:?} was reconciled for nothing: {decided:?}"),
        Plan::Resume { from } => {
            assert!(!reconcile, "{input:?} was resumed from {from}");
            assert!(
                from >= input.bounds.first,
                "{input:?}: {from} would be moved up silently"
            );
            assert!(
                from <= input.bounds.last.next(),
                "{input:?}: {from} would wait for ever"
            );
            let applied = input.cursor.map_or(Sequence::ZERO, |cursor| cursor.sequence);
            assert!(from > applied, "{input:?}: {from} was applied already");
        }
        Plan::Restore { .. } | Plan::Refuse(_) => panic!("{input:?}: {decided:?}"),
    }
}

#[test]
fn a_cursor_alone_names_its_log_too() {
    let cursor = Cursor::start_of(LogIdentity::new("KV_b", Timestamp::from_nanos(THIS_LOG)));
    let bounds = bounds(1, 0);
    let input = PlanInput {
        bound_to: None,
        scope: &Scope::all(),
        mode: Mode::Mirror,
        cursor: Some(&cursor),
        has_rows: false,
        has_evicted: false,
        vanished: false,
        bounds: &bounds,
        at_cursor: None,
        newest: None,
    };
    assert!(matches!(plan(&input), Plan::Refuse(_)));
}
