//! The macro for the suite of transports.

/// Makes a module `transport` with a test for each obligation of a [`Transport`](alluvium_core::Transport), from a type
/// that is a [`TransportHarness`](crate::TransportHarness) and has a [`Default`].
#[macro_export]
macro_rules! transport_suite {
    ($harness:ty) => {
        mod transport {
            #[allow(unused_imports)]
            use super::*;

            $crate::suite_tests! { $harness, transport:
                m_a_draft_that_makes_no_sense_is_refused
                m_a_draft_without_segments_uploads_a_manifest
                m_a_fault_is_never_taken_for_none
                m_a_new_place_is_empty
                m_a_pack_is_a_plain_tar
                m_a_pack_of_several_parts_comes_back
                m_a_permanent_fault_surfaces_at_once
                m_an_artifact_is_named_by_its_digest
                m_an_empty_table_has_an_artifact
                m_keys_are_apart
                m_what_was_published_comes_back
                o1_a_segment_is_one_read
                o1_segments_are_read_at_once
                o2_an_export_costs_what_changed
                o3_a_draft_on_an_older_artifact_is_superseded
                o3_a_draft_on_nothing_replaces_nothing
                o3_a_draft_on_what_is_gone_publishes_nothing
                o3_a_log_that_was_created_again_is_ahead
                o3_another_table_under_a_key_is_refused
                o3_o4_o7_o8_random_operations_leave_what_they_leave_in_a_list
                o3_o8_of_16_racing_publishers_one_publishes
                o3_the_cursor_never_falls
                o3_who_is_overtaken_meanwhile_is_superseded
                o4_a_segment_of_another_length_is_refused
                o4_a_stream_that_fails_publishes_nothing
                o4_an_upload_that_is_dropped_publishes_nothing
                o4_segments_that_fit_no_run_are_refused
                o5_a_damaged_pointer_is_told_and_replaced
                o5_a_flipped_bit_of_a_manifest_is_found
                o5_a_flipped_bit_of_a_segment_is_found
                o5_a_missing_pack_is_named
                o5_a_newer_pointer_is_never_replaced
                o5_a_pack_that_is_too_short_is_told
                o5_a_segment_beyond_all_bounds_is_refused
                o5_keys_of_every_kind_stay_apart_and_inside
                o5_what_is_damaged_in_the_history_is_told
                o5_what_replaces_a_damaged_pointer_does_not_go_back
                o6_an_answer_that_never_comes_is_an_error
                o7_a_dry_run_tells_what_would_go_and_removes_nothing
                o7_a_pack_that_nothing_names_goes
                o7_a_prune_disturbs_nobody
                o7_the_newest_stay_with_what_they_need
                o7_two_prune_at_once
                o7_what_belongs_to_others_stays
                o7_what_cannot_be_read_stops_a_prune
                o7_within_the_grace_period_nothing_goes
                o8_artifacts_of_one_sequence_are_apart
                o8_the_history_is_whole_wherever_an_upload_dies
                o8_what_belongs_to_others_is_no_artifact
                o8_what_publishers_were_told_is_in_the_history
            }
        }
    };
}
