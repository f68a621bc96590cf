//! Obligation 1, of a scope: what is in it comes, and nothing else.

use alluvium_core::{Scope, Sequence};
use bytes::Bytes;

use super::place::{scope, sequences, with_log};
use crate::LogHarness;

const KEYS: [&str; 9] = [
    "a.eu.x", "a.us.x", "b.x", "b.x.y", "c.eu.z", "a", "c", "a.eu.x.y", "b.xx",
];

/// Filters, and the sequences of the keys above that they match.
const CASES: [(&[&str], &[u64]); 13] = [
    // Apart from each other.
    (&["a.>", "b.*"], &[1, 2, 3, 8, 9]),
    // One within the other.
    (&["a.>", "a.eu.*"], &[1, 2, 8]),
    // Overlapping.
    (&["*.eu.*", "a.*.x", "b.x"], &[1, 2, 3, 5]),
    (&["*.x", "b.>"], &[3, 4, 9]),
    // Single keys, also where one is another's beginning.
    (&["a"], &[6]),
    (&["a", "c"], &[6, 7]),
    (&["b.x"], &[3]),
    // By the number of tokens.
    (&["*"], &[6, 7]),
    (&["*.*"], &[3, 9]),
    (&["*.>"], &[1, 2, 3, 4, 5, 8, 9]),
    (&[">"], &[1, 2, 3, 4, 5, 6, 7, 8, 9]),
    // Nothing, and nothing beside something.
    (&["none.>", "a.none"], &[]),
    (&["none.>", "c"], &[7]),
];

/// Reading, listing and keys all give what matches the scope.
pub fn o1_a_scope_gives_what_matches_and_nothing_else(harness: &dyn LogHarness) {
    with_log(harness, 64, async |place| {
        place.put_each(&KEYS).await;
        for (filters, expected) in CASES {
            let scope = scope(filters);
            let (changes, end) = place.read_scope(1, &scope).await.until_caught_up().await;
            assert_eq!(sequences(&changes), expected, "read of {filters:?}");
            assert!(end <= 9, "caught up at {end} of 9");
            let (changes, end) = place.list(&scope).await;
            assert_eq!(
                (&sequences(&changes)[..], end),
                (expected, 9),
                "current of {filters:?}"
            );
            let numbered = KEYS.iter().zip(1..);
            let mut wanted: Vec<Bytes> = numbered
                .filter(|(_, number)| expected.contains(number))
                .map(|(key, _)| Bytes::from_static(key.as_bytes()))
                .collect();
            wanted.sort();
            assert_eq!(place.keys(&scope).await, wanted, "keys of {filters:?}");
        }
    });
}

/// A scope holds for what comes later too, wherever the reader began.
pub fn o1_a_scope_holds_for_what_comes_later(harness: &dyn LogHarness) {
    with_log(harness, 64, async |place| {
        place.put_each(&["a.x", "b.x"]).await;
        let scope = scope(&["*.y", "b.>"]);
        let mut reader = place.read_scope(2, &scope).await;
        reader.expect(2..=2).await;
        reader.expect_caught_up(2).await;
        place.put_each(&["a.x", "a.y", "c", "b.z"]).await;
        for expected in [4, 6] {
            assert_eq!(reader.change().await.sequence.get(), expected);
        }
        reader.expect_end(6).await;
    });
}

/// The end of a scope is the end of the log: where the last message is not wanted, the end is told all the same.
pub fn o1_the_end_is_told_where_the_last_message_is_not_wanted(harness: &dyn LogHarness) {
    with_log(harness, 64, async |place| {
        place.put_each(&["b.x", "c.x.y"]).await;
        for filters in [&["b.>"][..], &["*.x", "b.>"]] {
            let mut reader = place.read_scope(1, &scope(filters)).await;
            reader.expect(1..=1).await;
            reader.expect_end(2).await;
        }
        let mut nothing = place.read_scope(1, &scope(&["none"])).await;
        nothing.expect_end(2).await;
    });
}

/// Whoever waits for the end to reach a message is told when it does, though the message does not come.
pub fn o1_the_end_moves_on_with_what_is_not_wanted(harness: &dyn LogHarness) {
    with_log(harness, 64, async |place| {
        place.put("b.x", "1").await;
        let mut reader = place.read_scope(1, &scope(&["b.>"])).await;
        reader.expect(1..=1).await;
        reader.expect_end(1).await;
        place.put("c.x", "1").await;
        reader.expect_end(2).await;
        place.put("b.x", "2").await;
        reader.expect(3..=3).await;
        reader.expect_end(3).await;
    });
}

/// The end is told though everything that was to come went meanwhile.
pub fn o1_the_end_is_told_though_the_last_messages_went(harness: &dyn LogHarness) {
    with_log(harness, 1, async |place| {
        place.fill(1, 10, 10).await;
        let mut reader = place.read(1).await;
        place.owner.evict_before(Sequence::new(11)).await;
        // What was under way by then may come.
        let (came, end) = reader.until_caught_up().await;
        assert!(
            came.len() as u64 <= place.in_flight && end <= 10,
            "caught up at {end} after {came:.100?}"
        );
        if end < 10 {
            reader.expect_end(10).await;
        }
        place.put("b", "next").await;
        reader.expect(11..=11).await;
        let (changes, end) = place.read_scope(1, &Scope::all()).await.until_caught_up().await;
        assert_eq!((sequences(&changes), end), (vec![11], 11));
    });
}
