//! Many partitions at once: saved, completed and announced, beside multipart puts of the same bytes through `object_store`
//! itself, as many at a time. Ours takes a digest of every byte, and lists what it names before it completes.
//!
//! Where putting costs no more than copying, as on a disk that syncs at once, the digest is what is measured: a processor
//! takes one of 1.4 GB/s.
//!
//! Both take turns, checkpoint by checkpoint, so that a machine that slows down slows both down. What was stored is
//! removed between the turns, outside the timing, so that disks do not fill.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use alluvium::checkpoint::{FileKind, FilePlace, Manifest};
use alluvium::{CheckpointId, Checkpointer as _, Epoch, RetentionPolicy};
use alluvium_object_store::CheckpointerOptions;
use anyhow::{Result, ensure};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::path::Path;
use object_store::{MultipartUpload as _, ObjectStore, ObjectStoreExt as _};
use serde_json::json;

use super::subject::Subject;
use crate::feed::scramble;
use crate::report::{Report, median, rounded};

const PARTITIONS: u32 = 64;
/// Bytes of a partition: one part of an upload.
const PARTITION: usize = 8 << 20;
const OPERATOR: &str = "count";
/// The share of the bare store's throughput that is wanted.
const TARGET: f64 = 0.85;

pub(super) async fn run(subject: &Subject, rounds: usize, report: &mut Report) -> Result<()> {
    let contents: Vec<Bytes> = (0..PARTITIONS).map(content).collect();
    let (mut seconds, mut bare_seconds, mut complete_seconds) = (Vec::new(), Vec::new(), Vec::new());
    // The first round is not counted: connections and directories come to be.
    for round in 0..=rounds {
        let mut bare = Duration::ZERO;
        let bare_first = round % 2 == 0;
        if bare_first {
            bare = put_bare(subject.bare.as_ref(), &contents).await?;
        }
        let epoch = Epoch::new(round as u64 + 1)?;
        let saved = save(subject, epoch, &contents).await?;
        if round == rounds {
            check(subject, saved.id, &contents).await?;
        }
        forget(subject).await?;
        if !bare_first {
            bare = put_bare(subject.bare.as_ref(), &contents).await?;
        }
        if round > 0 {
            seconds.push(saved.elapsed.as_secs_f64());
            complete_seconds.push(saved.completing.as_secs_f64());
            bare_seconds.push(bare.as_secs_f64());
        }
    }
    let megabytes = f64::from(PARTITIONS) * 8.388_608;
    let (ours, bare) = (median(seconds), median(bare_seconds));
    report.result(
        "checkpoint",
        subject.name,
        bare / ours,
        TARGET,
        &json!({
            "mb_per_s": rounded(megabytes / ours),
            "bare_mb_per_s": rounded(megabytes / bare),
            "complete_seconds": rounded(median(complete_seconds)),
            "partitions": PARTITIONS,
        }),
    );
    Ok(())
}

/// A checkpoint, and what it took.
struct Saved {
    id: CheckpointId,
    /// From its beginning to its announcement.
    elapsed: Duration,
    /// Of that, after the last partition.
    completing: Duration,
}

async fn save(subject: &Subject, epoch: Epoch, contents: &[Bytes]) -> Result<Saved> {
    let checkpointer = &subject.checkpointer;
    let begin = Instant::now();
    let id = checkpointer.begin().await?;
    let place = |(partition, bytes): (u32, &Bytes)| {
        let place = FilePlace {
            id,
            operator: OPERATOR,
            partition,
            kind: FileKind::Snapshot,
        };
        (place, bytes.clone())
    };
    let files = checkpointer
        .save_partitions_concurrent((0..).zip(contents).map(place))
        .await?;
    let saved = Instant::now();
    let manifest = Manifest::new(id, epoch, 0).operator(OPERATOR, files);
    checkpointer.save_manifest(&manifest).await?;
    checkpointer.update_latest(id).await?;
    Ok(Saved {
        id,
        elapsed: begin.elapsed(),
        completing: saved.elapsed(),
    })
}

async fn put_bare(store: &dyn ObjectStore, contents: &[Bytes]) -> Result<Duration> {
    let paths: Vec<Path> = (0..contents.len())
        .map(|partition| Path::from(format!("bare/partition-{partition}")))
        .collect();
    let put = |(path, bytes): (Path, Bytes)| async move {
        let mut upload = store.put_multipart(&path).await?;
        upload.put_part(bytes.into()).await?;
        upload.complete().await
    };
    let begin = Instant::now();
    stream::iter(paths.iter().cloned().zip(contents.iter().cloned()))
        .map(put)
        .buffer_unordered(CheckpointerOptions::default().partitions_in_flight)
        .try_for_each(|_| async { Ok(()) })
        .await?;
    let elapsed = begin.elapsed();
    for path in paths {
        store.delete(&path).await?;
    }
    Ok(elapsed)
}

/// Removes every checkpoint but the last.
async fn forget(subject: &Subject) -> Result<()> {
    let policy = RetentionPolicy::default()
        .keep(NonZeroU32::MIN)
        .grace(Duration::ZERO);
    subject.checkpointer.prune(policy).await?;
    Ok(())
}

/// Speed is worth nothing if the bytes do not come back.
async fn check(subject: &Subject, id: CheckpointId, contents: &[Bytes]) -> Result<()> {
    let manifest = subject.checkpointer.load_manifest(id).await?;
    ensure!(
        manifest.files().count() == contents.len(),
        "the manifest names other files"
    );
    for (file, bytes) in manifest.files().zip(contents) {
        let loaded = subject.checkpointer.load(file).await?;
        ensure!(loaded == bytes, "{} came back as something else", file.path);
    }
    Ok(())
}

/// The content of a partition: bytes that no compression shrinks, and that no other partition has.
fn content(partition: u32) -> Bytes {
    let mut word = scramble(u64::from(partition));
    let mut bytes = Vec::with_capacity(PARTITION);
    while bytes.len() < PARTITION {
        word = scramble(word);
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    bytes.into()
}
