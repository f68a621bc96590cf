//! Word `markers`: keys that are deleted leave a message that says so.

use alluvium_core::{Change, DeleteReason, Operation, Scope};

use super::place::{sequences, with_log};
use crate::LogHarness;

fn reason(change: &Change) -> Option<DeleteReason> {
    match change.operation {
        Operation::Put(_) => None,
        Operation::Delete(reason) => Some(reason),
    }
}

/// A delete is read as a delete, between the puts around it, and an empty value is none.
pub fn o1_deletes_come_in_order_with_puts(harness: &dyn LogHarness) {
    with_log(harness, 64, async |place| {
        place.put_each(&["a", "b"]).await;
        assert_eq!(place.owner.delete("a").await.get(), 3);
        place.put("a", "").await;
        assert_eq!(place.owner.delete("c.never.was").await.get(), 5);
        let (changes, end) = place.read(1).await.until_caught_up().await;
        let deleted = Some(DeleteReason::Deleted);
        let reasons: Vec<_> = changes.iter().map(reason).collect();
        assert_eq!(reasons, [None, None, deleted, None, deleted]);
        assert_eq!(
            (&changes[2].key[..], &changes[4].key[..], end),
            (&b"a"[..], &b"c.never.was"[..], 5)
        );
        for change in changes {
            assert_eq!(
                place.at(change.sequence.get()).await,
                Some(change),
                "the same by its sequence"
            );
        }
    });
}

/// A purge takes away what its key had, and nothing else, and is told from a delete.
pub fn o1_a_purge_takes_the_messages_of_its_key(harness: &dyn LogHarness) {
    with_log(harness, 64, async |place| {
        for key in ["a", "b", "a", "a.x", "a"] {
            place.put(key, "value").await;
        }
        assert_eq!(place.owner.purge("a").await.get(), 6);
        let (changes, end) = place.read(1).await.until_caught_up().await;
        assert_eq!((sequences(&changes), end), (vec![2, 4, 6], 6));
        assert_eq!(reason(&changes[2]), Some(DeleteReason::Purged));
        assert_eq!(place.at(5).await, None);
        assert_eq!(place.at(6).await.as_ref(), changes.last());
        let bounds = place.bounds().await;
        assert_eq!(
            (bounds.first.get(), bounds.last.get(), bounds.messages),
            (2, 6, 3)
        );
    });
}

/// A marker is the latest message of its key: a listing has it, and its key is a key.
pub fn m_current_and_keys_have_delete_markers(harness: &dyn LogHarness) {
    with_log(harness, 5, async |place| {
        place.put_each(&["a", "b", "c"]).await;
        place.owner.delete("a").await;
        place.owner.purge("b").await;
        let (listed, end) = place.list(&Scope::all()).await;
        assert_eq!((sequences(&listed), end), (vec![3, 4, 5], 5));
        let reasons: Vec<_> = listed.iter().map(reason).collect();
        assert_eq!(
            reasons,
            [None, Some(DeleteReason::Deleted), Some(DeleteReason::Purged)]
        );
        assert_eq!(place.keys(&Scope::all()).await, ["a", "b", "c"]);
        place.put("a", "again").await;
        let (listed, _) = place.list(&Scope::all()).await;
        assert_eq!(sequences(&listed), [3, 5, 6]);
        assert_eq!(reason(&listed[2]), None);
    });
}
