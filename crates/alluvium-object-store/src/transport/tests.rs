//! What is about requests and about the inside; what every transport promises is tested by the conformance suite.

use std::io::Read as _;
use std::num::NonZeroU32;
use std::time::Duration;

use alluvium_core::artifact::{Run, SegmentInfo};
use alluvium_core::{Cursor, LogIdentity, Mode, Scope, Sequence, Timestamp};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt as _};

use super::*;
use crate::digest;
use crate::testing::{Log, Staged};

fn transport(store: Arc<dyn ObjectStore>) -> ObjectStoreTransport {
    let options = TransportOptions::default().part_bytes(10_000);
    ObjectStoreTransport::new(store, Path::from("a/b"), options)
}

fn key() -> ArtifactKey {
    "Routes".parse().unwrap()
}

/// A draft at a sequence, on top of what there is.
fn draft(newest: Option<&(ManifestId, ArtifactManifest)>, sequence: u64) -> Draft {
    let log = LogIdentity::new("KV_routes", Timestamp::from_nanos(5));
    let runs: Vec<Run> = newest.map_or_else(Vec::new, |(_, manifest)| manifest.runs.clone());
    Draft {
        table: "routes".to_owned(),
        cursor: Cursor::start_of(log).at(Sequence::new(sequence), Timestamp::from_nanos(99)),
        scope: Scope::all(),
        mode: Mode::Mirror,
        has_evicted: false,
        since: None,
        after: runs.last().map_or(Sequence::ZERO, |run| run.through),
        runs,
        level: 0,
        parent: newest.map(|(id, _)| *id),
        created_ms: 1_700_000_000_000,
        exporter: "node-1".to_owned(),
    }
}

/// Segments of these lengths, at this sequence.
fn segments(sequence: u64, lengths: &[usize]) -> SegmentStream {
    let segments = lengths.iter().enumerate().map(|(number, length)| {
        let bytes: Bytes = (0..=250).cycle().skip(number).take(*length).collect();
        let info = SegmentInfo {
            sha256: digest::of(&bytes),
            length: *length as u64,
            rows: 1,
            deletes: 0,
            first_key: format!("{number:03}").into(),
            last_key: format!("{number:03}").into(),
            first_sequence: Sequence::new(sequence),
            last_sequence: Sequence::new(sequence),
        };
        Ok((info, bytes))
    });
    stream::iter(segments.collect::<Vec<_>>()).boxed()
}

async fn publish(
    transport: &ObjectStoreTransport,
    newest: Option<&(ManifestId, ArtifactManifest)>,
    sequence: u64,
    lengths: &[usize],
) -> (ManifestId, ArtifactManifest) {
    let draft = draft(newest, sequence);
    let outcome = transport.upload(&key(), draft, segments(sequence, lengths)).await;
    match outcome.unwrap() {
        Outcome::Published(published) => (published.id, published.manifest),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_export_costs_what_is_written_down() {
    let log = Arc::new(Log::default());
    let inner = Arc::new(InMemory::new());
    let transport = transport(Staged::over(&inner, &log));
    let first = publish(&transport, None, 10, &[700, 800]).await;
    let (pointer, directory) = ("a/b/%52outes.manifest.json", "a/b/%52outes");
    let pack = |manifest: &ArtifactManifest| {
        format!("PUT {directory}/packs/{}.tar", manifest.packs().last().unwrap())
    };
    assert_eq!(
        log.take(),
        [
            format!("GET {pointer}"),
            format!("LIST {directory}/manifests"),
            pack(&first.1),
            format!("CREATE {pointer}"),
        ]
    );
    let second = publish(&transport, Some(&first), 20, &[70]).await;
    assert_eq!(
        log.take(),
        [
            format!("GET {pointer}"),
            pack(&second.1),
            format!("GET {pointer}"),
            format!("CREATE {directory}/manifests/{}.json", first.0),
            format!("SWAP {pointer}"),
        ]
    );
    let (pack, segment) = second.1.segments().last().unwrap();
    let bytes = transport.segment(&key(), pack, segment).await.unwrap();
    assert_eq!(bytes.len(), 70);
    assert_eq!(log.take(), [format!("GET {directory}/packs/{pack}.tar")]);
}

#[tokio::test]
async fn a_pack_is_a_plain_tar_whether_it_is_one_part_or_many() {
    for lengths in [&[1, 512, 513][..], &[9_000, 40_000, 12_345, 511]] {
        let transport = transport(Arc::new(InMemory::new()));
        let (_, manifest) = publish(&transport, None, 10, lengths).await;
        let pack = manifest.packs()[0];
        let bytes: Vec<Bytes> = transport
            .pack(&key(), pack)
            .await
            .unwrap()
            .try_collect()
            .await
            .unwrap();
        let bytes = bytes.concat();
        assert_eq!(bytes.len() % 512, 0);
        let mut tar = tar::Archive::new(&bytes[..]);
        let mut named = manifest.segments();
        for entry in tar.entries().unwrap() {
            let mut entry = entry.unwrap();
            let (_, segment) = named.next().unwrap();
            assert_eq!(
                entry.path().unwrap().to_str().unwrap(),
                format!("{}.parquet", segment.info.sha256)
            );
            assert_eq!(entry.raw_file_position(), segment.offset);
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            assert_eq!(digest::of(&content), segment.info.sha256);
            assert_eq!(transport.segment(&key(), pack, segment).await.unwrap(), content);
        }
        assert!(named.next().is_none());
    }
}

/// A publisher that slept while what it built on was pruned.
#[tokio::test]
async fn who_comes_late_puts_nothing_back_that_was_pruned() {
    let one = Arc::new(transport(Arc::new(InMemory::new())));
    let first = publish(&one, None, 10, &[700]).await;
    let others = {
        let (one, first) = (Arc::clone(&one), first.clone());
        async move {
            let second = publish(&one, Some(&first), 20, &[70]).await;
            publish(&one, Some(&second), 30, &[70]).await;
            let policy = RetentionPolicy::default()
                .keep(NonZeroU32::MIN)
                .grace(Duration::ZERO);
            let pruned = one.prune(&key(), policy).await.unwrap();
            assert_eq!(pruned.manifests, [first.0, second.0]);
            // Its pack is needed by the newest.
            assert_eq!(pruned.packs, []);
            segments(11, &[80])
        }
    };
    let late = stream::once(others).flatten().boxed();
    let outcome = one.upload(&key(), draft(Some(&first), 11), late).await.unwrap();
    assert!(matches!(outcome, Outcome::SupersededByNewer { by } if by.cursor.sequence.get() == 30));
    assert_eq!(one.history(&key()).await.unwrap().len(), 1);
    assert_eq!(one.packs(&key()).await.unwrap().len(), 3);
}

#[tokio::test]
async fn packs_go_with_the_last_artifact_that_needs_them() {
    let one = transport(Arc::new(InMemory::new()));
    let first = publish(&one, None, 10, &[700]).await;
    let second = publish(&one, Some(&first), 20, &[70]).await;
    // A new base.
    let mut base = draft(Some(&second), 30);
    (base.runs, base.after) = (Vec::new(), Sequence::ZERO);
    let outcome = one.upload(&key(), base, segments(30, &[900])).await.unwrap();
    let Outcome::Published(third) = outcome else {
        panic!("{outcome:?}")
    };
    let policy = |keep| {
        RetentionPolicy::default()
            .keep(NonZeroU32::new(keep).unwrap())
            .grace(Duration::ZERO)
    };
    assert_eq!(one.prune(&key(), policy(3)).await.unwrap().objects, 0);
    let pruned = one.prune(&key(), policy(2)).await.unwrap();
    assert_eq!((pruned.manifests, pruned.packs), (vec![first.0], vec![]));
    let dry = one.prune(&key(), policy(1).dry_run(true)).await.unwrap();
    let pruned = one.prune(&key(), policy(1)).await.unwrap();
    assert_eq!(pruned, dry);
    assert_eq!(
        (pruned.manifests, pruned.packs),
        (vec![second.0], second.1.packs())
    );
    assert_eq!(one.history(&key()).await.unwrap(), [third.id]);
    assert_eq!(one.packs(&key()).await.unwrap().len(), 1);
    // Nothing is left of asking for the time.
    let store = one.store().list(&Path::from("a/b")).await.unwrap();
    assert_eq!(store.len(), 2);
}

#[tokio::test]
async fn a_damaged_pointer_is_replaced_but_nobody_goes_back_behind_the_history() {
    let store = Arc::new(InMemory::new());
    let one = transport(store.clone());
    let first = publish(&one, None, 10, &[700]).await;
    publish(&one, Some(&first), 20, &[70]).await;
    let pointer = Path::from("a/b/%52outes.manifest.json");
    let pointer = Path::parse(pointer.as_ref().replace("%25", "%")).unwrap();
    store.put(&pointer, "garbage".into()).await.unwrap();
    let error = one.manifest(&key()).await.unwrap_err();
    assert!(matches!(error, TransportError::Corrupt { .. }), "{error:?}");
    // Behind what is in the history.
    let outcome = one
        .upload(&key(), draft(None, 9), segments(9, &[1]))
        .await
        .unwrap();
    assert!(matches!(outcome, Outcome::SupersededByNewer { by } if by.cursor.sequence.get() == 10));
    let published = publish(&one, None, 15, &[90]).await;
    assert_eq!(one.manifest(&key()).await.unwrap().unwrap(), published.1);
}
