//! Obligations 1 and 3, word `served`: connections that break.

use alluvium_core::{ErrorKind, LogError, Scope};

use super::place::{assert_whole, with_log};
use crate::LogHarness;
use crate::support::{assert_error, length};

/// Connections cut in the middle of a flood lose nothing and repeat nothing.
pub fn o1_through_connections_cut_in_the_flood(harness: &dyn LogHarness) {
    let step = length(2_000, 20_000);
    with_log(harness, 1, async |place| {
        place.fill(1, 10 * step, 100).await;
        let mut reader = place.read(1).await;
        for round in 0..10 {
            reader.expect(round * step + 1..=(round + 1) * step).await;
            place.owner.disconnect().await;
            place.owner.reconnect().await;
        }
        reader.expect_caught_up(10 * step).await;
        place.put("b", "after the flood").await;
        reader.expect(10 * step + 1..=10 * step + 1).await;
    });
}

/// A connection cut while there is nothing to read loses nothing and repeats nothing.
pub fn o1_through_connections_cut_at_rest(harness: &dyn LogHarness) {
    with_log(harness, 1, async |place| {
        place.fill(1, 100, 10).await;
        // One has been given something, and the other nothing yet.
        let (mut from_first, mut from_next) = (place.read(1).await, place.read(101).await);
        from_first.expect(1..=100).await;
        for reader in [&mut from_first, &mut from_next] {
            reader.expect_caught_up(100).await;
        }
        for round in 101..=105 {
            place.owner.disconnect().await;
            place.owner.reconnect().await;
            place.put("b", "next").await;
            for reader in [&mut from_first, &mut from_next] {
                let change = reader.change().await;
                assert_eq!(
                    change.sequence.get(),
                    round,
                    "after a connection was cut: {change:.100?}"
                );
                reader.expect_caught_up(round).await;
            }
        }
    });
}

/// What is written while a reader is cut off comes when it is back.
pub fn o1_what_is_written_while_cut_off_comes(harness: &dyn LogHarness) {
    with_log(harness, 1, async |place| {
        place.fill(1, 10, 10).await;
        let mut reader = place.read_to_end(10).await;
        place.owner.disconnect().await;
        place.fill(11, 10, 10).await;
        let back = async {
            place.owner.reconnect().await;
            place.put("b", "after").await;
        };
        // Polled while there is no connection: that is not its end.
        tokio::join!(back, reader.expect(11..=21));
        reader.expect_caught_up(21).await;
    });
}

/// A listing goes on where its connection was cut, and is whole.
pub fn o1_a_listing_goes_on_through_a_cut_connection(harness: &dyn LogHarness) {
    for history in [1, 2] {
        with_log(harness, history, async |place| {
            let count = 3 * place.in_flight + 100;
            place.fill(1, count, 100).await;
            let mut listing = place.current(&Scope::all()).await;
            listing.expect(1..=10).await;
            place.owner.disconnect().await;
            place.owner.reconnect().await;
            let (listed, end) = listing.rest().await;
            assert_eq!(end, count, "history {history}");
            assert_whole(&listed, 11..=count);
        });
    }
}

/// A log that goes while its reader is cut off is an error when the reader is back.
pub fn o3_a_log_deleted_while_cut_off_is_not_found(harness: &dyn LogHarness) {
    with_log(harness, 1, async |place| {
        place.fill(1, 10, 10).await;
        let mut reader = place.read_to_end(10).await;
        place.owner.disconnect().await;
        place.owner.destroy().await;
        place.owner.reconnect().await;
        assert_error!(reader.failure().await, LogError::NotFound { .. });
    });
}

/// A reader that was cut off while its log was made again is told that it is another one.
pub fn o3_a_log_recreated_while_cut_off_is_replaced(harness: &dyn LogHarness) {
    for again in [0, 10, 20] {
        with_log(harness, 1, async |place| {
            place.fill(1, 10, 10).await;
            let mut reader = place.read_to_end(10).await;
            place.owner.disconnect().await;
            place.owner.destroy().await;
            place.owner.recreate().await;
            place.fill(1, again, 10).await;
            place.owner.reconnect().await;
            let error = reader.failure().await;
            assert_error!(error, LogError::Replaced { .. });
            assert_eq!(error.kind(), ErrorKind::Fenced);
        });
    }
}
