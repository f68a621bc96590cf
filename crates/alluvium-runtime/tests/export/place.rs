//! A table that changes, and a store that it is exported to.

use std::collections::BTreeMap;
use std::sync::Arc;

use alluvium_core::artifact::{ArtifactManifest, PackId, SegmentRef};
use alluvium_core::{
    ArtifactKey, Change, Cursor, DeleteReason, KeyRange, LogIdentity, Row, Sequence, Table, Timestamp,
    Transport,
};
use alluvium_engine::EngineTable;
use alluvium_memory::MemoryEngine;
use alluvium_object_store::{ObjectStoreTransport, TransportOptions};
use alluvium_runtime::{ExportOptions, Exporter};
use alluvium_segment::{Deletes, Merge, SegmentError, SegmentReader, SegmentRow};
use object_store::ObjectStore;
use object_store::path::Path;

pub(crate) fn key() -> ArtifactKey {
    "routes".parse().unwrap()
}

pub(crate) fn log() -> LogIdentity {
    LogIdentity::new("KV_routes", Timestamp::from_nanos(1))
}

pub(crate) fn at(sequence: u64) -> Cursor {
    let timestamp = i64::try_from(sequence).unwrap() + 1_000;
    Cursor::start_of(log()).at(Sequence::new(sequence), Timestamp::from_nanos(timestamp))
}

pub(crate) fn transport(store: Arc<dyn ObjectStore>) -> Arc<ObjectStoreTransport> {
    let options = TransportOptions::default();
    Arc::new(ObjectStoreTransport::new(store, Path::from("fleet"), options))
}

/// A table in memory that knows what changed.
pub(crate) fn table() -> Arc<EngineTable> {
    let table = untracked_table();
    table.track_changes(true).unwrap();
    table
}

pub(crate) fn untracked_table() -> Arc<EngineTable> {
    Arc::new(EngineTable::open(Arc::new(MemoryEngine::in_memory()), "routes").unwrap())
}

pub(crate) fn put(table: &dyn Table, key: &str, value: &str) {
    change(table, |at| {
        Change::put(key.to_owned(), value.to_owned(), at.sequence, at.timestamp)
    });
}

pub(crate) fn delete(table: &dyn Table, key: &str) {
    change(table, |at| {
        Change::delete(key.to_owned(), DeleteReason::Deleted, at.sequence, at.timestamp)
    });
}

/// Applies what the next message does.
fn change(table: &dyn Table, made: impl FnOnce(&Cursor) -> Change) {
    let next = table.cursor().map_or(1, |cursor| cursor.sequence.get() + 1);
    let cursor = at(next);
    table.apply(&[made(&cursor)], &cursor).unwrap();
}

/// So many rows at once, of so many bytes each.
pub(crate) fn fill(table: &dyn Table, rows: std::ops::Range<u64>, bytes: usize) {
    let first = table.cursor().map_or(0, |cursor| cursor.sequence.get());
    let changes: Vec<_> = (first + 1..)
        .zip(rows)
        .map(|(sequence, number)| {
            let at = at(sequence);
            let value = format!("{sequence:x}-{number}")
                .repeat(bytes / 3 + 1)
                .into_bytes();
            Change::put(
                format!("bulk.{number:08}"),
                value[..bytes].to_vec(),
                at.sequence,
                at.timestamp,
            )
        })
        .collect();
    let last = at(first + changes.len() as u64);
    table.apply(&changes, &last).unwrap();
}

pub(crate) fn exporter(table: &Arc<EngineTable>, transport: &Arc<ObjectStoreTransport>) -> Exporter {
    exporter_with(table, transport, ExportOptions::default())
}

pub(crate) fn exporter_with(
    table: &Arc<EngineTable>,
    transport: &Arc<ObjectStoreTransport>,
    options: ExportOptions,
) -> Exporter {
    Exporter::new(table.clone(), transport.clone(), key(), options)
}

pub(crate) fn rows_of(table: &dyn Table) -> Vec<Row> {
    let rows = table.snapshot().unwrap().scan(&KeyRange::all()).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

/// The rows of an artifact, as any reader gets them: every run read, the runs merged.
pub(crate) async fn rows_in(transport: &dyn Transport, manifest: &ArtifactManifest) -> Vec<Row> {
    let mut runs = Vec::new();
    for run in &manifest.runs {
        let mut rows = Vec::new();
        for segment in &run.segments {
            rows.extend(segment_rows(transport, run.pack.unwrap(), segment).await);
        }
        runs.push(rows.into_iter());
    }
    Merge::new(runs, Deletes::Drop)
        .map(|row| row.unwrap().into_row().unwrap())
        .collect()
}

async fn segment_rows(
    transport: &dyn Transport,
    pack: PackId,
    segment: &SegmentRef,
) -> Vec<Result<SegmentRow, SegmentError>> {
    let bytes = transport.segment(&key(), pack, segment).await.unwrap();
    let reader = SegmentReader::open(bytes).unwrap();
    assert_eq!(reader.len(), segment.info.rows);
    reader.rows(&KeyRange::all()).collect()
}

/// Everything that is stored, with its length.
pub(crate) async fn objects(store: &dyn ObjectStore) -> BTreeMap<String, u64> {
    use futures_util::TryStreamExt as _;

    let listed = store
        .list(None)
        .map_ok(|object| (object.location.to_string(), object.size));
    listed.try_collect().await.unwrap()
}
