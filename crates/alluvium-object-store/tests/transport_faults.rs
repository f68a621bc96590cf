//! Every request of a run goes wrong in turn, in every way. The newest artifact and the history are whole all the time, and
//! nothing that was told to anybody is taken back.

mod every_call;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use alluvium_conformance::{Fault, FaultyStore, opaque_segment};
use alluvium_core::artifact::{ArtifactManifest, Draft, Outcome};
use alluvium_core::{
    ArtifactKey, Cursor, ErrorKind, LogIdentity, Mode, RetentionPolicy, Scope, Sequence, Timestamp,
    Transport as _, TransportError,
};
use alluvium_object_store::{ObjectStoreTransport, TransportOptions};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::path::Path;

/// What a run does, one after the other. An artifact is known by its sequence.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Publishes what changed since the newest; a whole table, if there is none.
    Delta(u64),
    /// Publishes a whole table.
    Base(u64),
    /// Reads every segment and every pack of the newest, which is this.
    Read(u64),
    /// Keeps so many.
    Prune(u32),
}

/// A run, and after each step which artifacts there are.
const RUN: &[(Step, &[u64])] = &[
    (Step::Delta(10), &[10]),
    (Step::Delta(20), &[10, 20]),
    (Step::Read(20), &[10, 20]),
    (Step::Base(30), &[10, 20, 30]),
    (Step::Prune(2), &[20, 30]),
    (Step::Delta(40), &[20, 30, 40]),
    (Step::Prune(1), &[40]),
    (Step::Read(40), &[40]),
];

/// Bytes of a part: a pack has several.
const PART: u64 = 2_000;

fn key() -> ArtifactKey {
    "Routes".parse().unwrap()
}

fn open(store: Arc<dyn ObjectStore>) -> ObjectStoreTransport {
    let options = TransportOptions::default()
        .part_bytes(PART)
        .parts_in_flight(2)
        .request_timeout(Duration::from_secs(1));
    ObjectStoreTransport::new(store, Path::from("artifacts"), options)
}

fn content(sequence: u64, number: u32) -> Bytes {
    format!("{sequence}/{number};").repeat(200).into()
}

async fn publish(transport: &ObjectStoreTransport, sequence: u64, whole: bool) -> Result<(), TransportError> {
    let newest = transport.newest(&key()).await?;
    if let Some((id, _)) = &newest
        && id.sequence().get() == sequence
    {
        // It was done, and the answer lost.
        return Ok(());
    }
    let built_on = newest.as_ref().filter(|_| !whole);
    let runs = built_on.map_or_else(Vec::new, |(_, manifest)| manifest.runs.clone());
    let log = LogIdentity::new("KV_routes", Timestamp::from_nanos(5));
    let draft = Draft {
        table: "routes".to_owned(),
        cursor: Cursor::start_of(log).at(Sequence::new(sequence), Timestamp::from_nanos(99)),
        scope: Scope::all(),
        mode: Mode::Mirror,
        has_evicted: false,
        since: None,
        after: runs.last().map_or(Sequence::ZERO, |run| run.through),
        runs,
        level: 0,
        parent: newest.map(|(id, _)| id),
        created_ms: 1_700_000_000_000,
        exporter: "node-1".to_owned(),
    };
    let segment = |number| {
        Ok(opaque_segment(
            number,
            Sequence::new(sequence),
            content(sequence, number),
        ))
    };
    let segments = stream::iter((0..3).map(segment).collect::<Vec<_>>()).boxed();
    match transport.upload(&key(), draft, segments).await? {
        Outcome::Published(_) => Ok(()),
        other => panic!("{other:?}"),
    }
}

/// Reads all that an artifact needs.
async fn read(transport: &ObjectStoreTransport, manifest: &ArtifactManifest) -> Result<(), TransportError> {
    for (pack, segment) in manifest.segments() {
        let number = std::str::from_utf8(&segment.info.first_key)
            .unwrap()
            .parse()
            .unwrap();
        let expected = content(segment.info.last_sequence.get(), number);
        assert_eq!(transport.segment(&key(), pack, segment).await?, expected);
    }
    for pack in manifest.packs() {
        let pieces: Vec<Bytes> = transport.pack(&key(), pack).await?.try_collect().await?;
        assert!(pieces.concat().len() as u64 > PART);
    }
    Ok(())
}

async fn perform(transport: &ObjectStoreTransport, step: Step) -> Result<(), TransportError> {
    match step {
        Step::Delta(sequence) => publish(transport, sequence, false).await,
        Step::Base(sequence) => publish(transport, sequence, true).await,
        Step::Read(sequence) => {
            let manifest = transport.manifest(&key()).await?.unwrap();
            assert_eq!(manifest.cursor.sequence.get(), sequence);
            read(transport, &manifest).await
        }
        Step::Prune(keep) => {
            let policy = RetentionPolicy::default().keep(NonZeroU32::new(keep).unwrap());
            transport
                .prune(&key(), policy.grace(Duration::ZERO))
                .await
                .map(drop)
        }
    }
}

/// What somebody finds who looks from outside: the sequences of the artifacts, every one of which is whole.
async fn found(store: &Arc<InMemory>) -> Vec<u64> {
    let reader = open(Arc::clone(store) as _);
    let history = reader.history(&key()).await.unwrap();
    let newest = reader.manifest(&key()).await.unwrap();
    let mut last = None;
    for id in &history {
        let manifest = reader.manifest_of(&key(), *id).await.unwrap();
        read(&reader, &manifest).await.unwrap();
        last = Some(manifest);
    }
    assert_eq!(last, newest);
    history.iter().map(|id| id.sequence().get()).collect()
}

/// One run with one fault. Gives whether it has come.
async fn run(fault: Fault, call: u64) -> bool {
    let store = Arc::new(InMemory::new());
    let faulty = FaultyStore::failing(Arc::clone(&store) as _, call, fault);
    let mut transport = open(Arc::new(faulty.clone()));
    let mut before: &[u64] = &[];
    for (step, after) in RUN {
        let when = format!("{fault:?} at call {call}, {step:?}");
        let mut failures = 0;
        while let Err(error) = perform(&transport, *step).await {
            assert_eq!(error.kind(), ErrorKind::Transient, "{when}: {error:?}");
            let found = found(&store).await;
            let kept = before.iter().filter(|number| after.contains(number));
            assert!(
                kept.clone().all(|number| found.contains(number)),
                "{when}: {found:?}"
            );
            let known = |number: &u64| before.contains(number) || after.contains(number);
            assert!(found.iter().all(known), "{when}: {found:?}");
            failures += 1;
            // A fault passes, and death does not.
            if failures == 2 {
                let died = matches!(fault, Fault::CrashBefore | Fault::CrashAfter);
                assert!(died, "{when} does not recover: {error:?}");
                transport = open(Arc::clone(&store) as _);
            }
        }
        assert_eq!(found(&store).await, *after, "{when}");
        before = after;
    }
    // What was left by what failed is pruned, and nothing else is: a pointer, and the packs of a base and a delta.
    let everything = RetentionPolicy::default().keep(NonZeroU32::MAX);
    let transport = open(Arc::clone(&store) as _);
    transport
        .prune(&key(), everything.grace(Duration::ZERO))
        .await
        .unwrap();
    let left: Vec<_> = store.list(None).try_collect().await.unwrap();
    let left: Vec<&str> = left.iter().map(|object| object.location.as_ref()).collect();
    assert_eq!(left.len(), 3, "{fault:?} at call {call}: {left:?}");
    faulty.calls() >= call
}

every_call::faults!(run, at_least: 40);
