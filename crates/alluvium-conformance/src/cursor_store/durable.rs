//! Obligations 1 and 2: what was saved is there.

use super::place::{at, with_place};
use crate::CursorStoreHarness;

/// A record comes back as it was saved, to its holder, to everybody else, and after the holder has gone.
pub fn o1_a_saved_record_comes_back(harness: &dyn CursorStoreHarness) {
    with_place(harness, async |place, cursors| {
        let name = place.name();
        assert_eq!(cursors.load(name).await.unwrap(), None);
        let held = cursors.hold(name).await.unwrap();
        assert_eq!((held.name(), held.load().await.unwrap()), (name, None));
        for sequence in [1, 2, 500, u64::MAX / 4] {
            held.save(&at(sequence)).await.unwrap();
            assert_eq!(held.load().await.unwrap(), Some(at(sequence)));
            assert_eq!(cursors.load(name).await.unwrap(), Some(at(sequence)));
            assert_eq!(place.open().await.load(name).await.unwrap(), Some(at(sequence)));
        }
        drop((held, cursors));
        assert_eq!(place.hold().await.load().await.unwrap(), Some(at(u64::MAX / 4)));
    });
}

/// To save the same record again is fine.
pub fn o2_a_save_can_be_repeated(harness: &dyn CursorStoreHarness) {
    with_place(harness, async |place, cursors| {
        let held = cursors.hold(place.name()).await.unwrap();
        for _ in 0..3 {
            held.save(&at(7)).await.unwrap();
        }
        assert_eq!(held.load().await.unwrap(), Some(at(7)));
    });
}

/// A cursor that is reset goes back.
pub fn o1_a_record_may_lie_before_the_last_one(harness: &dyn CursorStoreHarness) {
    with_place(harness, async |place, cursors| {
        let held = cursors.hold(place.name()).await.unwrap();
        held.save(&at(7)).await.unwrap();
        held.save(&at(3)).await.unwrap();
        assert_eq!(held.load().await.unwrap(), Some(at(3)));
    });
}
