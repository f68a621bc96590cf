//! Obligation 3: the pointer is swapped over what a draft was planned on, or not at all, and never goes back.

use alluvium_core::artifact::Outcome;
use alluvium_core::{Cursor, LogIdentity, Mode, Scope, Sequence, Timestamp, TransportError};
use futures_util::{StreamExt as _, stream};

use super::place::{
    assert_history, at_once, base, draft, log, newest_of, publish, published, routes, segments, stream_of,
    superseded, upload, with_place,
};
use crate::TransportHarness;
use crate::support::refused;

/// Of two drafts planned on one artifact the slower one publishes nothing, also if it is further.
pub fn o3_a_draft_on_an_older_artifact_is_superseded(harness: &dyn TransportHarness) {
    with_place(harness, async |place, handle| {
        let key = routes();
        let first = publish(&handle, None, 10, &[700]).await;
        let second = publish(&handle, Some(&first), 20, &[70]).await;
        for sequence in [15, 20, 25] {
            let slower = upload(&place.open().await, &key, draft(Some(&first), sequence), &[80]).await;
            assert_eq!(superseded(slower), second.manifest);
        }
        assert_history(&handle, &key, &[first, second]).await;
    });
}

/// Who found nothing replaces nothing.
pub fn o3_a_draft_on_nothing_replaces_nothing(harness: &dyn TransportHarness) {
    with_place(harness, async |_, handle| {
        let key = routes();
        let first = publish(&handle, None, 10, &[700]).await;
        for sequence in [5, 10, 20] {
            let other = upload(&handle, &key, draft(None, sequence), &[80]).await;
            assert_eq!(superseded(other), first.manifest);
        }
        assert_history(&handle, &key, &[first]).await;
    });
}

/// Who is overtaken while the segments are uploaded is told, and leaves nothing behind.
pub fn o3_who_is_overtaken_meanwhile_is_superseded(harness: &dyn TransportHarness) {
    with_place(harness, async |place, handle| {
        let key = routes();
        let mut all = vec![publish(&handle, None, 10, &[700]).await];
        for (round, lengths) in [(1, &[80][..]), (2, &[9 << 20, 9 << 20])] {
            let newest = all.last().unwrap().clone();
            let (others, faster) = (place.open().await, round * 100);
            let meanwhile = {
                let newest = newest.clone();
                async move {
                    publish(&others, Some(&newest), faster, &[70]).await;
                    stream_of(segments(faster + 1, &[33]))
                }
            };
            // The other one publishes when these have been taken.
            let mut first = segments(faster + 1, lengths);
            for (number, (info, _)) in first.iter_mut().enumerate() {
                info.first_key = format!("-{number}").into();
                info.last_key = info.first_key.clone();
            }
            let slow = stream_of(first).chain(stream::once(meanwhile).flatten()).boxed();
            let outcome = handle.upload(&key, draft(Some(&newest), faster + 1), slow).await;
            let by = newest_of(&handle, &key).await.unwrap();
            assert_eq!(superseded(outcome), by.manifest);
            assert_eq!(by.id.sequence(), Sequence::new(faster));
            all.push(by);
            assert_history(&handle, &key, &all).await;
            handle.prune(&key, at_once(u32::MAX)).await.unwrap();
            assert_eq!(handle.packs(&key).await.unwrap().len(), all.len());
        }
    });
}

/// An artifact that builds on one that is gone would name packs that may be gone too.
pub fn o3_a_draft_on_what_is_gone_publishes_nothing(harness: &dyn TransportHarness) {
    with_place(harness, async |place, handle| {
        let key = routes();
        let first = publish(&handle, None, 10, &[700]).await;
        for path in place.paths().await {
            place.remove(&path).await;
        }
        let outcome = upload(&handle, &key, draft(Some(&first), 20), &[70]).await;
        assert!(
            !matches!(outcome, Ok(Outcome::Published(_))),
            "a delta to nothing is published"
        );
        assert_eq!(handle.manifest(&key).await.unwrap(), None);
        assert_eq!(handle.history(&key).await.unwrap(), []);
        handle.prune(&key, at_once(1)).await.unwrap();
        assert_eq!(place.paths().await, [""; 0]);
        // From the beginning it is possible.
        let again = publish(&handle, None, 20, &[800]).await;
        assert_history(&handle, &key, &[again]).await;
    });
}

/// A whole table that is behind does not replace one that is ahead; one that is level does.
pub fn o3_the_cursor_never_falls(harness: &dyn TransportHarness) {
    with_place(harness, async |_, handle| {
        let key = routes();
        let first = publish(&handle, None, 10, &[700]).await;
        for sequence in [0, 1, 9] {
            let behind = upload(&handle, &key, base(&first, sequence), &[]).await;
            assert_eq!(superseded(behind), first.manifest);
        }
        let level = published(upload(&handle, &key, base(&first, 10), &[800]).await);
        assert_eq!(handle.manifest(&key).await.unwrap(), Some(level.manifest));
        assert_eq!(handle.history(&key).await.unwrap().len(), 2);
    });
}

/// A log that was created again begins anew, and is ahead of what it was before, at whatever sequence.
pub fn o3_a_log_that_was_created_again_is_ahead(harness: &dyn TransportHarness) {
    with_place(harness, async |_, handle| {
        let key = routes();
        let first = publish(&handle, None, 10, &[700]).await;
        let later = LogIdentity::new(log().name, Timestamp::from_nanos(log().created.as_nanos() + 1));
        let mut again = base(&first, 3);
        again.cursor = Cursor::start_of(later).at(Sequence::new(3), again.cursor.timestamp);
        let second = published(upload(&handle, &key, again, &[90]).await);
        let newest = handle.newest(&key).await.unwrap();
        assert_eq!(newest, Some((second.id, second.manifest.clone())));
        // And there is no way back to the old one.
        let back = upload(&handle, &key, base(&second, 20), &[70]).await;
        assert_eq!(superseded(back), second.manifest);
        let mut history = handle.history(&key).await.unwrap();
        history.sort();
        assert_eq!(history, [second.id, first.id]);
    });
}

/// A key is one table's: another log, other keys, another mode are refused, and nothing of them stays.
pub fn o3_another_table_under_a_key_is_refused(harness: &dyn TransportHarness) {
    with_place(harness, async |place, handle| {
        let key = routes();
        let first = publish(&handle, None, 10, &[700]).await;
        let before = place.paths().await;
        let mut other_log = draft(Some(&first), 20);
        other_log.cursor.log = LogIdentity::new("KV_flags", log().created);
        let mut other_scope = draft(Some(&first), 20);
        other_scope.scope = Scope::of(["eu.>"]).unwrap();
        let mut other_mode = draft(Some(&first), 20);
        other_mode.mode = Mode::Archive;
        for draft in [other_log, other_scope, other_mode] {
            refused!(
                upload(&handle, &key, draft, &[70]).await,
                TransportError::Mismatch { key, .. } if key == "Routes"
            );
            assert_eq!(place.paths().await, before);
        }
        assert_history(&handle, &key, &[first]).await;
    });
}
