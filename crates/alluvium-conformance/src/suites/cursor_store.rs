//! The macro for the suite of cursor stores.

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
