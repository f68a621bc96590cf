//! Transports with one sin each.

mod sinner;
mod upload;

use alluvium_conformance::{TransportHarness, transport as suite};

use self::sinner::{Sin, Sinful};
use super::assert_each_finds;

type Test = fn(&dyn TransportHarness);

/// What a test says when something that it wanted refused was not.
const DONE: &str = "what should have been refused was done";
/// What it says when something that it wanted superseded was not.
const NOT_SUPERSEDED: &str = "it is not superseded";

const MODEL: Test = suite::o3_o4_o7_o8_random_operations_leave_what_they_leave_in_a_list;

#[track_caller]
fn found(sin: Sin, tests: &[(Test, &str)]) {
    assert_each_finds(tests, |test| test(&Sinful(Sin::None)), |test| test(&Sinful(sin)));
}

#[test]
fn a_segment_that_costs_a_pack() {
    found(
        Sin::ReadsWholePacks,
        &[(suite::o1_a_segment_is_one_read, "requests for one segment")],
    );
}

#[test]
fn an_upload_of_what_is_there() {
    found(
        Sin::UploadsWhatIsShared,
        &[
            (
                suite::o2_an_export_costs_what_changed,
                "other bytes than it was told",
            ),
            (suite::m_a_draft_without_segments_uploads_a_manifest, "assertion"),
        ],
    );
}

#[test]
fn a_pointer_that_the_last_one_replaces() {
    found(
        Sin::LastPublisherWins,
        &[
            (
                suite::o3_a_draft_on_an_older_artifact_is_superseded,
                NOT_SUPERSEDED,
            ),
            (suite::o3_a_draft_on_nothing_replaces_nothing, NOT_SUPERSEDED),
            (suite::o3_o8_of_16_racing_publishers_one_publishes, ""),
            (MODEL, NOT_SUPERSEDED),
        ],
    );
}

#[test]
fn a_pointer_that_goes_back() {
    found(
        Sin::CursorFalls,
        &[
            (suite::o3_the_cursor_never_falls, NOT_SUPERSEDED),
            (suite::o3_a_log_that_was_created_again_is_ahead, NOT_SUPERSEDED),
            (
                suite::o5_what_replaces_a_damaged_pointer_does_not_go_back,
                NOT_SUPERSEDED,
            ),
        ],
    );
}

#[test]
fn a_newer_pointer_that_is_replaced() {
    found(
        Sin::ReplacesWhatIsNewer,
        &[(suite::o5_a_newer_pointer_is_never_replaced, DONE)],
    );
}

#[test]
fn an_artifact_on_what_is_gone() {
    found(
        Sin::BuildsOnNothing,
        &[(
            suite::o3_a_draft_on_what_is_gone_publishes_nothing,
            "a delta to nothing is published",
        )],
    );
}

#[test]
fn a_key_of_any_table() {
    found(
        Sin::AnyTable,
        &[(suite::o3_another_table_under_a_key_is_refused, DONE)],
    );
}

#[test]
fn a_pointer_before_its_pack() {
    found(
        Sin::PointerFirst,
        &[
            (suite::o4_a_stream_that_fails_publishes_nothing, "assertion"),
            (
                suite::o4_an_upload_that_is_dropped_publishes_nothing,
                "the newest is another",
            ),
            (suite::o3_who_is_overtaken_meanwhile_is_superseded, NOT_SUPERSEDED),
        ],
    );
}

#[test]
fn half_a_stream_that_is_published() {
    found(
        Sin::PublishesHalfStreams,
        &[(suite::o4_a_stream_that_fails_publishes_nothing, DONE)],
    );
}

#[test]
fn garbage_that_nobody_knows() {
    found(
        Sin::LeavesWhatFailed,
        &[
            (suite::o4_a_stream_that_fails_publishes_nothing, "left after"),
            (
                suite::o4_a_segment_of_another_length_is_refused,
                "a segment of another length",
            ),
            (
                suite::o4_segments_that_fit_no_run_are_refused,
                "segments that fit no run",
            ),
            (suite::m_a_draft_that_makes_no_sense_is_refused, "assertion"),
        ],
    );
}

#[test]
fn segments_that_are_made_to_fit() {
    found(
        Sin::RepairsSegments,
        &[
            (suite::o4_a_segment_of_another_length_is_refused, DONE),
            (suite::o4_segments_that_fit_no_run_are_refused, DONE),
        ],
    );
}

#[test]
fn bytes_that_are_not_checked() {
    found(
        Sin::NothingIsChecked,
        &[
            (suite::o5_a_flipped_bit_of_a_segment_is_found, DONE),
            (suite::o5_a_missing_pack_is_named, DONE),
            (suite::o5_a_pack_that_is_too_short_is_told, DONE),
            (suite::o5_a_segment_beyond_all_bounds_is_refused, DONE),
        ],
    );
}

#[test]
fn damage_that_is_taken_for_nothing() {
    found(
        Sin::DamagedIsNone,
        &[
            (
                suite::o5_a_damaged_pointer_is_told_and_replaced,
                "nothing: Ok(None)",
            ),
            (suite::o5_a_flipped_bit_of_a_manifest_is_found, "bit "),
            (suite::o5_what_is_damaged_in_the_history_is_told, "NotFound"),
            (suite::o7_what_cannot_be_read_stops_a_prune, DONE),
        ],
    );
}

#[test]
fn a_damaged_pointer_that_stays() {
    found(
        Sin::DamagedStays,
        &[(suite::o5_a_damaged_pointer_is_told_and_replaced, "Corrupt")],
    );
}

#[test]
fn keys_that_share_a_path() {
    found(
        Sin::FoldsCase,
        &[(
            suite::o5_keys_of_every_kind_stay_apart_and_inside,
            "it is not published",
        )],
    );
}

#[test]
fn a_request_without_an_end() {
    found(
        Sin::WaitsForEver,
        &[(
            suite::o6_an_answer_that_never_comes_is_an_error,
            "is waited for for ever",
        )],
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
fn a_prune_of_what_is_shared() {
    found(
        Sin::PrunesSharedPacks,
        &[
            (suite::o7_the_newest_stay_with_what_they_need, "Missing"),
            (MODEL, "Missing"),
        ],
    );
}

#[test]
fn a_prune_that_leaves_packs() {
    found(
        Sin::LeavesPacks,
        &[
            (suite::o7_the_newest_stay_with_what_they_need, "assertion"),
            (suite::o7_a_pack_that_nothing_names_goes, "assertion"),
            (MODEL, "garbage is left"),
        ],
    );
}

#[test]
fn a_dry_run_that_is_none() {
    found(
        Sin::DryRunsAreWet,
        &[(
            suite::o7_a_dry_run_tells_what_would_go_and_removes_nothing,
            "assertion",
        )],
    );
}

#[test]
fn a_prune_of_what_is_not_known() {
    found(
        Sin::PrunesWhatIsNotKnown,
        &[(suite::o7_what_belongs_to_others_stays, "README")],
    );
}

#[test]
fn a_prune_past_what_cannot_be_read() {
    found(
        Sin::PrunesWhatIsDamaged,
        &[(suite::o7_what_cannot_be_read_stops_a_prune, DONE)],
    );
}

#[test]
fn a_history_that_is_forgotten() {
    found(
        Sin::RecordsNothing,
        &[
            (suite::m_what_was_published_comes_back, "the history is another"),
            (suite::m_an_artifact_is_named_by_its_digest, "NotFound"),
            (
                suite::o8_the_history_is_whole_wherever_an_upload_dies,
                "the history is another",
            ),
            (
                suite::o8_what_publishers_were_told_is_in_the_history,
                "the history is another",
            ),
            (suite::o8_artifacts_of_one_sequence_are_apart, "assertion"),
            (MODEL, "ManifestId"),
        ],
    );
}

#[test]
fn a_history_without_the_newest() {
    found(
        Sin::NewestIsNoHistory,
        &[
            (suite::m_what_was_published_comes_back, "the history is another"),
            (
                suite::o8_the_history_is_whole_wherever_an_upload_dies,
                "the history is another",
            ),
        ],
    );
}

#[test]
fn publishers_who_are_all_told_that_they_won() {
    found(
        Sin::EverybodyWins,
        &[
            (
                suite::o3_o8_of_16_racing_publishers_one_publishes,
                "several have published",
            ),
            (
                suite::o8_what_publishers_were_told_is_in_the_history,
                "the history is another",
            ),
        ],
    );
}

#[test]
fn a_newest_artifact_of_another_name() {
    found(
        Sin::NamesByHistory,
        &[
            (suite::o3_a_log_that_was_created_again_is_ahead, "assertion"),
            (suite::o8_artifacts_of_one_sequence_are_apart, "assertion"),
        ],
    );
}

#[test]
fn a_newest_artifact_of_yesterday() {
    found(
        Sin::KnowsTheNewest,
        &[
            (
                suite::o3_o8_of_16_racing_publishers_one_publishes,
                "the newest is another",
            ),
            (MODEL, "assertion"),
        ],
    );
}

#[test]
fn a_pack_that_is_no_tar() {
    found(
        Sin::PacksHaveNoEnd,
        &[
            (suite::m_a_pack_is_a_plain_tar, "the tar has no end"),
            (suite::m_a_pack_of_several_parts_comes_back, "assertion"),
        ],
    );
}

#[test]
fn a_draft_that_is_repaired() {
    found(
        Sin::RepairsDrafts,
        &[(suite::m_a_draft_that_makes_no_sense_is_refused, DONE)],
    );
}

#[test]
fn a_fault_that_is_taken_for_none() {
    found(
        Sin::FaultMeansNone,
        &[
            (suite::m_a_fault_is_never_taken_for_none, "None"),
            (suite::m_a_permanent_fault_surfaces_at_once, "None"),
        ],
    );
}

#[test]
fn a_permanent_fault_that_is_said_to_pass() {
    found(
        Sin::EverythingPasses,
        &[(suite::m_a_permanent_fault_surfaces_at_once, "Transient")],
    );
}
