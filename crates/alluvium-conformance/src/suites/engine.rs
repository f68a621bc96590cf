//! The macro for the suite of engines.

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
