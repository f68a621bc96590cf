//! Obligations 3 and 6: one holder, and none of what was removed.

use std::sync::Arc;

use super::place::{assert_fenced, at, with_place};
use crate::CursorStoreHarness;
use crate::support::length;

/// Whoever holds a name last holds it, from the same handle or from another process, and finds what was saved.
pub fn o3_the_last_holder_goes_on_and_the_others_are_fenced(harness: &dyn CursorStoreHarness) {
    with_place(harness, async |place, cursors| {
        let mut former = Vec::new();
        for sequence in 1..=6 {
            let held = if sequence % 2 == 0 {
                place.hold().await
            } else {
                cursors.hold(place.name()).await.unwrap()
            };
            let before = (sequence > 1).then(|| at(sequence - 1));
            assert_eq!(held.load().await.unwrap(), before);
            // Before the new holder has saved anything, and after.
            for _ in 0..2 {
                for old in &former {
                    let old: &Arc<dyn alluvium_core::HeldCursor> = old;
                    assert_fenced(old.save(&at(1_000)).await);
                    assert_fenced(old.load().await);
                }
                held.save(&at(sequence)).await.unwrap();
                assert_eq!(cursors.load(place.name()).await.unwrap(), Some(at(sequence)));
            }
            former.push(held);
        }
    });
}

/// A name that was never saved is taken over like any other.
pub fn o3_a_name_without_a_record_is_taken_over(harness: &dyn CursorStoreHarness) {
    with_place(harness, async |place, cursors| {
        let first = cursors.hold(place.name()).await.unwrap();
        let second = place.hold().await;
        assert_fenced(first.save(&at(1)).await);
        assert_eq!(second.load().await.unwrap(), None);
        second.save(&at(2)).await.unwrap();
        assert_fenced(first.save(&at(1)).await);
        assert_eq!(place.hold().await.load().await.unwrap(), Some(at(2)));
    });
}

/// Of many who take a name over at once one holds it, and nobody's save is lost or undone by one who is fenced.
pub fn o3_of_16_who_race_one_is_not_fenced(harness: &dyn CursorStoreHarness) {
    with_place(harness, async |place, cursors| {
        let mut handles = Vec::new();
        for _ in 0..16 {
            handles.push(place.open().await);
        }
        let name = place.name();
        let mut last = 0;
        for round in 1..=length(3, 20) {
            let mut racers = Vec::new();
            for (number, handle) in (0..).zip(&handles) {
                let handle = Arc::clone(handle);
                racers.push(tokio::spawn(async move {
                    let held = handle.hold(name).await.unwrap();
                    let mut saved = None;
                    for step in 1..=5 {
                        // A cursor that is in a table cannot go back: each starts from what it finds.
                        let found = match held.load().await {
                            Ok(found) => found,
                            fenced => {
                                assert_fenced(fenced);
                                break;
                            }
                        };
                        let found = found.map_or(0, |record| record.cursor.sequence.get());
                        let own = found + 100 * step + number;
                        match held.save(&at(own)).await {
                            Ok(()) => saved = Some(own),
                            fenced => {
                                assert_fenced(fenced);
                                break;
                            }
                        }
                    }
                    (held, saved)
                }));
            }
            let mut finished = Vec::new();
            for racer in racers {
                finished.push(racer.await.unwrap());
            }
            let mut winners = 0;
            let mut reached = last;
            for (held, saved) in finished {
                reached = reached.max(saved.unwrap_or(0));
                match held.load().await {
                    Ok(found) => {
                        winners += 1;
                        let found = found.map(|record| record.cursor.sequence.get());
                        assert_eq!(found, saved, "what the one holder saved last is there");
                    }
                    fenced => assert_fenced(fenced),
                }
            }
            assert_eq!(winners, 1, "round {round}");
            let found = cursors.load(name).await.unwrap().unwrap().cursor.sequence.get();
            assert_eq!(found, reached, "no save was undone");
            last = found;
        }
    });
}

/// What was removed is gone, its holder is fenced, and it begins anew.
pub fn o6_a_removed_cursor_is_gone(harness: &dyn CursorStoreHarness) {
    with_place(harness, async |place, cursors| {
        let name = place.name();
        let held = cursors.hold(name).await.unwrap();
        held.save(&at(5)).await.unwrap();
        place.open().await.remove(name).await.unwrap();
        assert_eq!(cursors.load(name).await.unwrap(), None);
        assert!(cursors.list().await.unwrap().is_empty());
        assert_fenced(held.save(&at(6)).await);
        assert_fenced(held.load().await);
        // Again, and what never was.
        cursors.remove(name).await.unwrap();
        cursors.remove("never was").await.unwrap();
        let held = place.hold().await;
        assert_eq!(held.load().await.unwrap(), None);
        held.save(&at(1)).await.unwrap();
        assert_eq!(cursors.list().await.unwrap(), [name]);
    });
}

/// Who holds a name without a record is fenced by its removal too.
pub fn o6_a_removal_fences_who_has_saved_nothing(harness: &dyn CursorStoreHarness) {
    with_place(harness, async |place, cursors| {
        let held = cursors.hold(place.name()).await.unwrap();
        place.open().await.remove(place.name()).await.unwrap();
        assert_fenced(held.save(&at(1)).await);
        assert_eq!(cursors.load(place.name()).await.unwrap(), None);
    });
}
