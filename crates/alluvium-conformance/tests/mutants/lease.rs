//! Lease stores with one sin each.

mod sinner;

use alluvium_conformance::{LeaseHarness, lease as suite};

use self::sinner::{Sin, Sinful};
use super::assert_each_finds;

type Test = fn(&dyn LeaseHarness);

/// What a test says when something that it wanted refused was not.
const DONE: &str = "what should have been refused was done";

const MODEL: Test = suite::o1_o2_o3_o4_o5_random_calls_leave_what_they_leave_in_a_model;

#[track_caller]
fn found(sin: Sin, tests: &[(Test, &str)]) {
    assert_each_finds(tests, |test| test(&Sinful(Sin::None)), |test| test(&Sinful(sin)));
}

#[test]
fn a_record_that_the_last_one_writes() {
    found(
        Sin::LastWriterWins,
        &[(suite::o1_of_32_who_race_one_acquires_it, "round")],
    );
}

#[test]
fn a_holder_that_is_known_by_its_name() {
    found(
        Sin::TheNameIsTheHolder,
        &[
            (suite::o1_who_comes_second_is_told_who_holds_it, "assertion"),
            (MODEL, ""),
        ],
    );
}

#[test]
fn a_renewal_that_is_not_written() {
    found(
        Sin::RenewsNothing,
        &[
            (suite::o1_a_renewed_lease_lasts_longer, "should hold it"),
            (MODEL, ""),
        ],
    );
}

#[test]
fn a_lease_that_is_never_over() {
    found(
        Sin::TimeStandsStill,
        &[
            (suite::o2_a_lease_that_is_over_is_taken_over, "should be free"),
            (suite::o4_a_completed_lease_rests, "should be free"),
            (MODEL, ""),
        ],
    );
}

#[test]
fn a_lease_that_is_over_too_soon() {
    found(
        Sin::OverTooSoon,
        &[
            (suite::o2_a_lease_that_is_over_is_taken_over, "should hold it"),
            (suite::o4_a_completed_lease_rests, "assertion"),
        ],
    );
}

#[test]
fn what_cannot_be_read_and_keeps_everybody_out() {
    found(
        Sin::GarbageKeepsOut,
        &[
            (suite::o2_what_cannot_be_read_is_taken_over, "Corrupt"),
            (MODEL, "Corrupt"),
        ],
    );
}

#[test]
fn a_newer_record_that_is_taken_for_garbage() {
    found(
        Sin::NewerIsGarbage,
        &[(suite::o2_a_record_of_a_newer_version_is_left_alone, DONE)],
    );
}

#[test]
fn clocks_that_are_believed() {
    found(
        Sin::BelievesEveryClock,
        &[(
            suite::o2_a_clock_that_was_far_ahead_keeps_nobody_out,
            "should be free",
        )],
    );
}

#[test]
fn a_zombie_that_is_not_told() {
    found(
        Sin::ZombiesAreNotTold,
        &[
            (suite::o3_a_zombie_is_told_and_its_successor_stays, DONE),
            (suite::o2_by_the_clock_of_the_machine_a_lease_is_taken_over, DONE),
            (suite::o2_what_cannot_be_read_is_taken_over, DONE),
            (suite::o6_to_end_it_again_changes_nothing, DONE),
            (MODEL, DONE),
        ],
    );
}

#[test]
fn a_zombie_that_frees_what_its_successor_holds() {
    found(
        Sin::ZombiesFree,
        &[
            (
                suite::o3_a_zombie_is_told_and_its_successor_stays,
                "not the error",
            ),
            (MODEL, ""),
        ],
    );
}

#[test]
fn a_lease_that_is_lost_when_it_is_over() {
    found(
        Sin::LostWhenOver,
        &[
            (
                suite::o3_a_lease_that_is_over_is_not_lost_before_it_is_taken,
                "Lost",
            ),
            (MODEL, "Lost"),
        ],
    );
}

#[test]
fn a_completed_lease_that_does_not_rest() {
    found(
        Sin::NeverRests,
        &[(suite::o4_a_completed_lease_rests, "Yes"), (MODEL, "")],
    );
}

#[test]
fn a_note_that_is_lost() {
    found(
        Sin::LosesTheNote,
        &[
            (suite::o4_a_completed_lease_rests, "assertion"),
            (suite::o4_an_abandoned_lease_is_free_at_once, "assertion"),
            (MODEL, ""),
        ],
    );
}

#[test]
fn an_abandoned_lease_that_is_kept() {
    found(
        Sin::AbandonsNothing,
        &[
            (suite::o4_an_abandoned_lease_is_free_at_once, "should be free"),
            (MODEL, ""),
        ],
    );
}

#[test]
fn names_that_share_a_lease() {
    found(
        Sin::FoldsCase,
        &[(suite::o5_names_of_every_kind_stay_apart, ""), (MODEL, "")],
    );
}

#[test]
fn times_that_make_no_sense_and_are_taken() {
    found(
        Sin::TakesEveryTime,
        &[(suite::o5_what_makes_no_sense_is_refused, DONE)],
    );
}

#[test]
fn an_end_that_is_an_error_the_second_time() {
    found(
        Sin::EndsOnce,
        &[
            (suite::o6_to_end_it_again_changes_nothing, "Lost"),
            (MODEL, "Lost"),
        ],
    );
}

#[test]
fn an_assignment_version_that_is_the_time() {
    found(
        Sin::VersionByTheClock,
        &[
            (
                suite::o7_the_assignment_version_rises_with_every_acquisition,
                "was before",
            ),
            (MODEL, ""),
        ],
    );
}

#[test]
fn an_assignment_version_that_begins_anew_after_damage() {
    found(
        Sin::VersionBeginsAnew,
        &[
            (
                suite::o7_the_assignment_version_rises_past_what_cannot_be_read,
                "was before",
            ),
            (MODEL, ""),
        ],
    );
}
