//! The macro for the suite of tables.

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
