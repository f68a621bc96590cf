//! The macros that make a named test of each function of a suite.

mod log;

/// Makes a module `engine` with a test for each obligation of an [`Engine`](alluvium_engine::Engine), from a type that
/// is an [`EngineHarness`](crate::EngineHarness) and has a [`Default`].
///
/// `engine_suite!(Mine)` is for an engine that persists. `engine_suite!(Mine, volatile)` is for one in memory: the
/// tests that need to open it again do not exist there, and one exists that it begins empty instead. An engine is
/// found out if it is given to the wrong one.
#[macro_export]
macro_rules! engine_suite {
    ($harness:ty) => {
        mod engine {
            #[allow(unused_imports)]
            use super::*;

            $crate::engine_suite!(@always $harness);
            $crate::suite_tests! { $harness, engine:
                o2_a_returned_commit_survives_a_close
                o2_a_returned_commit_survives_a_drop_without_a_close
                o2_an_empty_space_survives
                o2_a_removal_survives
                o5_an_ingest_is_durable_when_it_returns
                o6_a_dropped_space_is_gone_after_a_reopen
                o6_the_disk_space_of_a_dropped_space_is_freed_in_time
                o8_a_flipped_byte_is_named
                o8_a_file_cut_off_is_named
                o8_a_missing_file_is_named
                o9_a_second_open_is_refused_while_the_first_lives
                o9_a_close_lets_go_at_once
                o9_a_drop_lets_go_at_once
                o9_the_directory_records_whose_it_is
            }
            $crate::suite_tests! { $harness, engine, killed:
                o1_a_kill_leaves_whole_commits
                o2_returned_commits_survive_a_kill_in_order
                o5_a_kill_during_an_ingest_leaves_all_or_nothing
                o6_dropped_spaces_stay_gone_after_a_kill
            }
        }
    };
    ($harness:ty, volatile) => {
        mod engine {
            #[allow(unused_imports)]
            use super::*;

            $crate::engine_suite!(@always $harness);
            $crate::suite_tests! { $harness, engine:
                o2_an_engine_in_memory_begins_empty
            }
        }
    };
    (@always $harness:ty) => {
        $crate::suite_tests! { $harness, engine:
            o1_a_commit_is_whole_across_spaces
            o1_a_commit_of_nothing_is_fine
            o1_a_commit_with_a_dropped_handle_writes_nothing
            o1_no_snapshot_sees_half_a_commit
            o1_o2_o3_o4_o5_o6_random_operations_leave_what_they_leave_in_a_map
            o3_a_snapshot_stands_still_across_spaces_while_commits_go_on
            o3_a_snapshot_stands_still_beside_a_concurrent_writer
            o3_a_snapshot_keeps_a_space_that_is_dropped
            o3_a_scan_stands_still_and_outlives_its_snapshot
            o3_a_snapshot_does_not_know_later_spaces
            o3_a_snapshot_has_every_commit_that_returned_before_it
            o4_a_scan_gives_every_key_once_in_byte_order
            o4_every_kind_of_bound_is_kept
            o4_an_empty_range_gives_nothing
            o4_a_prefix_range_gives_exactly_its_keys
            o4_binary_keys_are_kept_apart
            o4_an_empty_value_is_there
            o4_a_value_of_a_mib_comes_back
            o4_a_removed_key_is_gone
            o4_spaces_do_not_see_each_other
            o5_an_ingest_makes_a_space_of_its_pairs
            o5_an_ingest_of_nothing_makes_an_empty_space
            o5_an_ingest_whose_source_fails_leaves_nothing
            o5_an_ingest_of_falling_keys_leaves_nothing
            o5_an_ingest_of_a_key_twice_leaves_nothing
            o5_an_ingest_into_an_existing_space_is_refused
            o6_a_handle_to_a_dropped_space_means_nothing
            o6_a_space_made_again_begins_empty
            o6_dropping_what_is_not_there_is_fine
            o7_readers_do_not_wait_for_an_ingest
            o7_readers_do_not_wait_for_a_commit
            o9_a_closed_engine_says_so
            m_space_is_idempotent
            m_every_allowed_name_is_a_space
            m_other_names_are_refused
            m_a_commit_is_visible_to_every_thread_when_it_returns
            m_concurrent_commits_all_count
            m_approximate_len_is_about_right
            m_stats_tell_what_is_on_disk
            m_sync_is_fine_at_any_time
        }
    };
}

/// Makes a module `table` with a test for each obligation of a [`Table`](alluvium_core::Table), from a type that is a
/// [`TableHarness`](crate::TableHarness), as every [`EngineHarness`](crate::EngineHarness) is, and has a [`Default`].
///
/// `volatile` as for [`engine_suite!`](crate::engine_suite).
#[macro_export]
macro_rules! table_suite {
    ($harness:ty) => {
        mod table {
            #[allow(unused_imports)]
            use super::*;

            $crate::table_suite!(@always $harness);
            $crate::suite_tests! { $harness, table:
                o1_what_was_applied_survives_a_reopen
                o5_the_change_index_survives_a_reopen
                o6_a_flipped_byte_is_named
                o6_a_file_cut_off_is_named
                o6_a_missing_file_is_named
            }
            $crate::suite_tests! { $harness, table, killed:
                o1_a_kill_leaves_a_prefix_of_the_log_at_its_cursor
                o4_a_kill_during_a_load_leaves_the_old_content_or_the_new
                o5_a_kill_leaves_a_whole_change_index
            }
        }
    };
    ($harness:ty, volatile) => {
        mod table {
            #[allow(unused_imports)]
            use super::*;

            $crate::table_suite!(@always $harness);
        }
    };
    (@always $harness:ty) => {
        $crate::suite_tests! { $harness, table:
            o1_data_and_cursor_move_together
            o1_a_snapshot_is_exact_at_its_cursor_beside_a_writer
            o1_the_last_change_of_a_key_in_a_batch_counts
            o1_an_empty_apply_moves_only_the_cursor
            o1_amend_takes_the_cursor_away_until_the_next_apply
            o1_an_empty_amend_takes_the_cursor_away
            o1_a_cursor_of_another_log_is_refused
            o1_a_cursor_before_the_last_change_is_refused
            o1_o2_o4_o5_random_histories_leave_what_they_leave_in_a_map
            o2_applying_again_changes_nothing
            o2_of_a_batch_across_the_cursor_only_the_rest_is_applied
            o2_random_overlapping_batches_are_as_one_pass
            o3_snapshots_stand_still_through_applies_repairs_and_loads
            o3_a_scan_stands_still_and_outlives_its_snapshot
            o3_a_snapshot_stands_still_beside_a_concurrent_writer
            o4_a_load_replaces_the_whole_content
            o4_a_new_table_can_be_loaded
            o4_a_load_of_nothing_empties_the_table
            o4_a_load_ends_a_repair
            o4_a_load_whose_rows_fail_leaves_the_old_content
            o4_a_load_of_unsorted_rows_leaves_the_old_content
            o4_a_load_from_another_log_leaves_the_old_content
            o4_readers_see_the_old_content_until_a_load_returns
            o4_a_load_of_many_rows_is_whole
            o5_changes_that_are_not_tracked_are_refused
            o5_changes_are_whole_from_where_tracking_began
            o5_tracking_from_the_beginning_knows_every_change
            o5_deletes_are_changes
            o5_switching_off_forgets_and_switching_on_begins_anew
            o5_a_load_raises_the_floor_to_its_cursor
            o5_a_repair_raises_the_floor_to_its_end
            o7_a_table_is_bound_once
            o7_another_binding_is_refused
            o7_the_binding_survives_reopens_loads_and_repairs
            o7_the_first_cursor_binds_an_unbound_table
            o7_a_cursor_of_another_log_is_refused_by_a_bound_table
            o8_that_a_log_can_evict_is_remembered_for_ever
            o8_from_where_on_it_has_seen_its_log_is_remembered
            m_any_bytes_are_a_key
            m_an_entry_names_its_message
            m_what_is_forgotten_is_gone_and_the_cursor_stays
            m_an_empty_value_is_there
            m_a_scan_gives_the_rows_within_its_range
            m_tables_do_not_see_each_other
            m_names_that_no_table_can_have_are_refused
            m_stats_tell_what_there_is
        }
    };
}

/// Makes a module `backend` with a test for each obligation of a [`StateBackend`](alluvium_core::StateBackend), from a
/// type that is a [`BackendHarness`](crate::BackendHarness), as every [`EngineHarness`](crate::EngineHarness) is, and
/// has a [`Default`].
///
/// | form | for a backend that |
/// |---|---|
/// | `backend_suite!(Mine)` | persists, has one owner, and keeps tables |
/// | `backend_suite!(Mine, volatile)` | does not persist |
/// | `backend_suite!(Mine, shared)` | several processes share, and keeps no tables |
/// | `backend_suite!(Mine, shared in_process)` | the same, but lives no longer than the test's process |
///
/// A backend is found out if it is given to the wrong form.
#[macro_export]
macro_rules! backend_suite {
    ($harness:ty) => {
        mod backend {
            #[allow(unused_imports)]
            use super::*;

            $crate::backend_suite!(@always $harness);
            $crate::backend_suite!(@persistent $harness);
            $crate::backend_suite!(@killed $harness);
            $crate::backend_suite!(@tables $harness);
        }
    };
    ($harness:ty, volatile) => {
        mod backend {
            #[allow(unused_imports)]
            use super::*;

            $crate::backend_suite!(@always $harness);
            $crate::backend_suite!(@tables $harness);
            $crate::suite_tests! { $harness, backend:
                o1_a_backend_in_memory_begins_empty
            }
        }
    };
    ($harness:ty, shared) => {
        mod backend {
            #[allow(unused_imports)]
            use super::*;

            $crate::backend_suite!(@always $harness);
            $crate::backend_suite!(@persistent $harness);
            $crate::backend_suite!(@killed $harness);
            $crate::backend_suite!(@shared $harness);
        }
    };
    ($harness:ty, shared in_process) => {
        mod backend {
            #[allow(unused_imports)]
            use super::*;

            $crate::backend_suite!(@always $harness);
            $crate::backend_suite!(@persistent $harness);
            $crate::backend_suite!(@shared $harness);
        }
    };
    (@killed $harness:ty) => {
        $crate::suite_tests! { $harness, backend, killed:
            o1_a_kill_leaves_whole_writes
            o3_a_kill_leaves_whole_seals
        }
    };
    (@tables $harness:ty) => {
        $crate::suite_tests! { $harness, backend:
            m_open_table_gives_tables_that_stay
        }
    };
    (@shared $harness:ty) => {
        $crate::suite_tests! { $harness, backend:
            m_open_table_is_unsupported
            o1_another_handle_reads_what_was_written
            o2_a_write_after_anothers_seal_is_in_vain
            o3_handles_without_a_name_are_different_instances
            o3_of_32_racing_sealers_one_wins
            o5_who_was_never_told_is_refused
        }
    };
    (@persistent $harness:ty) => {
        $crate::suite_tests! { $harness, backend:
            o1_what_was_written_survives_a_close
            o1_what_was_written_survives_a_drop_without_a_close
            o2_a_seal_refuses_other_bytes_after_a_reopen
            o2_the_last_write_wins_after_a_reopen
            o3_a_seal_survives_a_reopen
            o3_another_instance_is_told_who_sealed
            o5_the_fence_survives_a_reopen
            o5_what_a_handle_is_told_is_not_stored
            o5_what_was_sealed_before_the_fence_stays_after_a_reopen
            o6_what_was_pruned_stays_so_after_a_reopen
            o7_another_number_of_vnodes_is_refused
        }
    };
    (@always $harness:ty) => {
        $crate::suite_tests! { $harness, backend:
            m_a_backend_knows_its_instance_and_vnodes
            m_a_closed_backend_says_so
            m_a_new_backend_is_empty
            m_a_partial_of_256_mib_comes_back
            m_an_empty_partial_is_there
            m_concurrent_writers_all_count
            m_the_latest_complete_epoch_is_the_highest
            m_too_many_bytes_are_refused
            o1_a_partial_is_readable_when_the_write_returns
            o1_o2_o3_o5_o6_random_operations_leave_what_they_leave_in_a_map
            o2_a_lower_version_never_replaces_a_higher_one
            o2_a_vnode_outside_the_seal_is_refused
            o2_other_bytes_are_refused_after_the_seal
            o2_the_last_write_wins
            o2_the_same_bytes_are_accepted_after_the_seal
            o3_an_epoch_is_complete_only_with_every_partial
            o3_asking_again_is_true_again
            o3_asking_for_more_than_was_sealed_is_refused
            o3_epochs_are_apart
            o4_a_seal_names_exactly_what_belongs_to_it
            o4_a_seal_takes_the_last_version_of_each_vnode
            o5_a_writer_below_the_fence_is_refused
            o5_partials_below_the_fence_do_not_count
            o5_the_fence_only_rises
            o5_what_a_handle_is_told_only_rises
            o5_what_was_sealed_before_the_fence_stays
            o6_a_pruned_epoch_does_not_come_back
            o6_pruning_again_changes_nothing
            o6_pruning_is_safe_beside_a_writer_and_a_reader
            o6_pruning_removes_what_is_below_and_keeps_the_rest
            o7_a_vnode_named_twice_is_refused
            o7_a_vnode_out_of_range_is_refused
            o7_an_empty_set_of_vnodes_is_refused
        }
    };
}

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

/// Makes a module `lease` with a test for each obligation of a [`LeaseStore`](alluvium_core::LeaseStore), from a type that is a
/// [`LeaseHarness`](crate::LeaseHarness) and has a [`Default`].
#[macro_export]
macro_rules! lease_suite {
    ($harness:ty) => {
        mod lease {
            #[allow(unused_imports)]
            use super::*;

            $crate::suite_tests! { $harness, lease:
                o1_o2_o3_o4_o5_random_calls_leave_what_they_leave_in_a_model
                o1_a_renewed_lease_lasts_longer
                o1_of_32_who_race_one_acquires_it
                o1_who_comes_second_is_told_who_holds_it
                o2_a_clock_that_was_far_ahead_keeps_nobody_out
                o2_a_lease_that_is_over_is_taken_over
                o2_a_record_of_a_newer_version_is_left_alone
                o2_by_the_clock_of_the_machine_a_lease_is_taken_over
                o2_what_cannot_be_read_is_taken_over
                o3_a_lease_that_is_over_is_not_lost_before_it_is_taken
                o3_a_zombie_is_told_and_its_successor_stays
                o4_a_completed_lease_rests
                o4_an_abandoned_lease_is_free_at_once
                o5_names_of_every_kind_stay_apart
                o5_what_makes_no_sense_is_refused
                o6_to_end_it_again_changes_nothing
                o7_the_assignment_version_rises_past_what_cannot_be_read
                o7_the_assignment_version_rises_with_every_acquisition
            }
        }
    };
}

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

/// Makes a module `cursor_store` with a test for each obligation of a [`CursorStore`](alluvium_core::CursorStore), from a
/// type that is a [`CursorStoreHarness`](crate::CursorStoreHarness) and has a [`Default`].
///
/// | form | for cursors that |
/// |---|---|
/// | `cursor_store_suite!(Mine)` | persist |
/// | `cursor_store_suite!(Mine, in_process)` | the same, but live no longer than the test's process |
/// | `cursor_store_suite!(Mine, volatile)` | are gone with the process, and no bytes |
/// | `cursor_store_suite!(Mine, table)` | are in a table each, which persists |
/// | `cursor_store_suite!(Mine, table volatile)` | are in a table each, which does not |
#[macro_export]
macro_rules! cursor_store_suite {
    ($harness:ty) => {
        mod cursor_store {
            #[allow(unused_imports)]
            use super::*;

            $crate::cursor_store_suite!(@always $harness);
            $crate::cursor_store_suite!(@named $harness);
            $crate::cursor_store_suite!(@bytes $harness);
            $crate::suite_tests! { $harness, cursor_store, killed:
                o1_o2_a_kill_leaves_the_last_record_or_the_next
                o3_a_process_that_is_taken_over_is_fenced
            }
        }
    };
    ($harness:ty, in_process) => {
        mod cursor_store {
            #[allow(unused_imports)]
            use super::*;

            $crate::cursor_store_suite!(@always $harness);
            $crate::cursor_store_suite!(@named $harness);
            $crate::cursor_store_suite!(@bytes $harness);
        }
    };
    ($harness:ty, volatile) => {
        mod cursor_store {
            #[allow(unused_imports)]
            use super::*;

            $crate::cursor_store_suite!(@always $harness);
            $crate::cursor_store_suite!(@named $harness);
        }
    };
    ($harness:ty, table) => {
        mod cursor_store {
            #[allow(unused_imports)]
            use super::*;

            $crate::cursor_store_suite!(@always $harness);
            $crate::cursor_store_suite!(@table $harness);
            $crate::suite_tests! { $harness, cursor_store, killed:
                o7_a_kill_leaves_rows_and_cursor_together
            }
        }
    };
    ($harness:ty, table volatile) => {
        mod cursor_store {
            #[allow(unused_imports)]
            use super::*;

            $crate::cursor_store_suite!(@always $harness);
            $crate::cursor_store_suite!(@table $harness);
        }
    };
    (@always $harness:ty) => {
        $crate::suite_tests! { $harness, cursor_store:
            o1_a_saved_record_comes_back
            o2_a_save_can_be_repeated
            o3_a_name_without_a_record_is_taken_over
            o3_of_16_who_race_one_is_not_fenced
            o3_the_last_holder_goes_on_and_the_others_are_fenced
            o5_a_record_of_something_else_is_told
        }
    };
    (@named $harness:ty) => {
        $crate::suite_tests! { $harness, cursor_store:
            o1_a_record_may_lie_before_the_last_one
            o4_a_name_that_cannot_be_kept_is_refused
            o4_names_of_every_kind_stay_apart
            o6_a_removal_fences_who_has_saved_nothing
            o6_a_removed_cursor_is_gone
            o7_rows_without_a_table_are_refused
        }
    };
    (@bytes $harness:ty) => {
        $crate::suite_tests! { $harness, cursor_store:
            o5_a_newer_version_is_left_alone
            o5_what_cannot_be_decoded_is_named
        }
    };
    (@table $harness:ty) => {
        $crate::suite_tests! { $harness, cursor_store:
            o4_any_other_name_than_the_tables_is_refused
            o7_a_record_of_something_else_is_refused
            o7_rows_and_cursor_move_together
            o7_rows_do_not_go_back
            o7_rows_of_a_fenced_holder_are_not_written
        }
    };
}

/// Tests of the functions of a suite, by name: what the suites are written with.
#[doc(hidden)]
#[macro_export]
macro_rules! suite_tests {
    ($harness:ty, $suite:ident: $($name:ident)*) => {$(
        #[test]
        fn $name() {
            $crate::$suite::$name(&<$harness as ::core::default::Default>::default());
        }
    )*};
    ($harness:ty, $suite:ident, killed: $($name:ident)*) => {$(
        #[test]
        fn $name() {
            $crate::$suite::$name(
                &<$harness as ::core::default::Default>::default(),
                $crate::ThisTest::at(concat!(module_path!(), "::", stringify!($name))),
            );
        }
    )*};
}
