//! Obligation 7: what nobody needs goes, and whoever may still be at work is left alone.

use std::time::Duration;

use alluvium_core::artifact::{ManifestId, Outcome, PackId, PrunedArtifacts, Published};
use alluvium_core::{RetentionPolicy, Sequence, TransportError};

use super::place::{
    Handle, Place, assert_history, assert_whole, at_once, base, draft, key, publish, published, routes,
    upload, with_place,
};
use crate::TransportHarness;
use crate::segments::digest_of;
use crate::support::{block_on, length, refused};

/// Two bases with deltas, five artifacts: 10, 20 on 10, 30 on 20, 40, 50 on 40.
async fn five(handle: &Handle) -> Vec<Published> {
    let mut all = vec![publish(handle, None, 10, &[700, 800]).await];
    all.push(publish(handle, all.last(), 20, &[70]).await);
    all.push(publish(handle, all.last(), 30, &[71]).await);
    all.push(published(
        upload(handle, &routes(), base(&all[2], 40), &[900]).await,
    ));
    all.push(publish(handle, all.last(), 50, &[72]).await);
    all
}

async fn size_of(place: &Place<'_>, path: String) -> u64 {
    place.get(&path).await.len() as u64
}

/// The newest stay with the packs that they need, the others go, and it is told how much that was.
pub fn o7_the_newest_stay_with_what_they_need(harness: &dyn TransportHarness) {
    with_place(harness, async |place, handle| {
        let key = routes();
        let all = five(&handle).await;
        assert_eq!(
            handle.prune(&key, at_once(5)).await.unwrap(),
            PrunedArtifacts::default()
        );
        assert_history(&handle, &key, &all).await;

        // What stays needs the packs of what goes.
        let mut expected = PrunedArtifacts::default();
        expected.manifests = vec![all[0].id, all[1].id];
        expected.objects = 2;
        expected.bytes = size_of(place, key.manifest(all[0].id)).await;
        expected.bytes += size_of(place, key.manifest(all[1].id)).await;
        assert_eq!(handle.prune(&key, at_once(3)).await.unwrap(), expected);
        assert_eq!(
            handle.prune(&key, at_once(3)).await.unwrap(),
            PrunedArtifacts::default()
        );
        assert_history(&handle, &key, &all[2..]).await;
        refused!(
            handle.manifest_of(&key, all[1].id).await,
            TransportError::NotFound { .. }
        );

        // And now nothing does.
        let mut expected = PrunedArtifacts::default();
        expected.manifests = vec![all[2].id];
        expected.packs = all[2].manifest.packs();
        expected.objects = 4;
        expected.bytes = size_of(place, key.manifest(all[2].id)).await;
        for pack in &expected.packs {
            expected.bytes += size_of(place, key.pack(*pack)).await;
        }
        let before = place.bytes().await;
        assert_eq!(handle.prune(&key, at_once(2)).await.unwrap(), expected);
        assert_eq!(before - place.bytes().await, expected.bytes);
        assert_history(&handle, &key, &all[3..]).await;
        place.open().await.prune(&key, at_once(1)).await.unwrap();
        assert_history(&handle, &key, &all[4..]).await;
        assert_eq!(place.paths().await.len(), 3);
        let next = publish(&handle, all.last(), 60, &[73]).await;
        assert_history(&handle, &key, &[all[4].clone(), next]).await;
    });
}

/// What is asked for only to know it is told, and done nothing of.
pub fn o7_a_dry_run_tells_what_would_go_and_removes_nothing(harness: &dyn TransportHarness) {
    with_place(harness, async |place, handle| {
        let key = routes();
        let all = five(&handle).await;
        for keep in [4, 2, 1] {
            let before = place.paths().await;
            let asked = handle.prune(&key, at_once(keep).dry_run(true)).await.unwrap();
            assert_eq!(place.paths().await, before);
            let done = handle.prune(&key, at_once(keep)).await.unwrap();
            assert!(done.objects > 0);
            assert_eq!(asked, done);
        }
        assert_history(&handle, &key, &all[4..]).await;
    });
}

/// Within the grace period nothing goes, needed or not.
pub fn o7_within_the_grace_period_nothing_goes(harness: &dyn TransportHarness) {
    with_place(harness, async |place, handle| {
        let key = routes();
        let all = five(&handle).await;
        place
            .put(&key.pack(PackId::new(1_700_000_000_000, [7; 10])), "unnamed")
            .await;
        let before = place.paths().await;
        let policy = at_once(1).grace(Duration::from_hours(1));
        assert_eq!(
            handle.prune(&key, policy).await.unwrap(),
            PrunedArtifacts::default()
        );
        assert_eq!(place.paths().await, before);
        assert_history(&handle, &key, &all).await;
    });
}

/// A pack that no manifest names goes, and is told of.
pub fn o7_a_pack_that_nothing_names_goes(harness: &dyn TransportHarness) {
    with_place(harness, async |place, handle| {
        let key = routes();
        let all = five(&handle).await;
        let before = place.paths().await;
        let unnamed = PackId::new(1_700_000_000_000, [7; 10]);
        place.put(&key.pack(unnamed), "unnamed").await;
        assert_eq!(handle.packs(&key).await.unwrap().len(), 6);
        let pruned = handle.prune(&key, at_once(5)).await.unwrap();
        assert_eq!(
            (pruned.packs, pruned.objects, pruned.bytes),
            (vec![unnamed], 1, 7)
        );
        assert_eq!(place.paths().await, before);
        assert_history(&handle, &key, &all).await;
        // Where nothing was ever published, too.
        let other = super::place::key("other");
        place.put(&other.pack(unnamed), "unnamed").await;
        assert_eq!(handle.prune(&other, at_once(5)).await.unwrap().packs, [unnamed]);
        assert_eq!(place.paths().await, before);
    });
}

/// Other keys, also those that begin like it, and what is not of artifacts at all, stay.
pub fn o7_what_belongs_to_others_stays(harness: &dyn TransportHarness) {
    with_place(harness, async |place, handle| {
        let others = ["Routes.eu", "Routes/eu", "R", "routes"].map(key);
        let mut theirs = Vec::new();
        for other in &others {
            let first = published(upload(&handle, other, draft(None, 10), &[70]).await);
            let second = published(upload(&handle, other, base(&first, 20), &[70]).await);
            theirs.push([first, second]);
        }
        let directory = routes().directory().to_owned();
        for path in [
            "README.md",
            "packs/README.md",
            "manifests/notes.txt",
            "packs/a.tar",
        ] {
            place.put(&format!("{directory}/{path}"), "somebody else's").await;
        }
        let before = place.paths().await;
        let all = five(&handle).await;
        handle.prune(&routes(), at_once(1)).await.unwrap();
        assert_history(&handle, &routes(), &all[4..]).await;
        let paths = place.paths().await;
        assert!(
            before.iter().all(|path| paths.contains(path)),
            "{before:?} and {paths:?}"
        );
        for (other, theirs) in others.iter().zip(&theirs) {
            assert_history(&handle, other, theirs).await;
        }
    });
}

/// While a manifest cannot be read, nothing is known of what it needs, and nothing goes.
pub fn o7_what_cannot_be_read_stops_a_prune(harness: &dyn TransportHarness) {
    with_place(harness, async |place, handle| {
        let key = routes();
        let all = five(&handle).await;
        let unreadable = ManifestId::new(Sequence::new(15), &digest_of(b"garbage"));
        let too_long = vec![b' '; (1 << 20) + 1];
        let newer = br#"{"format":2,"segments":"elsewhere"}"#;
        for path in [key.manifest(unreadable), key.manifest(all[0].id), key.pointer()] {
            for content in [&b"garbage"[..], &newer[..], &too_long] {
                let there = place.paths().await.contains(&path);
                let sound = if there { Some(place.get(&path).await) } else { None };
                place.put(&path, content.to_vec()).await;
                let before = place.paths().await;
                refused!(
                    handle.prune(&key, at_once(1)).await,
                    TransportError::Corrupt { .. } | TransportError::Newer { .. }
                );
                assert_eq!(place.paths().await, before);
                match sound {
                    Some(sound) => place.put(&path, sound).await,
                    None => place.remove(&path).await,
                }
            }
        }
        assert_history(&handle, &key, &all).await;
        handle.prune(&key, at_once(1)).await.unwrap();
        assert_history(&handle, &key, &all[4..]).await;
    });
}

/// Two who prune the same do no more than one.
pub fn o7_two_prune_at_once(harness: &dyn TransportHarness) {
    let place = Place::new(harness);
    block_on(async {
        for _ in 0..length(3, 20) {
            let handle = place.open().await;
            for path in place.paths().await {
                place.remove(&path).await;
            }
            let all = five(&handle).await;
            let prunes = [place.open().await, place.open().await]
                .map(|handle| tokio::spawn(async move { handle.prune(&routes(), at_once(2)).await }));
            for prune in prunes {
                prune.await.unwrap().unwrap();
            }
            assert_history(&handle, &routes(), &all[3..]).await;
            handle.prune(&routes(), at_once(2)).await.unwrap();
            assert_eq!(place.paths().await.len(), 4);
        }
    });
}

/// Publishers and readers beside a prune within the grace period lose nothing.
pub fn o7_a_prune_disturbs_nobody(harness: &dyn TransportHarness) {
    let place = Place::new(harness);
    block_on(async {
        let key = routes();
        let (writer, reader, janitor) = (place.open().await, place.open().await, place.open().await);
        let first = publish(&writer, None, 10, &[700]).await;
        let rounds = length(20, 200);
        let writing = tokio::spawn(async move {
            let mut all = vec![first];
            for round in 1..=rounds {
                let newest = all.last().unwrap();
                let next = if round % 4 == 0 {
                    base(newest, 10 + round)
                } else {
                    draft(Some(newest), 10 + round)
                };
                match upload(&writer, &routes(), next, &[70]).await {
                    Ok(Outcome::Published(next)) => all.push(*next),
                    other => panic!("{other:?}"),
                }
            }
            all
        });
        let policy = RetentionPolicy::default().keep(1.try_into().unwrap());
        loop {
            // Once more when it is over, for whoever had no turn before.
            let is_last = writing.is_finished();
            let pruned = janitor.prune(&key, policy).await.unwrap();
            assert_eq!(pruned, PrunedArtifacts::default());
            let manifest = reader.manifest(&key).await.unwrap().unwrap();
            assert_whole(&reader, &key, &manifest).await;
            if is_last {
                break;
            }
        }
        let all = writing.await.unwrap();
        assert_history(&reader, &key, &all).await;
    });
}
