//! What a log says of itself.

use alluvium_core::Sequence;

use super::place::{Place, with_log};
use crate::LogHarness;

/// First, last, and how many messages.
async fn told(place: &Place) -> (u64, u64, u64) {
    let bounds = place.bounds().await;
    assert_eq!(bounds.is_empty(), bounds.messages == 0);
    (bounds.first.get(), bounds.last.get(), bounds.messages)
}

/// An empty log says where the first message will be, and one that was emptied where the next.
pub fn m_bounds_of_an_empty_log_say_where_the_next_message_will_be(harness: &dyn LogHarness) {
    with_log(harness, 1, async |place| {
        let bounds = place.bounds().await;
        assert_eq!((bounds.first, bounds.last), (Sequence::FIRST, Sequence::ZERO));
        assert!(bounds.is_empty());
        place.read(1).await.expect_caught_up(0).await;
        place.fill(1, 5, 10).await;
        place.owner.evict_before(Sequence::new(6)).await;
        assert_eq!(told(place).await, (6, 5, 0));
        place.read(1).await.expect_caught_up(5).await;
        assert_eq!(place.put("b", "next").await, 6);
        assert_eq!(told(place).await, (6, 6, 1));
    });
}

/// Bounds are those of this moment, whatever was asked before, read or not.
pub fn m_bounds_follow_the_log(harness: &dyn LogHarness) {
    with_log(harness, 2, async |place| {
        assert_eq!(told(place).await, (1, 0, 0));
        place.fill(1, 10, 10).await;
        assert_eq!(told(place).await, (1, 10, 10));
        // In the middle, and at the ends.
        place.owner.remove(Sequence::new(5)).await;
        assert_eq!(told(place).await, (1, 10, 9));
        place.owner.remove(Sequence::new(1)).await;
        place.owner.remove(Sequence::new(10)).await;
        assert_eq!(told(place).await, (2, 10, 7));
        place.owner.evict_before(Sequence::new(7)).await;
        assert_eq!(told(place).await, (7, 10, 3));
        // The third of a key takes the first one's place.
        for (last, messages) in [(11, 4), (12, 5), (13, 5)] {
            place.put("b", "value").await;
            assert_eq!(told(place).await, (7, last, messages));
        }
        let mut reader = place.read(1).await;
        reader.expect(7..=9).await;
        place.owner.evict_before(Sequence::new(13)).await;
        assert_eq!(told(place).await, (13, 13, 1));
    });
}

/// The name is known at once, and the same log is the same whoever asks.
pub fn m_a_log_tells_its_name_and_identity(harness: &dyn LogHarness) {
    with_log(harness, 1, async |place| {
        let before = place.bounds().await;
        assert_eq!(before.log.name, place.log.name());
        assert!(!before.log.name.is_empty());
        place.put("a", "value").await;
        let other = place.owner.open().await.unwrap();
        let after = other.bounds().await.unwrap();
        assert_eq!((after.log, other.name()), (before.log, place.log.name()));
        assert_eq!(after.retention, before.retention);
        assert!(
            !after.retention.evicts_latest(),
            "it evicts nothing: {:?}",
            after.retention
        );
    });
}

/// Bytes grow with what is stored, and go with what goes.
pub fn m_bytes_are_those_of_what_is_held(harness: &dyn LogHarness) {
    with_log(harness, 1, async |place| {
        assert_eq!(place.bounds().await.bytes, 0);
        place.fill(1, 10, 1_000).await;
        let ten = place.bounds().await.bytes;
        assert!(ten >= 10_000, "{ten} bytes are ten values of 1000");
        place.owner.evict_before(Sequence::new(10)).await;
        let one = place.bounds().await.bytes;
        assert!(
            (1_000..ten / 5).contains(&one),
            "{one} bytes of {ten} are the last value"
        );
    });
}
