//! A log, and artifacts of its tables in an object store.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use alluvium_conformance::Random;
use alluvium_core::artifact::{
    ArtifactManifest, Draft, EncodedSegment, ManifestId, Outcome, Published, Run, SegmentInfo,
};
use alluvium_core::{
    ArtifactKey, Change, Cursor, DeleteReason, Entry, KeyRange, LogIdentity, Mode, Scope, Sequence, Table,
    Timestamp, Transport as _,
};
use alluvium_engine::EngineTable;
use alluvium_memory::MemoryEngine;
use alluvium_object_store::{ObjectStoreTransport, TransportOptions};
use alluvium_segment::{SegmentRow, encode};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use object_store::memory::InMemory;
use object_store::path::Path;

/// What a table holds.
pub(crate) type Content = BTreeMap<Bytes, Entry>;

/// What is told of segments instead of the truth.
pub(crate) type Lie = fn(&mut [SegmentInfo]);

pub(crate) const TRUTH: Lie = |_| {};

pub(crate) struct Shelf {
    pub(crate) store: Arc<InMemory>,
    pub(crate) transport: Arc<ObjectStoreTransport>,
    pub(crate) changes: Vec<Change>,
    pub(crate) log: LogIdentity,
    pub(crate) scope: Scope,
    pub(crate) newest: Option<(ManifestId, ArtifactManifest)>,
}

pub(crate) fn key() -> ArtifactKey {
    "routes".parse().unwrap()
}

pub(crate) fn timestamp(sequence: u64) -> Timestamp {
    Timestamp::from_nanos(1_000_000 + sequence.cast_signed())
}

pub(crate) fn new_table() -> Arc<dyn Table> {
    let engine = Arc::new(MemoryEngine::in_memory());
    Arc::new(EngineTable::open(engine, "routes").unwrap())
}

pub(crate) fn content(table: &dyn Table) -> Content {
    let rows = table.snapshot().unwrap().scan(&KeyRange::all()).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

/// Messages of a log that puts and deletes keys of three regions.
pub(crate) fn messages(count: u64) -> Vec<Change> {
    let mut random = Random::new(7);
    let mut message = |sequence: u64| {
        let region = ["ap", "eu", "us"][usize::try_from(random.below(3)).unwrap()];
        let key = format!("routes.{region}.{:03}", random.below(200));
        let (at, when) = (Sequence::new(sequence), timestamp(sequence));
        if random.below(4) == 0 {
            Change::delete(key, DeleteReason::Deleted, at, when)
        } else {
            Change::put(key, format!("value {sequence}"), at, when)
        }
    };
    (1..=count).map(&mut message).collect()
}

impl Shelf {
    pub(crate) fn new() -> Self {
        let store = Arc::new(InMemory::new());
        let path = Path::from("artifacts");
        Self {
            transport: Arc::new(ObjectStoreTransport::new(
                store.clone(),
                path,
                TransportOptions::default(),
            )),
            store,
            changes: messages(3_000),
            log: LogIdentity::new("KV_routes", Timestamp::from_nanos(1_000_000)),
            scope: Scope::all(),
            newest: None,
        }
    }

    /// What a table of everything holds at a sequence.
    pub(crate) fn state(&self, at: u64) -> Content {
        let mut state = Content::new();
        for change in self.changes.iter().filter(|change| change.sequence.get() <= at) {
            match change.value() {
                Some(value) => {
                    let entry = Entry {
                        value: value.clone(),
                        sequence: change.sequence,
                        timestamp: change.timestamp,
                    };
                    state.insert(change.key.clone(), entry);
                }
                None => drop(state.remove(&change.key)),
            }
        }
        state
    }

    pub(crate) fn cursor(&self, at: u64) -> Cursor {
        Cursor::start_of(self.log.clone()).at(Sequence::new(at), timestamp(at))
    }

    /// Publishes everything, in segments of so many rows.
    pub(crate) async fn base(&mut self, at: u64, rows: usize, lie: Lie) -> Box<Published> {
        let of_base = self.state(at).into_iter().map(SegmentRow::from).collect();
        self.publish(at, Vec::new(), of_base, rows, lie).await
    }

    /// Publishes what changed since the newest artifact, in segments of so many rows.
    pub(crate) async fn delta(&mut self, at: u64, rows: usize, lie: Lie) -> Box<Published> {
        let (_, newest) = self.newest.clone().unwrap();
        let after = newest.cursor.sequence;
        let changed = |change: &&Change| change.sequence > after && change.sequence.get() <= at;
        let latest: HashMap<_, _> = self
            .changes
            .iter()
            .filter(changed)
            .map(|change| (change.key.clone(), change.clone()))
            .collect();
        let mut of_delta: Vec<_> = latest.into_values().map(SegmentRow::from).collect();
        of_delta.sort_by(|one, other| one.key.cmp(&other.key));
        self.publish(at, newest.runs, of_delta, rows, lie).await
    }

    async fn publish(
        &mut self,
        at: u64,
        runs: Vec<Run>,
        rows: Vec<SegmentRow>,
        per_segment: usize,
        lie: Lie,
    ) -> Box<Published> {
        let (mut infos, bytes): (Vec<_>, Vec<_>) =
            rows.chunks(per_segment).map(|rows| encode(rows).unwrap()).unzip();
        lie(&mut infos);
        let segments: Vec<EncodedSegment> = infos.into_iter().zip(bytes).collect();
        let draft = Draft {
            table: "routes".to_owned(),
            cursor: self.cursor(at),
            scope: self.scope.clone(),
            mode: Mode::Mirror,
            has_evicted: false,
            since: None,
            after: runs.last().map_or(Sequence::ZERO, |run| run.through),
            runs,
            level: 0,
            parent: self.newest.as_ref().map(|(id, _)| *id),
            created_ms: 0,
            exporter: "node-1".to_owned(),
        };
        let segments = stream::iter(segments.into_iter().map(Ok)).boxed();
        match self.transport.upload(&key(), draft, segments).await.unwrap() {
            Outcome::Published(published) => {
                self.newest = Some((published.id, published.manifest.clone()));
                published
            }
            other => panic!("{other:?}"),
        }
    }
}
