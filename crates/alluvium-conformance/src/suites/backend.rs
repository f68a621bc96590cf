//! The macro for the suite of state backends.

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
