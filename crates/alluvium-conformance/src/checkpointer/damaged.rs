//! Obligations 5 and 6 of manifests that somebody else has written: named for what is wrong with them, and no harm to others.

use alluvium_core::checkpoint::{MAX_MANIFEST_BYTES, manifest_path};
use alluvium_core::{CheckpointError, CheckpointId, ErrorKind, RetentionPolicy};
use bytes::Bytes;

use super::place::{Handle, Place, announce, assert_restores, save, with_place};
use crate::CheckpointerHarness;
use crate::support::refused;

/// A checkpoint with a sound one before it.
struct Pair {
    sound: CheckpointId,
    damaged: CheckpointId,
    /// The manifest of the second as it was, without the checksum that would tell of every change at once.
    manifest: String,
}

impl Pair {
    async fn new(place: &Place<'_>, handle: &Handle) -> Self {
        let sound = save(handle, 1, None).await;
        let damaged = announce(handle, 2, None).await;
        let manifest = place.get(&manifest_path(damaged)).await;
        let manifest = String::from_utf8(manifest.into()).unwrap();
        let lines = manifest.split_inclusive('\n');
        Self {
            sound,
            damaged,
            manifest: lines.filter(|line| !line.contains("\"checksum\"")).collect(),
        }
    }

    /// Puts something else in the place of the manifest, and gives what loading it says.
    async fn load(&self, place: &Place<'_>, handle: &Handle, manifest: impl Into<Bytes>) -> CheckpointError {
        place.put(&manifest_path(self.damaged), manifest).await;
        let error = crate::support::error_of(handle.load_manifest(self.damaged).await);
        self.assert_no_harm(handle).await;
        error
    }

    /// It is there, for somebody to look into, and the one before can be used.
    async fn assert_no_harm(&self, handle: &Handle) {
        assert_eq!(
            handle.list_checkpoints().await.unwrap(),
            [self.sound, self.damaged]
        );
        assert_eq!(handle.read_latest().await.unwrap(), Some(self.damaged));
        assert_restores(handle, self.sound, &[1]).await;
    }
}

/// One that is cut off, anywhere, or no JSON at all.
pub fn o5_a_manifest_that_is_no_json_is_named(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |place, handle| {
        let pair = Pair::new(place, &handle).await;
        let path = manifest_path(pair.damaged);
        let lengths = (0..pair.manifest.trim_end().len()).step_by(97);
        let cut = lengths.map(|length| pair.manifest[..length].to_owned());
        let others = ["garbage", "null", "[]", "{}", "\0\0\0\0", "{\"version\":2}"].map(str::to_owned);
        for garbage in cut
            .chain(others)
            .chain([format!("{}{{", pair.manifest), "[".repeat(100_000)])
        {
            let error = pair.load(place, &handle, garbage).await;
            assert!(
                matches!(&error, CheckpointError::Corrupt { path: of, .. } if *of == path),
                "{error:?}"
            );
        }
    });
}

/// A single bit of it, even where it is as good a manifest as before.
pub fn o5_a_flipped_bit_of_a_manifest_is_found(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |place, handle| {
        let id = announce(&handle, 1, None).await;
        let sound = place.get(&manifest_path(id)).await;
        let manifest = handle.load_manifest(id).await.unwrap();
        for at in (0..sound.len()).step_by(7) {
            let mut flipped = sound.to_vec();
            flipped[at] ^= 1;
            place.put(&manifest_path(id), flipped).await;
            match handle.load_manifest(id).await {
                Err(CheckpointError::Corrupt { path, .. }) if path == manifest_path(id) => {}
                // In the name of the checksum itself: then it is a field that is not known, and nothing else is another.
                Ok(read) if read.operators == manifest.operators && read.epoch == manifest.epoch => {}
                other => panic!("a bit of byte {at}: {other:?}"),
            }
        }
    });
}

/// One that cannot be true: named, and nothing of it is believed.
pub fn o6_a_manifest_that_leads_elsewhere_is_named(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |place, handle| {
        let pair = Pair::new(place, &handle).await;
        let (own, other) = (pair.damaged.to_string(), pair.sound.to_string());
        let file = format!("{own}/operators/count/partition-0.snap");
        assert!(pair.manifest.contains(&file), "{}", pair.manifest);
        for (what, by) in [
            (file.as_str(), "../../etc/passwd".to_owned()),
            (&file, format!("/{file}")),
            (
                &file,
                format!("{own}/../{other}/operators/count/partition-0.snap"),
            ),
            (&file, format!("{other}/operators/count/partition-0.snap")),
            (&file, format!("{own}/operators/count/partition-1.snap")),
            (&file, format!("{own}/operators/count/partition-0.delta")),
            (&file, "_latest".to_owned()),
            (&file, String::new()),
            ("\"count\"", "\"../count\"".to_owned()),
            ("\"count\"", "\"\"".to_owned()),
            ("\"partition\": 0", "\"partition\": 1".to_owned()),
            ("\"partition\": 0", "\"partition\": -1".to_owned()),
            ("\"partition\": 0", "\"partition\": 4294967296".to_owned()),
            ("\"is_delta\": false", "\"is_delta\": true".to_owned()),
            ("\"total_size\": ", "\"total_size\": 1".to_owned()),
            ("\"size\": ", "\"size\": 1".to_owned()),
            ("\"epoch\": 2", "\"epoch\": 0".to_owned()),
            (&own, other.clone()),
        ] {
            let manifest = pair.manifest.replacen(what, &by, 1);
            assert_ne!(manifest, pair.manifest, "there is no {what} in it");
            let error = pair.load(place, &handle, manifest).await;
            assert!(
                matches!(&error, CheckpointError::Corrupt { .. }),
                "{by} for {what}: {error:?}"
            );
        }
        let sound = pair.manifest.clone();
        place.put(&manifest_path(pair.damaged), sound).await;
        assert_restores(&handle, pair.damaged, &[2]).await;
    });
}

/// One of a newer version is not damage: it says what to do, before anything of it is understood.
pub fn o5_a_manifest_of_a_newer_version_says_so(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |place, handle| {
        let pair = Pair::new(place, &handle).await;
        for newer in [
            pair.manifest.replacen("\"version\": 2", "\"version\": 3", 1),
            r#"{"version":3,"all":"different"}"#.to_owned(),
        ] {
            let error = pair.load(place, &handle, newer).await;
            assert!(
                matches!(
                    error,
                    CheckpointError::Newer {
                        found: 3,
                        supported: 2,
                        ..
                    }
                ),
                "{error:?}"
            );
            assert_eq!(error.kind(), ErrorKind::Invalid, "it is taken for damage");
            assert!(error.to_string().contains("newer"), "{error}");
        }
    });
}

/// One that is longer than a manifest can be is not read.
pub fn o5_a_manifest_that_is_too_long_is_refused(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |place, handle| {
        let pair = Pair::new(place, &handle).await;
        // Sound but for its length.
        let mut long = pair.manifest.clone().into_bytes();
        let most = usize::try_from(MAX_MANIFEST_BYTES).unwrap();
        long.resize(most + (1 << 20), b' ');
        let error = pair.load(place, &handle, long.clone()).await;
        assert!(matches!(error, CheckpointError::Corrupt { .. }), "{error:?}");
        long.truncate(most);
        place.put(&manifest_path(pair.damaged), long).await;
        assert_restores(&handle, pair.damaged, &[2]).await;
    });
}

/// What this version does not know of a manifest is still there after a load and a save.
pub fn m_unknown_fields_survive(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |place, handle| {
        let pair = Pair::new(place, &handle).await;
        let extended = pair.manifest.replacen('{', "{ \"later\": {\"deep\": [1, 2]},", 1);
        place.put(&manifest_path(pair.damaged), extended).await;
        let loaded = handle.load_manifest(pair.damaged).await.unwrap();
        place.remove(&manifest_path(pair.damaged)).await;
        handle.save_manifest(&loaded).await.unwrap();
        let saved = place.get(&manifest_path(pair.damaged)).await;
        let saved = String::from_utf8_lossy(&saved);
        assert!(
            saved.contains("\"later\"") && saved.contains("\"deep\""),
            "{saved}"
        );
        assert_eq!(handle.load_manifest(pair.damaged).await.unwrap(), loaded);
    });
}

/// Pruning takes no damage for leave to remove: what cannot be read stays, and does not count as one of those kept.
pub fn o7_what_cannot_be_read_is_not_pruned(harness: &dyn CheckpointerHarness) {
    with_place(harness, async |place, handle| {
        let pair = Pair::new(place, &handle).await;
        let newest = announce(&handle, 3, None).await;
        place.put(&manifest_path(pair.damaged), "garbage").await;
        let two = RetentionPolicy::default()
            .keep(2.try_into().unwrap())
            .grace(std::time::Duration::ZERO);
        let pruned = handle.prune(two).await.unwrap();
        assert_eq!(pruned.checkpoints, []);
        assert_eq!(
            handle.list_checkpoints().await.unwrap(),
            [pair.sound, pair.damaged, newest]
        );
        refused!(
            handle.load_manifest(pair.damaged).await,
            CheckpointError::Corrupt { .. }
        );
        assert_restores(&handle, pair.sound, &[1]).await;
    });
}
