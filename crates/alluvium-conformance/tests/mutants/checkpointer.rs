//! Checkpointers with one sin each.

mod sinner;

use alluvium_conformance::{CheckpointerHarness, checkpointer as suite};

use self::sinner::{Sin, Sinful};
use super::assert_each_finds;

type Test = fn(&dyn CheckpointerHarness);

/// What a test says when something that it wanted refused was not.
const DONE: &str = "what should have been refused was done";

const MODEL: Test = suite::o1_o4_o5_o7_random_operations_leave_what_they_leave_in_a_map;

#[track_caller]
fn found(sin: Sin, tests: &[(Test, &str)]) {
    assert_each_finds(tests, |test| test(&Sinful(Sin::None)), |test| test(&Sinful(sin)));
}

#[test]
fn a_latest_that_anybody_replaces() {
    found(
        Sin::LastAnnouncedWins,
        &[
            (suite::o1_latest_never_moves_back, DONE),
            (suite::o1_latest_never_names_what_is_not_complete, DONE),
            (suite::o1_latest_never_names_what_has_lost_something, DONE),
            (suite::o1_a_damaged_latest_is_told_and_replaced, DONE),
            (suite::o1_latest_that_names_what_is_gone_does_not_move_back, DONE),
            (suite::o1_of_32_racing_writers_none_moves_latest_back, ""),
            (suite::o1_of_racing_writers_of_one_epoch_one_wins, ""),
            (MODEL, "epoch"),
        ],
    );
}

#[test]
fn bytes_that_are_not_checked() {
    found(
        Sin::NothingIsChecked,
        &[
            (suite::o2_a_flipped_bit_is_found, DONE),
            (suite::o2_another_length_is_found, DONE),
            (suite::o2_a_missing_file_is_named, DONE),
            (suite::o2_what_was_empty_stays_empty, DONE),
        ],
    );
}

#[test]
fn a_fault_that_is_taken_for_none() {
    found(
        Sin::FaultMeansNone,
        &[
            (suite::o3_a_fault_is_never_taken_for_none, "None"),
            (suite::o3_a_permanent_fault_surfaces_at_once, "None"),
        ],
    );
}

#[test]
fn a_permanent_fault_that_is_said_to_pass() {
    found(
        Sin::EverythingPasses,
        &[(suite::o3_a_permanent_fault_surfaces_at_once, "Transient")],
    );
}

#[test]
fn a_deletion_of_what_is_needed() {
    found(
        Sin::DeletesWhatIsNeeded,
        &[
            (suite::o4_what_a_delta_needs_is_not_deleted, DONE),
            (suite::o4_a_chain_is_as_long_as_its_longest_partition, DONE),
            (suite::o4_the_newest_is_not_deleted, DONE),
            (suite::o4_without_latest_the_newest_is_not_deleted, DONE),
            (MODEL, "is in use"),
        ],
    );
}

#[test]
fn manifests_that_are_put_whatever_there_is() {
    found(
        Sin::PutsManifests,
        &[
            (suite::o5_a_manifest_of_what_is_missing_is_refused, DONE),
            (suite::o5_a_manifest_without_its_chain_is_refused, DONE),
            (suite::o5_a_manifest_that_fits_no_parent_is_refused, DONE),
            (suite::o5_a_manifest_is_written_once, DONE),
            (suite::o5_of_racing_manifests_one_is_written, "several were told"),
            (suite::o7_a_writer_taken_for_dead_is_told, DONE),
        ],
    );
}

#[test]
fn checkpoints_that_are_there_before_they_are_complete() {
    found(
        Sin::ListsWhatIsBegun,
        &[
            (suite::o5_without_a_manifest_there_is_nothing, "assertion"),
            (suite::m_what_is_complete_is_listed_by_age, "assertion"),
            (MODEL, "Model"),
        ],
    );
}

#[test]
fn names_that_share_a_path() {
    found(
        Sin::FoldsCase,
        &[(suite::o6_names_of_every_kind_stay_apart_and_inside, "")],
    );
}

#[test]
fn a_prune_without_a_grace_period() {
    found(
        Sin::NoGrace,
        &[
            (suite::o7_within_the_grace_period_nothing_goes, "assertion"),
            (suite::o7_a_prune_disturbs_nobody, ""),
        ],
    );
}

#[test]
fn a_prune_of_what_is_needed() {
    found(
        Sin::PrunesByAge,
        &[
            (suite::o7_the_newest_stay_with_what_they_need, "assertion"),
            (suite::o7_within_the_grace_period_nothing_goes, "assertion"),
        ],
    );
}

#[test]
fn a_prune_that_leaves_no_mark() {
    found(
        Sin::LeavesNoMark,
        &[(suite::o7_a_writer_taken_for_dead_is_told, DONE)],
    );
}

#[test]
fn names_by_the_clock() {
    found(
        Sin::NamesByClock,
        &[(suite::m_names_rise_where_the_clock_went_back, "assertion")],
    );
}

#[test]
fn a_stream_that_fails_and_is_saved() {
    found(
        Sin::SavesHalfStreams,
        &[(suite::m_a_stream_that_fails_leaves_nothing, "after")],
    );
}
