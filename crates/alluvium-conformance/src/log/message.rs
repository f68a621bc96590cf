//! Single messages by their sequence.

use alluvium_core::Sequence;

use super::place::{told, with_log};
use crate::LogHarness;

/// A message that is there is given, and of one that is not there no neighbour.
pub fn m_message_at_gives_that_message_or_none(harness: &dyn LogHarness) {
    with_log(harness, 1, async |place| {
        assert_eq!(place.at(1).await, None, "nothing was stored yet");
        place.put_each(&["a", "b", "a.x", "b.x", "c"]).await;
        for (number, key) in (1..).zip(["a", "b", "a.x", "b.x", "c"]) {
            let message = place.at(number).await.expect("it is there");
            assert_eq!(
                (message.sequence.get(), told(&message)),
                (number, (key, Some(key)))
            );
        }
        place.owner.remove(Sequence::new(3)).await;
        place.put("b", "again").await;
        place.owner.evict_before(Sequence::new(2)).await;
        for (gone, why) in [
            (0, "no message"),
            (1, "evicted"),
            (2, "replaced"),
            (3, "removed"),
            (7, "to come"),
        ] {
            assert_eq!(place.at(gone).await, None, "{why}");
        }
        assert_eq!(place.at(u64::MAX).await, None, "the last of all numbers");
        let message = place.at(6).await.expect("it is there");
        assert_eq!(told(&message), ("b", Some("again")));
    });
}

/// A message is the same by every way to it, to the nanosecond, and instants do not go back.
pub fn m_a_message_is_the_same_by_every_way(harness: &dyn LogHarness) {
    with_log(harness, 64, async |place| {
        place.put_each(&["a", "b.x", "c", "a.x.y", "b"]).await;
        let (read, _) = place.read(1).await.until_caught_up().await;
        let (listed, _) = place.list(&alluvium_core::Scope::all()).await;
        assert_eq!(read, listed);
        let mut last = None;
        for change in &read {
            assert_eq!(place.at(change.sequence.get()).await.as_ref(), Some(change));
            assert!(Some(change.timestamp) >= last, "{change:?} before {last:?}");
            last = Some(change.timestamp);
        }
    });
}
