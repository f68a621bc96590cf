//! Obligation 4: names stay apart, and inside.

use alluvium_core::{CursorStoreError, ErrorKind};

use super::place::{at, with_place};
use crate::CursorStoreHarness;
use crate::support::refused;

/// Names of every kind have a record each, and are listed as they are.
pub fn o4_names_of_every_kind_stay_apart(harness: &dyn CursorStoreHarness) {
    with_place(harness, async |place, cursors| {
        let long = "x".repeat(240);
        let mut names = vec![
            "a",
            "A",
            "a/b",
            "a%2Fb",
            "a=2Fb",
            "%61",
            "=61",
            "..",
            ".",
            "../a",
            "/etc/passwd",
            ">",
            "*",
            "a.b",
            "a.ckpt",
            "a.lock",
            "ä",
            "a b",
            "a\\b",
            "con:",
            "~",
            "-",
            &long,
        ];
        let mut held = Vec::new();
        for (sequence, name) in (1..).zip(&names) {
            let cursor = cursors.hold(name).await.unwrap();
            cursor.save(&at(sequence)).await.unwrap();
            held.push(cursor);
        }
        let again = place.open().await;
        for ((sequence, name), held) in (1..).zip(&names).zip(held) {
            assert_eq!(held.name(), *name);
            assert_eq!(held.load().await.unwrap(), Some(at(sequence)), "{name:?}");
            assert_eq!(again.load(name).await.unwrap(), Some(at(sequence)), "{name:?}");
        }
        names.sort_unstable();
        assert_eq!(again.list().await.unwrap(), names);
        again.remove("a").await.unwrap();
        assert_eq!(again.load("A").await.unwrap(), Some(at(2)));
    });
}

/// What no store has room for is refused by every call, and nothing is written.
pub fn o4_a_name_that_cannot_be_kept_is_refused(harness: &dyn CursorStoreHarness) {
    with_place(harness, async |_, cursors| {
        for name in ["", "a\0b", "\n", "\u{7f}", &"x".repeat(300), &"/".repeat(81)] {
            refused!(cursors.hold(name).await, CursorStoreError::Invalid(_));
            refused!(cursors.load(name).await, CursorStoreError::Invalid(_));
            refused!(cursors.remove(name).await, CursorStoreError::Invalid(_));
        }
        assert!(cursors.list().await.unwrap().is_empty());
    });
}

/// The cursor of a table has one name.
pub fn o4_any_other_name_than_the_tables_is_refused(harness: &dyn CursorStoreHarness) {
    with_place(harness, async |place, cursors| {
        for name in ["", "another", "..", &place.name().to_uppercase()] {
            refused!(cursors.hold(name).await, CursorStoreError::Invalid(_));
            refused!(cursors.load(name).await, CursorStoreError::Invalid(_));
            refused!(cursors.remove(name).await, CursorStoreError::Invalid(_));
        }
        let removed = cursors.remove(place.name()).await.unwrap_err();
        assert_eq!(removed.kind(), ErrorKind::Invalid);
        assert!(cursors.list().await.unwrap().is_empty());
        place.hold().await.save(&at(1)).await.unwrap();
        assert_eq!(cursors.list().await.unwrap(), [place.name()]);
    });
}
