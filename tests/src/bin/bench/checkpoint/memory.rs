//! The memory that a partition takes which is larger than all of it should be: saved and loaded as streams, in a process
//! of its own.
//!
//! Told is both what the process holds and what is resident with the allocator as it comes. glibc's keeps what was freed, in an
//! arena for each thread: it is told to give large blocks back at once for the one, and left alone for the other.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alluvium::checkpoint::{FileKind, FilePlace, Manifest};
use alluvium::{Checkpointer as _, Epoch};
use alluvium_object_store::{CheckpointerOptions, ObjectStoreCheckpointer};
use anyhow::{Result, ensure};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::subject::{Subject, open_at};
use crate::child;
use crate::feed::scramble;
use crate::report::{Report, rounded};

/// Bytes of the partition.
const PARTITION: u64 = 2 << 30;
/// Bytes of a piece of its stream.
const PIECE: u64 = 1 << 20;

/// What the process is to do.
#[derive(Debug, Serialize, Deserialize)]
struct Orders {
    url: String,
    options: Vec<(String, String)>,
    bytes: u64,
}

/// Has glibc give back every block of this many bytes as soon as it is freed.
const GIVES_BACK: [(&str, &str); 1] = [("MALLOC_MMAP_THRESHOLD_", "131072")];

/// What may be in memory at a time, beside what is: more than in the same process with a partition of one piece.
pub(super) fn run(subject: &Subject, report: &mut Report) -> Result<()> {
    let measure = |bytes: u64, variables: &[(&str, &str)]| {
        let orders = Orders {
            url: subject.url.clone(),
            options: subject.options.clone(),
            bytes,
        };
        child::checkpoint(&serde_json::to_string(&orders)?, variables)
    };
    let idle = measure(PIECE, &GIVES_BACK)?;
    let large = measure(PARTITION, &GIVES_BACK)?;
    let as_it_comes = measure(PARTITION, &[])?;
    let held = large.peak_rss_mb - idle.peak_rss_mb;
    let options = CheckpointerOptions::default();
    let bound = megabytes(options.part_bytes * options.parts_in_flight as u64);
    report.result(
        "checkpoint_memory",
        subject.name,
        bound / held,
        1.0,
        &json!({
            "peak_rss_mb": rounded(as_it_comes.peak_rss_mb),
            "held_mb": rounded(held),
            "bound_mb": bound,
            "partition_mb": megabytes(PARTITION),
            "seconds": rounded(large.seconds),
        }),
    );
    Ok(())
}

/// Saves and loads a partition in this process. Tells how long that took, and how many bytes came back.
pub(crate) async fn here(orders: &str) -> Result<(Duration, u64)> {
    let Orders { url, options, bytes } = serde_json::from_str(orders)?;
    let (store, prefix) = open_at(&url, &options)?;
    let checkpointer =
        ObjectStoreCheckpointer::new(Arc::clone(&store), prefix, CheckpointerOptions::default());
    let begin = Instant::now();
    let id = checkpointer.begin().await?;
    let place = FilePlace {
        id,
        operator: "large",
        partition: 0,
        kind: FileKind::Snapshot,
    };
    let pieces = (0..bytes / PIECE).map(|number| Ok::<_, io::Error>(piece(number)));
    let file = checkpointer
        .save_stream(place, stream::iter(pieces).boxed())
        .await?;
    let manifest = Manifest::new(id, Epoch::FIRST, 0).operator("large", vec![file.clone()]);
    checkpointer.save_manifest(&manifest).await?;
    let mut loading = checkpointer.load_stream(&file).await?;
    let mut loaded = 0;
    // The digest proves the bytes.
    while let Some(piece) = loading.try_next().await? {
        loaded += piece.len() as u64;
    }
    ensure!(loaded == bytes, "{loaded} bytes came back instead of {bytes}");
    Ok((begin.elapsed(), loaded))
}

/// A piece like no other.
fn piece(number: u64) -> Bytes {
    let words = PIECE / 8;
    let mut bytes = Vec::with_capacity(usize::try_from(PIECE).unwrap_or_default());
    for word in number * words..(number + 1) * words {
        bytes.extend_from_slice(&scramble(word).to_le_bytes());
    }
    bytes.into()
}

#[allow(clippy::cast_precision_loss, reason = "a few gibibytes")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
