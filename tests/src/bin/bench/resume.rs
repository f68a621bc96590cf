//! `resume`: a full state directory, restarted to caught up, beside the engine's own open.

use std::sync::Arc;
use std::time::{Duration, Instant};

use alluvium::{KvLog, Replica, StateConfig};
use alluvium_e2e::engine::EngineKind;
use anyhow::{Result, ensure};
use async_nats::jetstream;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::Options;
use crate::child::{self, Target};
use crate::feed::{BUCKET, Bucket, put};
use crate::report::{Report, median, rounded};

/// New messages that each restart finds.
const NEW: u64 = 1_000;

pub(crate) fn run(options: &Options, bucket: &Bucket, runtime: &Runtime, report: &mut Report) -> Result<()> {
    let context = runtime.block_on(async { jetstream::new(bucket.server.client().await) });
    let mut next_key = bucket.keys;
    for engine in EngineKind::ALL {
        let target = Target::Engine(engine);
        let dir = tempfile::tempdir()?;
        let state = dir.path().join("state");
        child::fill(&bucket.server.url(), target, &state)?;
        let (mut opens, mut resumes) = (Vec::new(), Vec::new());
        for _ in 0..options.rounds {
            runtime.block_on(put(&context, next_key, NEW))?;
            next_key += NEW;
            let begin = Instant::now();
            let bare = StateConfig::new(&engine.url(&state))?.open_engine()?;
            opens.push(begin.elapsed().as_secs_f64());
            bare.close()?;
            let (elapsed, changes) = runtime.block_on(resume(bucket, &engine.url(&state)))?;
            ensure!(
                changes == NEW,
                "{engine} read {changes} messages instead of {NEW}"
            );
            resumes.push(elapsed.as_secs_f64());
        }
        let (open, resume) = (median(opens), median(resumes));
        report.result(
            "resume",
            target.name(),
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

async fn resume(bucket: &Bucket, state: &str) -> Result<(Duration, u64)> {
    let client = bucket.server.client().await;
    let begin = Instant::now();
    let log = Arc::new(KvLog::open(client, BUCKET).await?);
    let state = alluvium::open(state).await?;
    let replica = Replica::builder(log, state.open_table(BUCKET).await?)
        .start()
        .await?;
    replica.caught_up().await?;
    let elapsed = begin.elapsed();
    let changes = replica.status().changes;
    replica.shutdown().await?;
    state.close().await?;
    Ok((elapsed, changes))
}
