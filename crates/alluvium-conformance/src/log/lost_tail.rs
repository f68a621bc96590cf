//! Obligation 3, word `tail`: a log that is shorter than what was read of it is an error, and soon.

use alluvium_core::{ErrorKind, LogError, LogEvent, Scope, Sequence};

use super::place::{Place, sequences, with_log};
use crate::LogHarness;
use crate::support::{assert_error, refused};

/// A log of ten messages that is backed up there, and has twenty afterwards.
async fn grown(place: &Place) {
    place.fill(1, 10, 10).await;
    place.owner.back_up().await;
    place.fill(11, 10, 10).await;
}

/// Who had read further than the log goes is told what it had read, and where the log ends.
pub fn o3_a_lost_tail_ends_a_reader(harness: &dyn LogHarness) {
    with_log(harness, 1, async |place| {
        grown(place).await;
        let mut reader = place.read_to_end(20).await;
        place.owner.put_back().await;
        let error = reader.failure().await;
        assert_error!(error, LogError::TailLost { expected, last, .. } if (expected.get(), last.get()) == (20, 10));
        assert_eq!(error.kind(), ErrorKind::Fenced);
    });
}

/// Also where others took the places of what was lost before the reader looked.
pub fn o3_a_lost_tail_that_grew_again_ends_a_reader(harness: &dyn LogHarness) {
    for more in [10, 15] {
        with_log(harness, 1, async |place| {
            grown(place).await;
            let mut reader = place.read_to_end(20).await;
            place.owner.put_back().await;
            place.fill(101, more, 10).await;
            assert_error!(reader.failure().await, LogError::TailLost { .. });
        });
    }
}

/// Who had not read so far may go on with what is there; if it gives something that was lost, it tells.
pub fn o3_a_reader_before_the_cut_goes_on_or_is_told(harness: &dyn LogHarness) {
    with_log(harness, 1, async |place| {
        grown(place).await;
        let mut reader = place.read(1).await;
        reader.expect(1..=5).await;
        place.owner.put_back().await;
        let mut last = 5;
        let ended = loop {
            match reader.item().await.expect("the stream ended without an error") {
                Ok(LogEvent::Change(change)) => {
                    last += 1;
                    assert_eq!(change.sequence.get(), last);
                }
                Ok(LogEvent::CaughtUp(at)) if at.get() == 10 => break false,
                Ok(LogEvent::CaughtUp(_)) => {}
                Err(error) => {
                    assert_error!(error, LogError::TailLost { .. });
                    break true;
                }
            }
        };
        assert_eq!(
            ended,
            last > 10,
            "what was lost and what is told of it, after {last}"
        );
        if !ended {
            place.put("b", "next").await;
            let next = reader.change().await;
            assert_eq!((next.sequence.get(), &next.key[..]), (11, &b"b"[..]));
        }
    });
}

/// What was lost is not there by any way, and its places are taken by other messages.
pub fn o3_what_was_lost_is_not_there(harness: &dyn LogHarness) {
    with_log(harness, 1, async |place| {
        grown(place).await;
        let lost = place.at(15).await.expect("it is there");
        let identity = place.bounds().await.log;
        place.owner.put_back().await;
        let bounds = place.bounds().await;
        assert_eq!(
            (bounds.first.get(), bounds.last.get(), bounds.messages),
            (1, 10, 10)
        );
        assert_eq!(bounds.log, identity, "the same log, cut short");
        assert_eq!(place.at(15).await, None);
        refused!(
            place.log.read(Sequence::new(12), &Scope::all()).await,
            LogError::BeyondEnd { .. }
        );
        assert_eq!(place.list(&Scope::all()).await.1, 10);
        place.fill(11, 5, 10).await;
        let found = place.at(15).await.expect("it is there");
        assert_ne!(
            found.timestamp, lost.timestamp,
            "another message in the same place"
        );
        let (changes, end) = place.read(1).await.until_caught_up().await;
        assert_eq!((sequences(&changes), end), ((1..=15).collect(), 15));
    });
}
