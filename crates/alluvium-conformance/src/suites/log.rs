//! The macro for the suite of logs.

/// Makes a module `log` with a test for each obligation of a [`Log`](alluvium_core::Log), from a type that is a
/// [`LogHarness`](crate::LogHarness) and has a [`Default`].
///
/// `log_suite!(Mine)` has the tests of what every log does. Each word after it, in any order, adds those of what only some
/// can: `log_suite!(Mine, markers, served)`. Without the word they do not exist.
///
/// | word | for a log | [`LogOwner`](crate::LogOwner) then has |
/// |---|---|---|
/// | `markers` | in which deletes and purges are messages of their own | `delete`, `purge` |
/// | `headers` | whose messages have headers | `put_with_headers` |
/// | `tail` | that can be put back to what it was | `back_up`, `put_back` |
/// | `served` | that lives on a server, which keeps something for each reader | `disconnect`, `reconnect`, `readers` |
#[macro_export]
macro_rules! log_suite {
    ($harness:ty $(, $word:ident)*) => {
        mod log {
            #[allow(unused_imports)]
            use super::*;

            $crate::log_suite!(@always $harness);
            $($crate::log_suite!(@$word $harness);)*
        }
    };
    (@always $harness:ty) => {
        $crate::suite_tests! { $harness, log:
            m_a_log_tells_its_name_and_identity
            m_a_message_is_the_same_by_every_way
            m_a_read_begins_where_it_is_told
            m_a_read_from_below_the_first_begins_at_the_first
            m_a_read_from_beyond_the_end_is_refused
            m_a_read_from_one_past_the_end_waits_for_the_next
            m_a_read_from_the_end_of_a_listing_misses_nothing
            m_bounds_follow_the_log
            m_bounds_of_an_empty_log_say_where_the_next_message_will_be
            m_bytes_are_those_of_what_is_held
            m_current_follows_what_goes
            m_current_is_the_latest_message_of_each_key
            m_current_of_many_keys_is_whole
            m_holdings_are_what_message_at_gives
            m_keys_are_those_of_the_scope_once_each
            m_keys_are_told_to_the_letter
            m_message_at_gives_that_message_or_none
            m_no_key_is_missing_from_a_listing_that_writers_overtake
            o1_a_scope_gives_what_matches_and_nothing_else
            o1_a_scope_holds_for_what_comes_later
            o1_caught_up_is_told_at_the_end_and_not_before
            o1_every_message_comes_in_order_and_once
            o1_random_writes_leave_what_they_leave_in_a_map
            o1_readers_are_apart
            o1_the_end_is_told_though_the_last_messages_went
            o1_the_end_is_told_where_the_last_message_is_not_wanted
            o1_the_end_moves_on_with_what_is_not_wanted
            o1_values_come_whole
            o1_what_is_written_meanwhile_comes_too
            o1_what_went_is_left_out
            o1_whoever_waits_is_woken
            o1_writers_beside_each_other_are_in_one_order
            o2_a_reader_that_is_not_polled_holds_little
            o2_a_reader_that_retention_overtakes_is_given_what_is_left
            o2_a_slow_listing_misses_nothing
            o2_a_slow_reader_misses_nothing
            o3_a_deleted_log_ends_a_reader_at_rest
            o3_a_deleted_log_ends_a_reader_in_the_flood
            o3_a_deleted_log_is_not_found
            o3_a_listing_of_a_log_that_goes_is_whole_or_an_error
            o3_a_recreated_log_ends_a_reader
            o3_a_recreated_log_is_another
            o3_every_reader_of_a_deleted_log_is_told
        }
    };
    (@markers $harness:ty) => {
        $crate::suite_tests! { $harness, log:
            m_current_and_keys_have_delete_markers
            o1_a_purge_takes_the_messages_of_its_key
            o1_deletes_come_in_order_with_puts
            o1_random_deletes_leave_what_they_leave_in_a_map
        }
    };
    (@headers $harness:ty) => {
        $crate::suite_tests! { $harness, log:
            m_headers_come_with_their_message
        }
    };
    (@tail $harness:ty) => {
        $crate::suite_tests! { $harness, log:
            o3_a_lost_tail_ends_a_reader
            o3_a_lost_tail_that_grew_again_ends_a_reader
            o3_a_reader_before_the_cut_goes_on_or_is_told
            o3_what_was_lost_is_not_there
        }
    };
    (@served $harness:ty) => {
        $crate::suite_tests! { $harness, log:
            o1_a_listing_goes_on_through_a_cut_connection
            o1_through_connections_cut_at_rest
            o1_through_connections_cut_in_the_flood
            o1_what_is_written_while_cut_off_comes
            o3_a_log_deleted_while_cut_off_is_not_found
            o3_a_log_recreated_while_cut_off_is_replaced
            o4_a_reader_dropped_while_cut_off_leaves_nothing
            o4_a_refused_read_leaves_nothing
            o4_cut_connections_leave_one_reader
            o4_dropped_readers_leave_nothing
            o4_listings_leave_nothing
        }
    };
}
