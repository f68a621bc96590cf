//! What is written for a change: a full checkpoint of many keys, and a delta on it after one key in a hundred has changed.
//! Counted are all objects of either, as they are listed.

use alluvium::checkpoint::{Chain, FileKind, FilePlace, Manifest};
use alluvium::{CheckpointId, Checkpointer as _, Epoch};
use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use serde_json::json;

use super::subject::Subject;
use crate::feed;
use crate::report::Report;

const PARTITIONS: u32 = 16;
const OPERATOR: &str = "count";
/// One key of so many changes.
const CHANGED: u64 = 100;
/// The share of a full checkpoint's bytes that a delta may take.
const LIMIT: f64 = 0.02;

pub(super) async fn run(subject: &Subject, keys: u64, report: &mut Report) -> Result<()> {
    let base = save(subject, Epoch::new(1)?, None, keys).await?;
    let delta = save(subject, Epoch::new(2)?, Some(base), keys).await?;
    check(subject, delta, keys).await?;
    let (full_bytes, full_objects) = stored(subject, base).await?;
    let (delta_bytes, delta_objects) = stored(subject, delta).await?;
    let share = as_f64(delta_bytes) / as_f64(full_bytes);
    report.result(
        "checkpoint_delta",
        subject.name,
        LIMIT / share,
        1.0,
        &json!({
            "keys": keys,
            "full_bytes": full_bytes,
            "delta_bytes": delta_bytes,
            "share": (share * 1e5).round() / 1e5,
            "full_objects": full_objects,
            "delta_objects": delta_objects,
        }),
    );
    Ok(())
}

/// A checkpoint: of every key, or of those that have changed since the parent.
async fn save(
    subject: &Subject,
    epoch: Epoch,
    parent: Option<CheckpointId>,
    keys: u64,
) -> Result<CheckpointId> {
    let checkpointer = &subject.checkpointer;
    let id = checkpointer.begin().await?;
    let kind = match parent {
        None => FileKind::Snapshot,
        Some(_) => FileKind::Delta,
    };
    let files = (0..PARTITIONS).map(|partition| {
        let of_partition = (0..keys).filter(|index| partition_of(*index) == partition);
        let rows: Vec<u8> = match parent {
            None => of_partition.flat_map(|index| row(index, value(index))).collect(),
            Some(_) => of_partition
                .filter(|index| index % CHANGED == 0)
                .flat_map(|index| row(index, value(index + keys)))
                .collect(),
        };
        let place = FilePlace {
            id,
            operator: OPERATOR,
            partition,
            kind,
        };
        (place, Bytes::from(rows))
    });
    let files = checkpointer.save_partitions_concurrent(files).await?;
    let mut manifest = Manifest::new(id, epoch, 0).operator(OPERATOR, files);
    manifest.parent_id = parent;
    checkpointer.save_manifest(&manifest).await?;
    checkpointer.update_latest(id).await?;
    Ok(id)
}

/// Bytes and number of the objects of a checkpoint: as they are listed, which has to be what the manifest says.
async fn stored(subject: &Subject, id: CheckpointId) -> Result<(u64, usize)> {
    let objects = subject.objects(id).await?;
    let bytes: u64 = objects.iter().map(|object| object.size).sum();
    let manifest = subject.checkpointer.load_manifest(id).await?;
    let named = manifest.total_size() + manifest.to_json()?.len() as u64;
    ensure!(
        bytes == named && objects.len() == manifest.files().count() + 1,
        "checkpoint {id} is {} objects of {bytes} bytes, and its manifest says {named}",
        objects.len()
    );
    Ok((bytes, objects.len()))
}

/// Holds the state that is restored to the one that was saved: a delta that is small because it lacks something is none.
async fn check(subject: &Subject, id: CheckpointId, keys: u64) -> Result<()> {
    let checkpointer = &subject.checkpointer;
    let mut chain = Chain::new(&checkpointer.load_manifest(id).await?);
    while let Some(needed) = chain.needs() {
        chain.add(&checkpointer.load_manifest(needed).await?)?;
    }
    let mut found = 0;
    for partition in 0..PARTITIONS {
        let mut state = std::collections::HashMap::new();
        for file in chain.files(OPERATOR, partition) {
            let rows = checkpointer.load(file).await?;
            for row in rows.chunks(ROW) {
                let (index, value) = row.split_first_chunk().context("half a row")?;
                state.insert(u64::from_le_bytes(*index), rows.slice_ref(value));
            }
        }
        for (index, there) in &state {
            let expected = match index % CHANGED {
                0 => value(index + keys),
                _ => value(*index),
            };
            ensure!(*there == expected, "key {index} came back as something else");
        }
        found += state.len() as u64;
    }
    ensure!(found == keys, "{found} keys came back instead of {keys}");
    Ok(())
}

/// Bytes of a row: its key's number, and the value.
const ROW: usize = 8 + feed::VALUE;

fn row(index: u64, value: Bytes) -> impl Iterator<Item = u8> {
    index.to_le_bytes().into_iter().chain(value)
}

fn value(index: u64) -> Bytes {
    feed::value(index)
}

fn partition_of(index: u64) -> u32 {
    u32::try_from(feed::scramble(index) % u64::from(PARTITIONS)).unwrap_or_default()
}

#[allow(clippy::cast_precision_loss, reason = "bytes of a checkpoint")]
fn as_f64(bytes: u64) -> f64 {
    bytes as f64
}
