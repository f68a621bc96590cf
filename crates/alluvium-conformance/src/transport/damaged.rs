//! Obligation 5: whatever is in the store, it is not believed.

use alluvium_core::artifact::{ManifestId, Published, SegmentRef};
use alluvium_core::{Sequence, TransportError};
use bytes::Bytes;

use super::place::{
    Handle, Place, assert_history, assert_whole, base, draft, publish, published, routes, superseded, upload,
    whole_pack, with_place,
};
use crate::segments::digest_of;
use crate::support::{length, refused};
use crate::{Random, TransportHarness};

/// What is no manifest, and what a manifest was before it was damaged.
fn damaged(manifest: &Bytes) -> Vec<(&'static str, Bytes)> {
    let text = std::str::from_utf8(manifest).unwrap();
    vec![
        ("nothing", Bytes::new()),
        ("garbage", Bytes::from(Random::new(7).bytes(600))),
        ("a word", Bytes::from_static(b"garbage")),
        ("another object", Bytes::from_static(b"{\"format\":1}")),
        ("nested", Bytes::from("[".repeat(100_000))),
        ("cut off", manifest.slice(..manifest.len() / 2)),
        ("without its end", manifest.slice(..manifest.len() - 1)),
        (
            "another cursor",
            text.replacen("\"sequence\":20", "\"sequence\":99", 1).into(),
        ),
        ("longer than any", Bytes::from(vec![b' '; (1 << 20) + 1])),
    ]
}

const NEWER: &[u8] = br#"{"format":2,"segments":"elsewhere"}"#;

/// Two artifacts, of which the newest has lost its pointer to this.
async fn with_pointer(place: &Place<'_>, handle: &Handle, pointer: Bytes) -> [Published; 2] {
    for path in place.paths().await {
        place.remove(&path).await;
    }
    let first = publish(handle, None, 10, &[700]).await;
    let second = publish(handle, Some(&first), 20, &[70]).await;
    place.put(&routes().pointer(), pointer).await;
    [first, second]
}

async fn a_manifest(handle: &Handle, place: &Place<'_>) -> Bytes {
    let first = publish(handle, None, 10, &[700]).await;
    publish(handle, Some(&first), 20, &[70]).await;
    place.get(&routes().pointer()).await
}

/// A pointer that is damaged is told, and who builds on nothing replaces it. What was published before stays.
pub fn o5_a_damaged_pointer_is_told_and_replaced(harness: &dyn TransportHarness) {
    with_place(harness, async |place, handle| {
        let key = routes();
        let manifest = a_manifest(&handle, place).await;
        for (what, pointer) in damaged(&manifest) {
            let [first, second] = with_pointer(place, &handle, pointer.clone()).await;
            let told = handle.manifest(&key).await;
            assert!(
                matches!(told, Err(TransportError::Corrupt { .. })),
                "{what}: {told:?}"
            );
            assert_eq!(handle.history(&key).await.unwrap(), [first.id], "{what}");
            // Nobody knows any more what it was planned on.
            refused!(
                upload(&handle, &key, draft(Some(&second), 30), &[60]).await,
                TransportError::Corrupt { .. }
            );
            assert_eq!(place.get(&key.pointer()).await, pointer, "{what}");
            let third = publish(&handle, None, 30, &[800]).await;
            assert_history(&handle, &key, &[first, third]).await;
        }
    });
}

/// What replaces a damaged pointer does not fall behind what is in the history, whatever of that can be read.
pub fn o5_what_replaces_a_damaged_pointer_does_not_go_back(harness: &dyn TransportHarness) {
    with_place(harness, async |place, handle| {
        let key = routes();
        let [first, _] = with_pointer(place, &handle, "garbage".into()).await;
        let unreadable = ManifestId::new(Sequence::new(15), &digest_of(b"garbage"));
        place.put(&key.manifest(unreadable), "garbage").await;
        let behind = upload(&handle, &key, draft(None, 9), &[60]).await;
        assert_eq!(superseded(behind), first.manifest);
        refused!(handle.manifest(&key).await, TransportError::Corrupt { .. });
        let third = published(upload(&handle, &key, draft(None, 10), &[800]).await);
        assert_eq!(handle.manifest(&key).await.unwrap(), Some(third.manifest));
    });
}

/// What a newer Alluvium has written is told, and never replaced.
pub fn o5_a_newer_pointer_is_never_replaced(harness: &dyn TransportHarness) {
    with_place(harness, async |place, handle| {
        let key = routes();
        let [_, second] = with_pointer(place, &handle, Bytes::from_static(NEWER)).await;
        let before = place.paths().await;
        refused!(
            handle.manifest(&key).await,
            TransportError::Newer {
                found: 2,
                supported: 1,
                ..
            }
        );
        for draft in [draft(None, 30), draft(Some(&second), 30), base(&second, 30)] {
            refused!(
                upload(&handle, &key, draft, &[60]).await,
                TransportError::Newer { .. }
            );
        }
        assert_eq!(place.get(&key.pointer()).await, NEWER);
        assert_eq!(place.paths().await, before);
    });
}

/// No bit of a manifest changes unseen.
pub fn o5_a_flipped_bit_of_a_manifest_is_found(harness: &dyn TransportHarness) {
    with_place(harness, async |place, handle| {
        let key = routes();
        let manifest = a_manifest(&handle, place).await;
        let sound = handle.manifest(&key).await.unwrap();
        let mut random = Random::new(5);
        for _ in 0..length(60, 2_000) {
            let mut bytes = manifest.to_vec();
            let (at, bit) = (random.index(bytes.len()), random.below(8));
            bytes[at] ^= 1 << bit;
            place.put(&key.pointer(), bytes).await;
            match handle.manifest(&key).await {
                Err(TransportError::Corrupt { .. }) => {}
                // A checksum of which nobody knows that it is one.
                Ok(read) => assert_eq!(read, sound, "bit {bit} of byte {at}"),
                Err(error) => panic!("bit {bit} of byte {at}: {error:?}"),
            }
        }
    });
}

/// What is in the history and cannot be read is there all the same, and is told.
pub fn o5_what_is_damaged_in_the_history_is_told(harness: &dyn TransportHarness) {
    with_place(harness, async |place, handle| {
        let key = routes();
        let first = publish(&handle, None, 10, &[700]).await;
        let second = publish(&handle, Some(&first), 20, &[70]).await;
        let third = publish(&handle, Some(&second), 30, &[70]).await;
        let (path, sound) = (key.manifest(second.id), place.get(&key.manifest(second.id)).await);
        let another = place.get(&key.manifest(first.id)).await;
        let mut contents = damaged(&sound);
        contents.push(("another artifact", another));
        for (what, bytes) in contents {
            place.put(&path, bytes).await;
            let read = handle.manifest_of(&key, second.id).await;
            assert!(
                matches!(read, Err(TransportError::Corrupt { .. })),
                "{what}: {read:?}"
            );
            let history = handle.history(&key).await.unwrap();
            assert_eq!(history, [first.id, second.id, third.id], "{what}");
        }
        place.put(&path, NEWER).await;
        refused!(
            handle.manifest_of(&key, second.id).await,
            TransportError::Newer { .. }
        );
        // It is nobody else's trouble.
        assert_whole(&handle, &key, &third.manifest).await;
        place.put(&path, sound).await;
        assert_history(&handle, &key, &[first, second, third]).await;
    });
}

/// A segment of which any bit has changed is not handed out; the others are.
pub fn o5_a_flipped_bit_of_a_segment_is_found(harness: &dyn TransportHarness) {
    with_place(harness, async |place, handle| {
        let key = routes();
        let first = publish(&handle, None, 10, &[700, 1, 90_000]).await;
        let pack = first.manifest.packs()[0];
        let sound = place.get(&key.pack(pack)).await;
        for (pack, segment) in first.manifest.segments() {
            for at in [0, segment.info.length / 2, segment.info.length - 1] {
                let mut bytes = sound.to_vec();
                bytes[usize::try_from(segment.offset + at).unwrap()] ^= 0x10;
                place.put(&key.pack(pack), bytes).await;
                for (pack, other) in first.manifest.segments() {
                    let read = handle.segment(&key, pack, other).await;
                    if other == segment {
                        refused!(
                            read,
                            TransportError::IntegrityMismatch { path, expected, actual }
                                if *expected == segment.info.sha256
                                    && actual != expected
                                    && path.contains(&pack.to_string())
                        );
                    } else {
                        read.unwrap();
                    }
                }
            }
        }
    });
}

/// What a pack that was cut off has lost is told; what it has not can be read.
pub fn o5_a_pack_that_is_too_short_is_told(harness: &dyn TransportHarness) {
    with_place(harness, async |place, handle| {
        let key = routes();
        let first = publish(&handle, None, 10, &[700, 800]).await;
        let segments: Vec<_> = first.manifest.segments().collect();
        let pack = segments[0].0;
        let sound = place.get(&key.pack(pack)).await;
        let last = segments[1].1;
        for length in [last.offset + 799, last.offset + 1, last.offset, last.offset - 1] {
            place
                .put(&key.pack(pack), sound.slice(..usize::try_from(length).unwrap()))
                .await;
            refused!(
                handle.segment(&key, pack, last).await,
                TransportError::Corrupt { path, .. } if path.contains(&pack.to_string())
            );
            handle.segment(&key, pack, segments[0].1).await.unwrap();
        }
        place.put(&key.pack(pack), Bytes::new()).await;
        refused!(
            handle.segment(&key, pack, segments[0].1).await,
            TransportError::Corrupt { .. }
        );
    });
}

/// A pack that was removed behind everybody's back is named.
pub fn o5_a_missing_pack_is_named(harness: &dyn TransportHarness) {
    with_place(harness, async |place, handle| {
        let key = routes();
        let first = publish(&handle, None, 10, &[700]).await;
        let second = publish(&handle, Some(&first), 20, &[70]).await;
        let gone = first.manifest.packs()[0];
        place.remove(&key.pack(gone)).await;
        for (pack, segment) in second.manifest.segments() {
            let read = handle.segment(&key, pack, segment).await;
            if pack == gone {
                refused!(read, TransportError::Missing { path } if path.contains(&gone.to_string()));
            } else {
                read.unwrap();
            }
        }
        refused!(
            whole_pack(&handle, &key, gone).await,
            TransportError::Missing { path } if path.contains(&gone.to_string())
        );
        assert_eq!(handle.packs(&key).await.unwrap().len(), 1);
    });
}

/// A segment that no pack can hold is refused before memory is taken for it.
pub fn o5_a_segment_beyond_all_bounds_is_refused(harness: &dyn TransportHarness) {
    with_place(harness, async |_, handle| {
        let key = routes();
        let first = publish(&handle, None, 10, &[700]).await;
        let (pack, segment) = first.manifest.segments().next().unwrap();
        for (offset, length) in [
            (512, u64::MAX),
            (u64::MAX, 700),
            (u64::MAX - 1, u64::MAX),
            (512, 10 << 30),
            (512, (128 << 20) + 1),
            (1 << 62, 700),
        ] {
            let mut info = segment.info.clone();
            info.length = length;
            refused!(
                handle.segment(&key, pack, &SegmentRef { offset, info }).await,
                TransportError::Invalid(_) | TransportError::Corrupt { .. }
            );
        }
    });
}
