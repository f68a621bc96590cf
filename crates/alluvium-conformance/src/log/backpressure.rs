//! Obligation 2: a slow reader holds little, and misses nothing.

use alluvium_core::{Scope, Sequence};

use super::place::{assert_whole, sequences, with_log};
use crate::LogHarness;

/// A reader that stops now and then, long enough for another one to read everything, misses nothing.
pub fn o2_a_slow_reader_misses_nothing(harness: &dyn LogHarness) {
    with_log(harness, 1, async |place| {
        let step = place.in_flight.max(100);
        place.fill(1, 4 * step, 100).await;
        let mut slow = place.read(1).await;
        slow.expect(1..=10).await;
        for round in 1..=4 {
            let held = 3 * step + round * step;
            place.read(1).await.expect(1..=held).await;
            place.fill(held + 1, step, 100).await;
            let first = 11 + (round - 1) * step;
            slow.expect(first..=first + step - 1).await;
        }
        slow.expect(4 * step + 11..=8 * step).await;
        slow.expect_caught_up(8 * step).await;
    });
}

/// A reader that is not polled has read little ahead: what goes from the log meanwhile does not come from the reader either,
/// but for what it is said to hold at most.
pub fn o2_a_reader_that_is_not_polled_holds_little(harness: &dyn LogHarness) {
    with_log(harness, 1, async |place| {
        let count = 5 * place.in_flight + 100;
        place.fill(1, count, 1_000).await;
        let mut reader = place.read(1).await;
        let mut unpolled = place.read(1).await;
        reader.expect(1..=50).await;
        // Time enough to read ahead.
        let mut other = place.read(1).await;
        other.expect(1..=count).await;
        other.expect_caught_up(count).await;
        place.owner.evict_before(Sequence::new(count)).await;
        for (reader, before) in [(&mut reader, 50), (&mut unpolled, 0)] {
            let (changes, end) = reader.until_caught_up().await;
            assert_eq!(end, count);
            let (last, held) = sequences(&changes)
                .split_last()
                .map(|(last, held)| (*last, held.len()))
                .unwrap();
            assert_eq!(last, count, "the message that is left comes");
            assert!(
                held as u64 <= place.in_flight,
                "it held {held} messages, and may {}",
                place.in_flight
            );
            // What it held is what came next.
            let next: Vec<u64> = (before + 1..=before + held as u64).collect();
            assert_eq!(sequences(&changes)[..held], next);
        }
    });
}

/// A reader that retention overtakes goes on with what is left, in order.
pub fn o2_a_reader_that_retention_overtakes_is_given_what_is_left(harness: &dyn LogHarness) {
    with_log(harness, 1, async |place| {
        let step = place.in_flight + 50;
        place.fill(1, step, 100).await;
        let mut reader = place.read(1).await;
        reader.expect(1..=3).await;
        for round in 1..=3 {
            let last = round * step;
            place.fill(last + 1, step, 100).await;
            place.owner.evict_before(Sequence::new(last + 1)).await;
        }
        let (changes, end) = reader.until_caught_up().await;
        assert_eq!(end, 4 * step);
        let left: Vec<u64> = (3 * step + 1..=4 * step).collect();
        assert!(
            sequences(&changes).ends_with(&left),
            "the last {step} messages are left"
        );
        assert!(
            changes.len() as u64 <= step + place.in_flight,
            "{} came",
            changes.len()
        );
        place.put("b", "next").await;
        reader.expect(4 * step + 1..=4 * step + 1).await;
    });
}

/// A listing that is left alone and polled later is whole.
pub fn o2_a_slow_listing_misses_nothing(harness: &dyn LogHarness) {
    with_log(harness, 2, async |place| {
        let count = 2 * place.in_flight + 100;
        place.fill(1, count, 100).await;
        let mut listing = place.current(&Scope::all()).await;
        listing.expect(1..=10).await;
        place.read(1).await.expect(1..=count).await;
        let (listed, end) = listing.rest().await;
        assert_eq!(end, count);
        assert_whole(&listed, 11..=count);
    });
}
