//! Obligation 5: what cannot be read is never taken for nothing.

use alluvium_core::{CursorStoreError, ErrorKind};

use super::place::{at, with_place};
use crate::CursorStoreHarness;
use crate::support::refused;

/// A record that was cut off anywhere, or is something else, is damaged: it is named, cannot be held, and stays as it is
/// until it is removed.
pub fn o5_what_cannot_be_decoded_is_named(harness: &dyn CursorStoreHarness) {
    with_place(harness, async |place, cursors| {
        let name = place.name();
        let whole = at(42).encode();
        let mut wrong: Vec<Vec<u8>> = (1..whole.len())
            .step_by(7)
            .map(|length| whole[..length].to_vec())
            .collect();
        wrong.extend([b"{}".to_vec(), vec![0; 100], vec![0xFF; 100], b"42\n".to_vec()]);
        for bytes in wrong {
            let held = cursors.hold(name).await.unwrap();
            held.save(&at(42)).await.unwrap();
            place.overwrite(name, &bytes).await;
            refused!(cursors.load(name).await, CursorStoreError::Corrupt { path, .. } if !path.as_os_str().is_empty());
            refused!(cursors.hold(name).await, CursorStoreError::Corrupt { .. });
            refused!(cursors.hold(name).await, CursorStoreError::Corrupt { .. });
            assert_eq!(cursors.list().await.unwrap(), [name]);
            cursors.remove(name).await.unwrap();
            assert_eq!(cursors.load(name).await.unwrap(), None);
        }
    });
}

/// A record of a newer version is told from a damaged one, and left alone.
pub fn o5_a_newer_version_is_left_alone(harness: &dyn CursorStoreHarness) {
    with_place(harness, async |place, cursors| {
        let name = place.name();
        cursors.hold(name).await.unwrap().save(&at(42)).await.unwrap();
        let mut newer = at(42).encode();
        // The version is the first field's value.
        let version = newer.windows(7).position(|part| part == b"version").unwrap() + 7;
        assert_eq!(newer[version], 1);
        newer[version] = 2;
        place.overwrite(name, &newer).await;
        for _ in 0..2 {
            refused!(
                cursors.load(name).await,
                CursorStoreError::Newer {
                    found: 2,
                    supported: 1,
                    ..
                }
            );
            let error = cursors.hold(name).await.err().expect("it cannot be held");
            assert_eq!(error.kind(), ErrorKind::Invalid);
        }
        place.overwrite(name, &at(43).encode()).await;
        assert_eq!(cursors.load(name).await.unwrap(), Some(at(43)));
    });
}

/// What belongs to another log or scope is there, and is told by [`check`](alluvium_core::CursorRecord::check).
pub fn o5_a_record_of_something_else_is_told(harness: &dyn CursorStoreHarness) {
    with_place(harness, async |place, cursors| {
        let held = cursors.hold(place.name()).await.unwrap();
        held.save(&at(42)).await.unwrap();
        let found = held.load().await.unwrap().unwrap();
        found.check("ORDERS", &at(1).scope).unwrap();
        refused!(found.check("REFUNDS", &at(1).scope), CursorStoreError::Mismatch { stored, expected }
            if stored.log == "ORDERS" && expected.log == "REFUNDS");
        refused!(
            found.check("ORDERS", &alluvium_core::Scope::all()),
            CursorStoreError::Mismatch { .. }
        );
    });
}
