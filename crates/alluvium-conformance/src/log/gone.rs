//! Obligation 3: a log that is deleted, or made again, is an error, and soon.

use std::future::Future;

use alluvium_core::{ErrorKind, LogError, LogEvent, Scope, Sequence};

use super::place::{Place, sequences, with_log};
use crate::LogHarness;
use crate::support::{assert_error, error_of};

/// A reader at rest is told, and that is the end of it.
pub fn o3_a_deleted_log_ends_a_reader_at_rest(harness: &dyn LogHarness) {
    with_log(harness, 1, async |place| {
        place.fill(1, 10, 10).await;
        let mut reader = place.read_to_end(10).await;
        place.owner.destroy().await;
        let error = reader.failure().await;
        assert_error!(error, LogError::NotFound { .. });
        assert_eq!(error.kind(), ErrorKind::NotFound);
    });
}

/// A reader with much to read yet is told too: what was under way may come before.
pub fn o3_a_deleted_log_ends_a_reader_in_the_flood(harness: &dyn LogHarness) {
    with_log(harness, 1, async |place| {
        let count = 3 * place.in_flight + 100;
        place.fill(1, count, 100).await;
        let mut reader = place.read(1).await;
        reader.expect(1..=10).await;
        place.owner.destroy().await;
        let mut last = 10;
        let in_order = |change: &alluvium_core::Change| {
            last += 1;
            assert_eq!(change.sequence.get(), last);
        };
        assert_error!(reader.failure_after(in_order).await, LogError::NotFound { .. });
        assert!(
            last <= 10 + place.in_flight,
            "{last} messages came of a log that was gone"
        );
    });
}

/// Every reader is told, also one that nobody waited for when it happened, and one that wants nothing.
pub fn o3_every_reader_of_a_deleted_log_is_told(harness: &dyn LogHarness) {
    with_log(harness, 1, async |place| {
        place.fill(1, 10, 10).await;
        let mut unpolled = place.read(11).await;
        let mut nothing = place.read_scope(1, &Scope::of(["none"]).unwrap()).await;
        nothing.expect_caught_up(10).await;
        place.owner.destroy().await;
        for reader in [&mut nothing, &mut unpolled] {
            assert_error!(reader.failure().await, LogError::NotFound { .. });
        }
    });
}

/// Of a log that is not there nothing is answered.
pub fn o3_a_deleted_log_is_not_found(harness: &dyn LogHarness) {
    with_log(harness, 1, async |place| {
        place.fill(1, 10, 10).await;
        place.bounds().await;
        place.owner.destroy().await;
        not_found(place, "bounds", place.log.bounds()).await;
        not_found(place, "message_at", place.log.message_at(Sequence::FIRST)).await;
        let all = Scope::all();
        // Either at once, or as what comes first.
        not_found(place, "read", async {
            place.log.read(Sequence::FIRST, &all).await.map(drop)
        })
        .await;
        let current = async {
            let stream = place.log.current(&all).await?;
            match place.reader(stream).item().await {
                Some(Err(error)) => Err(error),
                other => Ok(other),
            }
        };
        not_found(place, "current", current).await;
        let list = async {
            let mut listing = place.log.list(&all).await?;
            futures_util::TryStreamExt::try_next(&mut listing).await
        };
        not_found(place, "list", list).await;
        let keys = async {
            let mut keys = place.log.keys(&all).await?;
            futures_util::TryStreamExt::try_next(&mut keys).await
        };
        not_found(place, "keys", keys).await;
    });
}

async fn not_found<T>(place: &Place, what: &str, call: impl Future<Output = Result<T, LogError>>) {
    let error = error_of(place.in_time(what, call).await);
    assert!(
        matches!(error, LogError::NotFound { .. }),
        "{what}: not the error that it should be: {error:?}"
    );
}

/// A log made again is another one: who read the first is given nothing of the second.
pub fn o3_a_recreated_log_ends_a_reader(harness: &dyn LogHarness) {
    for again in [0, 5, 20] {
        with_log(harness, 1, async |place| {
            place.fill(1, 10, 10).await;
            let mut reader = place.read_to_end(10).await;
            place.owner.destroy().await;
            place.owner.recreate().await;
            place.fill(1, again, 10).await;
            // A reader may have looked in between.
            assert_error!(
                reader.failure().await,
                LogError::Replaced { .. } | LogError::NotFound { .. }
            );
        });
    }
}

/// A log made again is read as what it is, by whoever had the first one open.
pub fn o3_a_recreated_log_is_another(harness: &dyn LogHarness) {
    with_log(harness, 1, async |place| {
        place.fill(1, 10, 10).await;
        let before = place.bounds().await;
        place.owner.destroy().await;
        place.owner.recreate().await;
        let after = place.bounds().await;
        assert_eq!(after.log.name, before.log.name);
        assert_ne!(after.log, before.log, "another log has another identity");
        assert!(
            after.log.created > before.log.created,
            "{after:?} after {before:?}"
        );
        assert_eq!(
            (after.first, after.last, after.messages),
            (Sequence::FIRST, Sequence::ZERO, 0)
        );
        assert_eq!(place.at(1).await, None);
        assert_eq!(place.put("b", "first").await, 1);
        let (changes, end) = place.read(1).await.until_caught_up().await;
        assert_eq!((sequences(&changes), end), (vec![1], 1));
        assert_eq!(changes[0].key, "b");
        assert_eq!(place.keys(&Scope::all()).await, ["b"]);
    });
}

/// A listing whose log goes either was whole by then, or ends with an error.
pub fn o3_a_listing_of_a_log_that_goes_is_whole_or_an_error(harness: &dyn LogHarness) {
    with_log(harness, 2, async |place| {
        let count = 3 * place.in_flight + 100;
        place.fill(1, count, 100).await;
        let mut listing = place.current(&Scope::all()).await;
        listing.expect(1..=1).await;
        place.owner.destroy().await;
        place.owner.recreate().await;
        place.put("b", "of another log").await;
        let mut last = 1;
        loop {
            match listing.item().await {
                Some(Ok(LogEvent::Change(change))) => {
                    last += 1;
                    assert_eq!(change.sequence.get(), last, "of another log, or out of order");
                }
                Some(Ok(LogEvent::CaughtUp(end))) => {
                    assert_eq!((last, end.get()), (count, count), "said to be whole and is not");
                    break;
                }
                Some(Err(error)) => {
                    let kind = error.kind();
                    assert!(
                        matches!(kind, ErrorKind::NotFound | ErrorKind::Fenced),
                        "{error:?}"
                    );
                    break;
                }
                None => panic!("it ended without a word"),
            }
        }
    });
}
