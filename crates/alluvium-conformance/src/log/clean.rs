//! Obligation 4, word `served`: the server keeps nothing of a reader that is gone.

use alluvium_core::{Scope, Sequence};

use super::place::{scope, with_log};
use crate::LogHarness;
use crate::support::error_of;

/// A reader that is dropped, whatever it had read, leaves nothing.
pub fn o4_dropped_readers_leave_nothing(harness: &dyn LogHarness) {
    with_log(harness, 1, async |place| {
        let count = 2 * place.in_flight + 100;
        place.fill(1, count, 100).await;
        assert_eq!(place.owner.readers().await, 0);
        let unpolled = place.read(1).await;
        let mut amid = place.read_scope(1, &scope(&["a.*", "b", "*.x"])).await;
        amid.expect(1..=10).await;
        let mut at_rest = place.read(count + 1).await;
        at_rest.expect_caught_up(count).await;
        place.readers_become(3).await;
        drop((unpolled, amid));
        place.readers_become(1).await;
        // The one that is left is not disturbed.
        place.put("b", "next").await;
        at_rest.expect(count + 1..=count + 1).await;
        drop(at_rest);
        place.readers_become(0).await;
    });
}

/// A listing leaves nothing, whether it came to its end or was dropped before.
pub fn o4_listings_leave_nothing(harness: &dyn LogHarness) {
    with_log(harness, 2, async |place| {
        place.fill(1, 2 * place.in_flight + 100, 100).await;
        let mut listing = place.current(&Scope::all()).await;
        listing.expect(1..=10).await;
        place.list(&Scope::all()).await;
        place.list(&scope(&["a.1"])).await;
        place.list_without_values(&Scope::all()).await;
        drop(place.log.list(&Scope::all()).await.unwrap());
        place.keys(&Scope::all()).await;
        drop(place.current(&Scope::all()).await);
        drop(place.log.keys(&Scope::all()).await.unwrap());
        place.readers_become(1).await;
        drop(listing);
        place.readers_become(0).await;
    });
}

/// However often a reader connects again, the server keeps one.
pub fn o4_cut_connections_leave_one_reader(harness: &dyn LogHarness) {
    with_log(harness, 1, async |place| {
        let mut reader = place.read(1).await;
        for round in 1..=20 {
            place.put("a", "value").await;
            reader.expect(round..=round).await;
            place.owner.disconnect().await;
            place.owner.reconnect().await;
        }
        place.put("b", "the last").await;
        reader.expect(21..=21).await;
        place.readers_become(1).await;
        drop(reader);
        place.readers_become(0).await;
    });
}

/// A reader that is dropped while there is no connection leaves nothing when there is one.
pub fn o4_a_reader_dropped_while_cut_off_leaves_nothing(harness: &dyn LogHarness) {
    with_log(harness, 1, async |place| {
        place.fill(1, 100, 100).await;
        let mut reader = place.read(1).await;
        reader.expect(1..=10).await;
        let listing = place.current(&Scope::all()).await;
        place.owner.disconnect().await;
        drop((reader, listing));
        place.owner.reconnect().await;
        place.readers_become(0).await;
    });
}

/// A read that is refused leaves nothing, at any time.
pub fn o4_a_refused_read_leaves_nothing(harness: &dyn LogHarness) {
    with_log(harness, 1, async |place| {
        place.fill(1, 10, 10).await;
        error_of(place.log.read(Sequence::new(12), &Scope::all()).await);
        assert_eq!(place.owner.readers().await, 0);
    });
}
