//! Backends with one sin each.

mod sinner;

use alluvium_conformance::{BackendHarness, backend as suite};

use self::sinner::{Sin, Sinful};
use super::{assert_each_finds, assert_found};

mod sound {
    use super::Sinful;

    alluvium_conformance::backend_suite!(Sinful, shared in_process);
}

type Test = fn(&dyn BackendHarness);

/// What a test says when something that it wanted refused was not.
const DONE: &str = "what should have been refused was done";
/// What it says of a partial that is not what it should be.
const NOT: &str = ", not ";

const MODEL: Test = suite::o1_o2_o3_o5_o6_random_operations_leave_what_they_leave_in_a_map;

#[track_caller]
fn found(sin: Sin, tests: &[(Test, &str)]) {
    assert_each_finds(tests, |test| test(&Sinful(Sin::None)), |test| test(&Sinful(sin)));
}

#[test]
fn a_write_that_returns_too_early() {
    found(
        Sin::OneWriteBehind,
        &[
            (suite::o1_a_partial_is_readable_when_the_write_returns, NOT),
            (suite::o1_what_was_written_survives_a_drop_without_a_close, NOT),
            (suite::o1_another_handle_reads_what_was_written, NOT),
            (MODEL, "not as it should be"),
        ],
    );
}

#[test]
fn a_first_write_that_wins() {
    found(
        Sin::FirstWriteWins,
        &[
            (suite::o2_the_last_write_wins, NOT),
            (suite::o2_the_last_write_wins_after_a_reopen, NOT),
            (suite::o4_a_seal_takes_the_last_version_of_each_vnode, NOT),
            (MODEL, "not as it should be"),
        ],
    );
}

#[test]
fn a_lower_version_that_replaces_a_higher_one() {
    found(
        Sin::VersionsDoNotCount,
        &[
            (suite::o2_a_lower_version_never_replaces_a_higher_one, DONE),
            (suite::o5_a_writer_below_the_fence_is_refused, DONE),
        ],
    );
}

#[test]
fn a_sealed_epoch_that_is_written_again() {
    found(
        Sin::SealedIsOverwritten,
        &[
            (suite::o2_other_bytes_are_refused_after_the_seal, DONE),
            (suite::o2_a_vnode_outside_the_seal_is_refused, DONE),
            (suite::o2_a_write_after_anothers_seal_is_in_vain, NOT),
            (MODEL, "not as it should be"),
        ],
    );
}

#[test]
fn an_epoch_that_is_complete_too_early() {
    found(
        Sin::CompleteIfAny,
        &[
            (
                suite::o3_an_epoch_is_complete_only_with_every_partial,
                "assertion",
            ),
            (suite::o3_epochs_are_apart, "assertion"),
            (MODEL, "epoch"),
        ],
    );
}

#[test]
fn an_epoch_that_everyone_seals() {
    found(
        Sin::EveryoneSeals,
        &[
            (suite::o3_another_instance_is_told_who_sealed, DONE),
            (suite::o3_of_32_racing_sealers_one_wins, "was sealed by"),
        ],
    );
}

#[test]
fn a_seal_that_is_no_compare_and_swap() {
    found(
        Sin::LooksThenSeals,
        &[(suite::o3_of_32_racing_sealers_one_wins, "was sealed by")],
    );
}

#[test]
fn a_seal_that_covers_more_than_it_names() {
    found(
        Sin::MoreThanSealedIsFine,
        &[
            (suite::o3_asking_for_more_than_was_sealed_is_refused, DONE),
            (MODEL, "the answer is Ok(true)"),
        ],
    );
}

#[test]
fn handles_without_a_name_that_are_one_instance() {
    found(
        Sin::NamelessAreOne,
        &[(
            suite::o3_handles_without_a_name_are_different_instances,
            "assertion",
        )],
    );
}

#[test]
fn a_sealed_epoch_that_is_read_past_the_seal() {
    found(
        Sin::ReadsPastTheSeal,
        &[
            (suite::o4_a_seal_names_exactly_what_belongs_to_it, NOT),
            (MODEL, "not as it should be"),
        ],
    );
}

#[test]
fn a_fence_in_memory() {
    found(
        Sin::FenceInMemory,
        &[
            (suite::o5_the_fence_survives_a_reopen, "assertion"),
            (suite::o5_who_was_never_told_is_refused, ""),
        ],
    );
}

#[test]
fn a_fence_that_falls() {
    found(Sin::FenceFalls, &[(suite::o5_the_fence_only_rises, DONE)]);
}

#[test]
fn a_fence_that_is_told_and_not_raised() {
    found(
        Sin::ToldIsStored,
        &[(suite::o5_what_a_handle_is_told_is_not_stored, "assertion")],
    );
}

#[test]
fn partials_below_the_fence_that_are_sealed() {
    found(
        Sin::OldPartialsCount,
        &[
            (suite::o5_partials_below_the_fence_do_not_count, "assertion"),
            (MODEL, "epoch"),
        ],
    );
}

#[test]
fn a_fence_that_hides_what_was_sealed() {
    found(
        Sin::FenceHidesTheSealed,
        &[
            (suite::o5_what_was_sealed_before_the_fence_stays, NOT),
            (
                suite::o5_what_was_sealed_before_the_fence_stays_after_a_reopen,
                NOT,
            ),
            (MODEL, "not as it should be"),
        ],
    );
}

#[test]
fn a_prune_that_takes_too_much() {
    found(
        Sin::PrunesOneMore,
        &[
            (
                suite::o6_pruning_removes_what_is_below_and_keeps_the_rest,
                "assertion",
            ),
            (suite::o6_pruning_is_safe_beside_a_writer_and_a_reader, ""),
            (MODEL, ""),
        ],
    );
}

#[test]
fn a_prune_that_leaves_the_seals() {
    found(
        Sin::PruneLeavesSeals,
        &[
            (suite::o6_pruning_again_changes_nothing, "assertion"),
            (MODEL, "assertion"),
        ],
    );
}

#[test]
fn a_pruned_epoch_that_comes_back() {
    found(
        Sin::PrunedComesBack,
        &[
            (suite::o6_a_pruned_epoch_does_not_come_back, DONE),
            (suite::o6_what_was_pruned_stays_so_after_a_reopen, DONE),
            (MODEL, "was pruned"),
        ],
    );
}

#[test]
fn a_write_up_to_its_fault() {
    found(
        Sin::WritesUpToTheFault,
        &[
            (suite::o7_a_vnode_out_of_range_is_refused, NOT),
            (suite::o7_a_vnode_named_twice_is_refused, NOT),
        ],
    );
}

#[test]
fn a_number_of_vnodes_that_is_forgotten() {
    found(
        Sin::AnyVnodeCount,
        &[(suite::o7_another_number_of_vnodes_is_refused, DONE)],
    );
}

#[test]
fn an_empty_partial_that_is_taken_for_none() {
    found(
        Sin::EmptyIsNone,
        &[(suite::m_an_empty_partial_is_there, "assertion")],
    );
}

#[test]
fn a_write_without_a_bound() {
    found(Sin::NoBound, &[(suite::m_too_many_bytes_are_refused, DONE)]);
}

#[test]
fn a_latest_epoch_that_is_not_the_highest() {
    found(
        Sin::LatestIsLast,
        &[(suite::m_the_latest_complete_epoch_is_the_highest, "assertion")],
    );
}

#[test]
fn a_closed_backend_that_answers() {
    found(
        Sin::ClosedAnswers,
        &[(suite::m_a_closed_backend_says_so, "assertion")],
    );
}

/// Given to the form for backends that persist and are shared.
#[test]
fn a_backend_that_is_given_to_the_wrong_form() {
    found(
        Sin::NothingIsShared,
        &[
            (suite::o1_what_was_written_survives_a_close, NOT),
            (suite::o1_another_handle_reads_what_was_written, NOT),
        ],
    );
    assert_found(
        || suite::o1_a_backend_in_memory_begins_empty(&Sinful(Sin::None)),
        "leave out `volatile`",
    );
    assert_found(
        || suite::m_open_table_gives_tables_that_stay(&Sinful(Sin::None)),
        "Unsupported",
    );
}
