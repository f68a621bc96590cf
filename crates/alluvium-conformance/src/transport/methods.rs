//! What single methods promise.

use std::io::Read as _;

use alluvium_core::artifact::{ManifestId, PackId, PrunedArtifacts, SegmentRef};
use alluvium_core::{RetentionPolicy, Sequence, TransportError};

use super::place::{
    SEVERAL_PARTS, assert_history, assert_whole, base, draft, key, publish, published, routes, segments,
    upload, whole_pack, with_place,
};
use crate::TransportHarness;
use crate::segments::digest_of;
use crate::support::refused;

/// Where nothing was published, there is nothing, and nothing is made by asking.
pub fn m_a_new_place_is_empty(harness: &dyn TransportHarness) {
    with_place(harness, async |place, handle| {
        let key = routes();
        assert_eq!(handle.manifest(&key).await.unwrap(), None);
        assert_eq!(handle.history(&key).await.unwrap(), []);
        assert_eq!(handle.packs(&key).await.unwrap(), []);
        assert_eq!(handle.keys().await.unwrap(), []);
        let id = ManifestId::new(Sequence::new(1), &digest_of(b""));
        refused!(
            handle.manifest_of(&key, id).await,
            TransportError::NotFound { .. }
        );
        let pack = PackId::new(1_700_000_000_000, [7; 10]);
        let info = segments(1, &[10]).remove(0).0;
        let segment = SegmentRef { offset: 512, info };
        refused!(
            handle.segment(&key, pack, &segment).await,
            TransportError::Missing { path } if path.contains(&pack.to_string())
        );
        refused!(
            whole_pack(&handle, &key, pack).await,
            TransportError::Missing { path } if path.contains(&pack.to_string())
        );
        let pruned = handle.prune(&key, RetentionPolicy::default()).await.unwrap();
        assert_eq!(pruned, PrunedArtifacts::default());
        assert_eq!(place.paths().await, [""; 0]);
    });
}

/// What was published is there for everybody, every byte of it, and names what it was published with.
pub fn m_what_was_published_comes_back(harness: &dyn TransportHarness) {
    with_place(harness, async |place, handle| {
        let key = routes();
        let first = publish(&handle, None, 10, &[700, 1, 512, 100_000]).await;
        let second = publish(&handle, Some(&first), 20, &[513]).await;
        let third = published(upload(&handle, &key, base(&second, 30), &[800, 5]).await);
        for handle in [handle, place.open().await] {
            assert_history(&handle, &key, &[first.clone(), second.clone(), third.clone()]).await;
            assert_eq!(handle.keys().await.unwrap(), std::slice::from_ref(&key));
            let packs = handle.packs(&key).await.unwrap();
            let mut named: Vec<PackId> = [&second, &third].map(|one| one.manifest.packs()).concat();
            named.sort_unstable();
            assert_eq!(packs.iter().map(|(id, _)| *id).collect::<Vec<_>>(), named);
            for (id, size) in packs {
                let bytes = whole_pack(&handle, &key, id).await.unwrap();
                assert_eq!(bytes.len() as u64, size);
                assert_eq!(place.get(&key.pack(id)).await, bytes);
            }
        }
        let wanted = draft(Some(&first), 20);
        let manifest = &second.manifest;
        assert_eq!(
            (&manifest.table, &manifest.cursor, &manifest.scope, manifest.mode),
            (&wanted.table, &wanted.cursor, &wanted.scope, wanted.mode)
        );
        assert_eq!(manifest.parent, Some(first.id));
        assert_eq!(
            (manifest.runs.len(), &manifest.runs[..1]),
            (2, &first.manifest.runs[..])
        );
        assert_eq!(
            (manifest.deltas()[0].after, manifest.deltas()[0].through),
            (Sequence::new(10), Sequence::new(20))
        );
        assert_eq!(second.id.sequence(), Sequence::new(20));
        assert_eq!(third.manifest.deltas(), []);
    });
}

/// An artifact is named by the digest of its manifest, and is stored under this name once it is not the newest any more.
pub fn m_an_artifact_is_named_by_its_digest(harness: &dyn TransportHarness) {
    with_place(harness, async |place, handle| {
        let key = routes();
        let first = publish(&handle, None, 10, &[700]).await;
        let pointer = place.get(&key.pointer()).await;
        assert_eq!(first.id, ManifestId::new(Sequence::new(10), &digest_of(&pointer)));
        publish(&handle, Some(&first), 20, &[70]).await;
        assert_eq!(place.get(&key.manifest(first.id)).await, pointer);
    });
}

/// Where nothing changed but the cursor, only a manifest is uploaded.
pub fn m_a_draft_without_segments_uploads_a_manifest(harness: &dyn TransportHarness) {
    with_place(harness, async |place, handle| {
        let key = routes();
        let first = publish(&handle, None, 10, &[700]).await;
        let packs = handle.packs(&key).await.unwrap();
        let second = publish(&handle, Some(&first), 20, &[]).await;
        assert_eq!(handle.packs(&key).await.unwrap(), packs);
        assert_eq!(second.uploaded, place.get(&key.pointer()).await.len() as u64);
        assert_eq!(second.manifest.packs(), first.manifest.packs());
        assert_eq!(second.manifest.cursor.sequence, Sequence::new(20));
        let third = publish(&handle, Some(&second), 30, &[9]).await;
        assert_history(&handle, &key, &[first, second, third]).await;
    });
}

/// A table without a row has an artifact, which others build on.
pub fn m_an_empty_table_has_an_artifact(harness: &dyn TransportHarness) {
    with_place(harness, async |_, handle| {
        let key = routes();
        let first = publish(&handle, None, 10, &[]).await;
        assert_eq!((first.manifest.rows(), first.manifest.packs()), (0, vec![]));
        assert_eq!(handle.packs(&key).await.unwrap(), []);
        let second = publish(&handle, Some(&first), 20, &[70]).await;
        assert_history(&handle, &key, &[first, second]).await;
    });
}

/// A pack is as long as it has to be, and a segment may be as long as several parts.
pub fn m_a_pack_of_several_parts_comes_back(harness: &dyn TransportHarness) {
    with_place(harness, async |place, handle| {
        let lengths = [1, SEVERAL_PARTS, 700, 3 << 20];
        let first = publish(&handle, None, 10, &lengths).await;
        let reader = place.open().await;
        assert_whole(&reader, &routes(), &first.manifest).await;
        let pack = first.manifest.packs()[0];
        let size = reader.packs(&routes()).await.unwrap()[0].1;
        let bytes = whole_pack(&reader, &routes(), pack).await.unwrap();
        assert_eq!(bytes.len() as u64, size);
    });
}

/// Whatever reads a tar reads a pack: it has the segments and nothing else, and they are where the manifest says.
pub fn m_a_pack_is_a_plain_tar(harness: &dyn TransportHarness) {
    with_place(harness, async |_, handle| {
        let key = routes();
        let first = publish(&handle, None, 10, &[1, 511, 512, 513, 9 << 20, 7]).await;
        let pack = first.manifest.packs()[0];
        let bytes = whole_pack(&handle, &key, pack).await.unwrap();
        let mut archive = tar::Archive::new(&bytes[..]);
        let mut named = first.manifest.segments();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let (_, segment) = named.next().expect("an entry that no manifest names");
            assert_eq!(entry.raw_file_position(), segment.offset);
            assert!(entry.header().entry_type().is_file());
            let path = entry.path().unwrap().into_owned();
            assert_eq!(path.to_str(), Some(&*format!("{}.parquet", segment.info.sha256)));
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            assert_eq!(digest_of(&content), segment.info.sha256);
        }
        assert!(named.next().is_none(), "a segment is not in the tar");
        let end = bytes.len().checked_sub(1024).unwrap();
        assert!(bytes[end..].iter().all(|byte| *byte == 0), "the tar has no end");
    });
}

/// A draft that cannot be an artifact is refused, and leaves nothing.
pub fn m_a_draft_that_makes_no_sense_is_refused(harness: &dyn TransportHarness) {
    with_place(harness, async |place, handle| {
        let key = routes();
        let first = publish(&handle, None, 10, &[700]).await;
        let before = place.paths().await;
        let mut gap = draft(Some(&first), 20);
        gap.after = Sequence::new(15);
        let mut no_base = draft(Some(&first), 20);
        no_base.runs.clear();
        let mut too_long = draft(Some(&first), 20);
        too_long.exporter = "x".repeat(2 << 20);
        for draft in [gap, no_base, too_long] {
            refused!(
                upload(&handle, &key, draft, &[70]).await,
                TransportError::Invalid(_)
            );
            assert_eq!(place.paths().await, before);
        }
        assert_history(&handle, &key, &[first]).await;
    });
}

/// What is of one key is not of another, whatever their names begin with.
pub fn m_keys_are_apart(harness: &dyn TransportHarness) {
    with_place(harness, async |_, handle| {
        let mut all = Vec::new();
        let keys = ["a", "a.b", "a/b", "b"].map(key);
        for (sequence, key) in (10..).zip(&keys) {
            all.push(published(
                upload(&handle, key, draft(None, sequence), &[70, 7]).await,
            ));
        }
        let mut sorted = keys.to_vec();
        sorted.sort();
        assert_eq!(handle.keys().await.unwrap(), sorted);
        for (key, one) in keys.iter().zip(&all) {
            assert_history(&handle, key, std::slice::from_ref(one)).await;
            assert_eq!(handle.packs(key).await.unwrap().len(), 1);
        }
        refused!(
            handle.manifest_of(&keys[0], all[1].id).await,
            TransportError::NotFound { .. }
        );
    });
}
