//! Where a read begins.

use alluvium_core::{ErrorKind, LogError, Scope, Sequence};

use super::place::{Place, sequences, with_log};
use crate::LogHarness;
use crate::support::error_of;

/// A read begins at the sequence that it is given, whichever it is.
pub fn m_a_read_begins_where_it_is_told(harness: &dyn LogHarness) {
    with_log(harness, 64, async |place| {
        place.fill(1, 20, 10).await;
        for from in 1..=20 {
            let mut reader = place.read(from).await;
            reader.expect(from..=20).await;
            reader.expect_caught_up(20).await;
        }
    });
}

/// Where the first messages went, a read from below begins with the first one that there is.
pub fn m_a_read_from_below_the_first_begins_at_the_first(harness: &dyn LogHarness) {
    with_log(harness, 1, async |place| {
        place.fill(1, 20, 10).await;
        place.owner.evict_before(Sequence::new(11)).await;
        for from in [0, 1, 5, 10, 11] {
            let (changes, end) = place.read(from).await.until_caught_up().await;
            assert_eq!(
                (sequences(&changes), end),
                ((11..=20).collect(), 20),
                "from {from}"
            );
        }
        place.read(15).await.expect(15..=20).await;
        place.owner.evict_before(Sequence::new(21)).await;
        for from in [0, 1, 20, 21] {
            let mut reader = place.read(from).await;
            reader.expect_caught_up(20).await;
        }
    });
}

/// One past the end is where the next message will be.
pub fn m_a_read_from_one_past_the_end_waits_for_the_next(harness: &dyn LogHarness) {
    with_log(harness, 1, async |place| {
        let mut from_nothing = place.read(1).await;
        from_nothing.expect_caught_up(0).await;
        place.fill(1, 10, 10).await;
        let mut reader = place.read(11).await;
        reader.expect_caught_up(10).await;
        place.put("b", "next").await;
        reader.expect(11..=11).await;
        from_nothing.expect(1..=11).await;
    });
}

/// Further out there is nothing to wait for: it is an error, and at once.
pub fn m_a_read_from_beyond_the_end_is_refused(harness: &dyn LogHarness) {
    with_log(harness, 1, async |place| {
        refused(place, 2, 0).await;
        place.fill(1, 10, 10).await;
        for from in [12, 100, u64::MAX] {
            refused(place, from, 10).await;
        }
        // Also where the last messages went.
        place.owner.evict_before(Sequence::new(11)).await;
        refused(place, 12, 10).await;
        place.read(11).await.expect_caught_up(10).await;
    });
}

async fn refused(place: &Place, from: u64, end: u64) {
    let everything = Scope::all();
    let read = place.log.read(Sequence::new(from), &everything);
    let error = error_of(place.in_time("a refusal", read).await);
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let LogError::BeyondEnd {
        from: asked, last, ..
    } = &error
    else {
        panic!("not the error that it should be: {error:?}")
    };
    assert_eq!((asked.get(), last.get()), (from, end));
}
