//! Logs that tell something else than what they hold.

use alluvium_conformance::log as suite;

use super::sinner::Sin;
use super::{DONE, MODEL, Test, WHATEVER, found};

const DELETES_MODEL: Test = suite::o1_random_deletes_leave_what_they_leave_in_a_map;

#[test]
fn bounds_that_are_not_those_of_the_log() {
    found(
        Sin::CachesBounds,
        &[
            (suite::m_bounds_follow_the_log, "assertion"),
            (suite::m_bytes_are_those_of_what_is_held, "ten values"),
            (
                suite::o3_a_recreated_log_is_another,
                "another log has another identity",
            ),
            (suite::o3_a_deleted_log_is_not_found, DONE),
            (MODEL, "bounds"),
        ],
    );
    found(
        Sin::FirstIsOne,
        &[
            (suite::m_bounds_follow_the_log, "assertion"),
            (
                suite::m_bounds_of_an_empty_log_say_where_the_next_message_will_be,
                "assertion",
            ),
        ],
    );
    found(
        Sin::CountsNoBytes,
        &[(suite::m_bytes_are_those_of_what_is_held, "ten values")],
    );
}

#[test]
fn a_message_that_is_a_neighbour_or_another() {
    found(
        Sin::GivesANeighbour,
        &[
            (suite::m_message_at_gives_that_message_or_none, "assertion"),
            (MODEL, "message_at"),
        ],
    );
    found(
        Sin::RoundsInstants,
        &[(suite::m_a_message_is_the_same_by_every_way, "assertion")],
    );
}

#[test]
fn a_listing_that_is_not_of_the_latest() {
    found(
        Sin::ListsOldMessages,
        &[
            (suite::m_current_is_the_latest_message_of_each_key, "assertion"),
            (suite::m_current_of_many_keys_is_whole, "are listed"),
            (MODEL, "current of"),
        ],
    );
    found(
        Sin::ListsEveryMessage,
        &[
            (suite::m_current_is_the_latest_message_of_each_key, "assertion"),
            (suite::m_current_of_many_keys_is_whole, "are listed"),
            (MODEL, "current of"),
        ],
    );
    found(
        Sin::ListsByKey,
        &[(suite::m_current_is_the_latest_message_of_each_key, "not in order")],
    );
}

#[test]
fn a_listing_that_is_not_whole() {
    found(
        Sin::ListsNoMarkers,
        &[
            (suite::m_current_and_keys_have_delete_markers, "assertion"),
            (DELETES_MODEL, "current of"),
        ],
    );
    found(
        Sin::ListsWhatStaysOnly,
        &[(
            suite::m_no_key_is_missing_from_a_listing_that_writers_overtake,
            "history 1",
        )],
    );
    found(
        Sin::ListsTooFar,
        &[(
            suite::m_a_read_from_the_end_of_a_listing_misses_nothing,
            "assertion",
        )],
    );
}

#[test]
fn a_listing_without_values_that_is_another() {
    found(Sin::ListsNoMarkersWithoutValues, &[(DELETES_MODEL, "list of")]);
    found(
        Sin::ListsNoInstants,
        &[
            (suite::m_current_is_the_latest_message_of_each_key, "assertion"),
            (MODEL, "list of"),
        ],
    );
}

#[test]
fn holdings_that_are_not_those_of_the_log() {
    for (sin, complaint) in [
        (Sin::MistakesADeletion, "whether it holds"),
        (Sin::CachesHoldings, "assertion"),
        (Sin::TellsTooMuch, "are too many"),
        (Sin::TellsNoDeletions, "round"),
    ] {
        found(sin, &[(suite::m_holdings_are_what_message_at_gives, complaint)]);
    }
}

#[test]
fn keys_that_are_too_many_or_too_few() {
    found(
        Sin::KeysTwice,
        &[
            (suite::m_keys_are_those_of_the_scope_once_each, "assertion"),
            (suite::m_current_of_many_keys_is_whole, "assertion"),
            (MODEL, "keys of"),
        ],
    );
    found(
        Sin::KeysWithoutMarkers,
        &[
            (suite::m_current_and_keys_have_delete_markers, "assertion"),
            (DELETES_MODEL, "keys of"),
        ],
    );
    found(
        Sin::KeysOfEveryScope,
        &[
            (suite::m_keys_are_those_of_the_scope_once_each, "assertion"),
            (suite::o1_a_scope_gives_what_matches_and_nothing_else, "keys of"),
        ],
    );
}

#[test]
fn messages_that_say_something_else() {
    found(
        Sin::EmptyIsDeleted,
        &[
            (suite::o1_values_come_whole, "a put of 0 bytes became"),
            (suite::o1_deletes_come_in_order_with_puts, "assertion"),
        ],
    );
    found(
        Sin::DeletedIsEmpty,
        &[
            (suite::o1_deletes_come_in_order_with_puts, "assertion"),
            (suite::o1_a_purge_takes_the_messages_of_its_key, "assertion"),
            (DELETES_MODEL, WHATEVER),
        ],
    );
    found(
        Sin::PurgedIsDeleted,
        &[
            (suite::o1_a_purge_takes_the_messages_of_its_key, "assertion"),
            (DELETES_MODEL, WHATEVER),
        ],
    );
    found(
        Sin::LosesHeaders,
        &[(suite::m_headers_come_with_their_message, "assertion")],
    );
}
