//! Logs with one sin each.

mod reader;
mod sinner;
mod told;
mod world;

use alluvium_conformance::{LogHarness, log as suite};

use self::sinner::Sin;
use self::world::Sinful;
use super::assert_each_finds;

type Test = fn(&dyn LogHarness);

/// What a test says when something that it wanted refused was not.
const DONE: &str = "what should have been refused was done";
const NOT_NEXT: &str = "not the next one";
const NOT_IN_TIME: &str = "nothing came in";
const NO_ERROR: &str = "no error within";
const LEFT: &str = "readers are left";

const MODEL: Test = suite::o1_random_writes_leave_what_they_leave_in_a_map;
const WHATEVER: &str = "";

#[track_caller]
fn found(sin: Sin, tests: &[(Test, &str)]) {
    assert_each_finds(tests, |test| test(&Sinful(Sin::None)), |test| test(&Sinful(sin)));
}

#[test]
fn messages_that_are_skipped() {
    found(
        Sin::SkipsSome,
        &[
            (suite::o1_every_message_comes_in_order_and_once, NOT_NEXT),
            (suite::o1_what_is_written_meanwhile_comes_too, NOT_NEXT),
            (suite::o1_writers_beside_each_other_are_in_one_order, NOT_NEXT),
            (
                suite::o2_a_reader_that_retention_overtakes_is_given_what_is_left,
                NOT_NEXT,
            ),
            (MODEL, "read from"),
        ],
    );
}

#[test]
fn messages_out_of_order() {
    found(
        Sin::SwapsTwo,
        &[
            (suite::o1_every_message_comes_in_order_and_once, NOT_NEXT),
            (suite::o1_readers_are_apart, NOT_NEXT),
        ],
    );
}

#[test]
fn a_scope_that_is_ignored() {
    for sin in [Sin::IgnoresTheScope, Sin::TakesOneFilter] {
        found(
            sin,
            &[
                (suite::o1_a_scope_gives_what_matches_and_nothing_else, "read of"),
                (MODEL, "read from"),
            ],
        );
    }
    found(
        Sin::IgnoresTheScope,
        &[
            (suite::o1_a_scope_holds_for_what_comes_later, "assertion"),
            (suite::o1_readers_are_apart, "assertion"),
        ],
    );
}

#[test]
fn a_read_that_begins_elsewhere() {
    found(
        Sin::BeginsLate,
        &[
            (suite::m_a_read_begins_where_it_is_told, NOT_NEXT),
            (
                suite::m_a_read_from_the_end_of_a_listing_misses_nothing,
                "assertion",
            ),
            (MODEL, "read from"),
        ],
    );
    found(
        Sin::RefusesFromBelow,
        &[(
            suite::m_a_read_from_below_the_first_begins_at_the_first,
            "BeyondEnd",
        )],
    );
    found(
        Sin::WaitsBeyondTheEnd,
        &[
            (suite::m_a_read_from_beyond_the_end_is_refused, DONE),
            (suite::o3_what_was_lost_is_not_there, DONE),
            (suite::o4_a_refused_read_leaves_nothing, DONE),
        ],
    );
}

#[test]
fn messages_that_a_cut_connection_repeats_or_loses() {
    found(
        Sin::RepeatsAfterACut,
        &[
            (
                suite::o1_through_connections_cut_at_rest,
                "after a connection was cut",
            ),
            (suite::o1_through_connections_cut_in_the_flood, NOT_NEXT),
            (suite::o1_what_is_written_while_cut_off_comes, NOT_NEXT),
        ],
    );
    found(
        Sin::LosesAfterACut,
        &[
            (suite::o1_through_connections_cut_in_the_flood, NOT_NEXT),
            (suite::o1_what_is_written_while_cut_off_comes, NOT_NEXT),
        ],
    );
}

#[test]
fn a_reader_that_nobody_wakes() {
    found(
        Sin::NeverWakes,
        &[
            (suite::o1_whoever_waits_is_woken, NOT_IN_TIME),
            (
                suite::m_a_read_from_one_past_the_end_waits_for_the_next,
                NOT_IN_TIME,
            ),
        ],
    );
}

#[test]
fn an_end_that_is_none() {
    found(
        Sin::CaughtUpTooEarly,
        &[
            (
                suite::o1_caught_up_is_told_at_the_end_and_not_before,
                "before 1 of",
            ),
            (suite::o1_a_scope_gives_what_matches_and_nothing_else, "read of"),
            (MODEL, "read from"),
        ],
    );
    found(
        Sin::CaughtUpAgain,
        &[(
            suite::o1_caught_up_is_told_at_the_end_and_not_before,
            "told again",
        )],
    );
    found(
        Sin::CaughtUpOfWhatIsWantedOnly,
        &[(suite::o1_the_end_moves_on_with_what_is_not_wanted, NOT_IN_TIME)],
    );
}

#[test]
fn a_reader_that_holds_everything() {
    found(
        Sin::ReadsAheadWithoutBound,
        &[
            (suite::o2_a_reader_that_is_not_polled_holds_little, "it held"),
            (
                suite::o2_a_reader_that_retention_overtakes_is_given_what_is_left,
                "assertion",
            ),
            (
                suite::o3_a_deleted_log_ends_a_reader_in_the_flood,
                "came of a log that was gone",
            ),
        ],
    );
}

#[test]
fn a_reader_that_throws_away_what_it_has_no_room_for() {
    found(
        Sin::DropsWhatIsNotPolled,
        &[(suite::o2_a_slow_reader_misses_nothing, NOT_NEXT)],
    );
}

#[test]
fn a_deleted_log_that_goes_unnoticed() {
    found(
        Sin::DeletedUnnoticed,
        &[
            (suite::o3_a_deleted_log_ends_a_reader_at_rest, NO_ERROR),
            (suite::o3_every_reader_of_a_deleted_log_is_told, NO_ERROR),
            (suite::o3_a_log_deleted_while_cut_off_is_not_found, NO_ERROR),
        ],
    );
}

#[test]
fn a_recreated_log_that_goes_unnoticed() {
    found(
        Sin::RecreatedUnnoticed,
        &[
            (suite::o3_a_recreated_log_ends_a_reader, NO_ERROR),
            (suite::o3_a_log_recreated_while_cut_off_is_replaced, NO_ERROR),
        ],
    );
    found(
        Sin::KeepsItsIdentity,
        &[(
            suite::o3_a_recreated_log_is_another,
            "another log has another identity",
        )],
    );
    found(
        Sin::ListsWhatStaysOnly,
        &[(
            suite::o3_a_listing_of_a_log_that_goes_is_whole_or_an_error,
            "said to be whole",
        )],
    );
}

#[test]
fn a_lost_tail_that_goes_unnoticed() {
    found(
        Sin::LostTailUnnoticed,
        &[
            (suite::o3_a_lost_tail_ends_a_reader, NO_ERROR),
            (suite::o3_a_lost_tail_that_grew_again_ends_a_reader, WHATEVER),
        ],
    );
}

#[test]
fn an_error_that_is_not_the_end() {
    found(
        Sin::GoesOnAfterAnError,
        &[
            (
                suite::o3_a_deleted_log_ends_a_reader_at_rest,
                "an error is the last item",
            ),
            (suite::o3_a_lost_tail_ends_a_reader, "an error is the last item"),
        ],
    );
    found(
        Sin::EndsWithoutAWord,
        &[
            (
                suite::o3_a_deleted_log_ends_a_reader_at_rest,
                "ended without an error",
            ),
            (suite::o3_a_recreated_log_ends_a_reader, "ended without an error"),
            (suite::o3_a_lost_tail_ends_a_reader, "ended without an error"),
        ],
    );
}

#[test]
fn what_the_server_keeps_of_who_is_gone() {
    found(
        Sin::LeavesReaders,
        &[
            (suite::o4_dropped_readers_leave_nothing, LEFT),
            (suite::o4_cut_connections_leave_one_reader, LEFT),
            (suite::o4_a_reader_dropped_while_cut_off_leaves_nothing, LEFT),
        ],
    );
    found(Sin::LeavesListings, &[(suite::o4_listings_leave_nothing, LEFT)]);
    found(
        Sin::LeavesReadersAtACut,
        &[(suite::o4_cut_connections_leave_one_reader, LEFT)],
    );
    found(
        Sin::LeavesRefusedReads,
        &[(suite::o4_a_refused_read_leaves_nothing, "assertion")],
    );
}
