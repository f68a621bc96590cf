//! The macro for the suite of checkpointers.

/// Makes a module `checkpointer` with a test for each obligation of a [`Checkpointer`](alluvium_core::Checkpointer), from
/// a type that is a [`CheckpointerHarness`](crate::CheckpointerHarness) and has a [`Default`].
#[macro_export]
macro_rules! checkpointer_suite {
    ($harness:ty) => {
        mod checkpointer {
            #[allow(unused_imports)]
            use super::*;

            $crate::suite_tests! { $harness, checkpointer:
                m_a_checkpoint_comes_back
                m_a_file_of_several_parts_comes_back
                m_a_file_saved_again_is_replaced
                m_a_new_place_is_empty
                m_a_stream_is_what_its_bytes_are
                m_a_stream_that_fails_leaves_nothing
                m_an_empty_file_is_there
                m_files_saved_at_once_all_count
                m_names_rise
                m_names_rise_where_the_clock_went_back
                m_the_digest_is_sha_256
                m_unknown_fields_survive
                m_what_is_complete_is_listed_by_age
                o1_a_damaged_latest_is_told_and_replaced
                o1_latest_moves_on
                o1_latest_never_moves_back
                o1_latest_never_names_what_has_lost_something
                o1_latest_never_names_what_is_not_complete
                o1_latest_that_names_what_is_gone_does_not_move_back
                o1_o4_o5_o7_random_operations_leave_what_they_leave_in_a_map
                o1_of_32_racing_writers_none_moves_latest_back
                o1_of_racing_writers_of_one_epoch_one_wins
                o2_a_flipped_bit_is_found
                o2_a_missing_file_is_named
                o2_another_length_is_found
                o2_what_was_empty_stays_empty
                o3_a_fault_is_never_taken_for_none
                o3_a_fault_that_passes_is_not_seen
                o3_a_permanent_fault_surfaces_at_once
                o4_a_chain_is_as_long_as_its_longest_partition
                o4_a_deleted_checkpoint_is_gone
                o4_the_newest_is_not_deleted
                o4_what_a_delta_needs_is_not_deleted
                o4_what_was_never_completed_can_be_deleted
                o4_without_latest_the_newest_is_not_deleted
                o5_a_complete_checkpoint_does_not_change
                o5_a_flipped_bit_of_a_manifest_is_found
                o5_a_manifest_is_written_once
                o5_a_manifest_of_a_newer_version_says_so
                o5_a_manifest_of_what_is_missing_is_refused
                o5_a_manifest_that_fits_no_parent_is_refused
                o5_a_manifest_that_is_no_json_is_named
                o5_a_manifest_that_is_too_long_is_refused
                o5_a_manifest_that_makes_no_sense_is_refused
                o5_a_manifest_without_its_chain_is_refused
                o5_of_racing_manifests_one_is_written
                o5_without_a_manifest_there_is_nothing
                o6_a_file_that_leads_outside_is_not_loaded
                o6_a_manifest_that_leads_elsewhere_is_named
                o6_names_of_every_kind_stay_apart_and_inside
                o6_names_that_no_path_has_room_for_are_refused
                o6_partitions_stay_apart
                o7_a_prune_disturbs_nobody
                o7_a_writer_taken_for_dead_is_told
                o7_the_newest_stay_with_what_they_need
                o7_two_prune_at_once
                o7_what_belongs_to_others_stays
                o7_what_cannot_be_read_is_not_pruned
                o7_what_is_newer_than_latest_stays
                o7_of_what_was_never_announced_no_more_stays_than_is_kept
                o7_a_dry_run_tells_what_would_go_and_removes_nothing
                o7_what_was_never_completed_goes
                o7_within_the_grace_period_nothing_goes
                o7_without_grace_whoever_loses_is_told
            }
        }
    };
}
