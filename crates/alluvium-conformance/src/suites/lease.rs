//! The macro for the suite of lease stores.

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
