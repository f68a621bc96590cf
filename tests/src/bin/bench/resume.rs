//! `resume`: a full state directory, restarted to caught up, beside the engine's own open.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alluvium::{Durability, EngineTable, KvLog, Replica, open_existing_engine};
use anyhow::{Result, ensure};
use async_nats::jetstream;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::feed::{BUCKET, Bucket, put};
use crate::report::{Report, median, rounded};
use crate::{Options, child};

/// New messages that each restart finds.
const NEW: u64 = 1_000;

pub(crate) fn run(options: &Options, bucket: &Bucket, runtime: &Runtime, report: &mut Report) -> Result<()> {
    let context = runtime.block_on(async { jetstream::new(bucket.server.client().await) });
    let mut next_key = bucket.keys;
    for engine in [child::FJALL, child::MEMORY_LOG] {
        let dir = tempfile::tempdir()?;
        let state = dir.path().join("state");
        child::fill(&bucket.server.url(), engine, &state)?;
        let (mut opens, mut resumes) = (Vec::new(), Vec::new());
        for _ in 0..options.rounds {
            runtime.block_on(put(&context, next_key, NEW))?;
            next_key += NEW;
            let begin = Instant::now();
            let bare = open_existing_engine(&state, Durability::Buffered)?;
            opens.push(begin.elapsed().as_secs_f64());
            bare.close()?;
            let (elapsed, changes) = runtime.block_on(resume(bucket, &state))?;
            ensure!(
                changes == NEW,
                "{engine} read {changes} messages instead of {NEW}"
            );
            resumes.push(elapsed.as_secs_f64());
        }
        let (open, resume) = (median(opens), median(resumes));
        report.result(
            "resume",
            engine,
            open / resume,
            0.0,
            &json!({
                "seconds": rounded(resume), "engine_open_seconds": rounded(open),
                "messages_read": NEW, "rows": bucket.keys,
            }),
        );
    }
    Ok(())
}

async fn resume(bucket: &Bucket, state: &Path) -> Result<(Duration, u64)> {
    let client = bucket.server.client().await;
    let begin = Instant::now();
    let log = Arc::new(KvLog::open(client, BUCKET).await?);
    let engine = open_existing_engine(state, Durability::Buffered)?;
    let table = Arc::new(EngineTable::open(Arc::clone(&engine), BUCKET)?);
    let replica = Replica::builder(log, table).start().await?;
    replica.caught_up().await?;
    let elapsed = begin.elapsed();
    let changes = replica.status().changes;
    replica.shutdown().await?;
    engine.close()?;
    Ok((elapsed, changes))
}
