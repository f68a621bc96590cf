//! What runs in a process of its own, so that its memory can be told: a replica that fills, a bare drain, a worker, a
//! checkpoint of one large partition, and a table that is exported or bootstrapped.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use alluvium::{KvLog, Plan, Replica};
use alluvium_e2e::engine::EngineKind;
use anyhow::{Context as _, Result, bail, ensure};
use async_nats::jetstream;
use async_nats::jetstream::consumer::pull::OrderedConfig;
use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};

use crate::feed::BUCKET;
use crate::worker::drain::Reader;
use crate::{artifact, checkpoint, worker};

/// The first argument of a child.
pub(crate) const FLAG: &str = "--child";

/// What a child found.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// Seconds from the call to the last message, or byte.
    pub(crate) seconds: f64,
    /// Messages received, or bytes that came back.
    pub(crate) count: u64,
    /// Bytes that the client read from its connection, where they are counted.
    pub(crate) received: u64,
    /// The most memory that was resident at any time, in MiB.
    pub(crate) peak_rss_mb: f64,
}

/// Drains the bucket with an ordered consumer of the bare client, and does nothing with the messages.
pub(crate) fn drain(url: &str, messages: u64) -> Result<Outcome> {
    spawn(&["drain", url, &messages.to_string()])
}

/// What a replica fills, by the name it has in reports.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// The memory engine in RAM only.
    Ram,
    /// An engine with a state directory.
    Engine(EngineKind),
}

impl Target {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ram => "memory",
            Self::Engine(EngineKind::Memory) => "memory+log",
            Self::Engine(engine) => engine.as_str(),
        }
    }

    pub(crate) fn url(self, dir: &Path) -> String {
        match self {
            Self::Ram => "memory:".to_owned(),
            Self::Engine(engine) => engine.url(dir),
        }
    }
}

/// Fills a fresh table from the bucket, in a state directory if the target has one.
pub(crate) fn fill(url: &str, target: Target, dir: &Path) -> Result<Outcome> {
    spawn(&["fill", url, &target.url(dir)])
}

/// Has a replica go on with what a state directory holds, by this plan.
pub(crate) fn go_on(url: &str, state: &str, plan: &Plan) -> Result<Outcome> {
    spawn(&["go-on", url, state, &format!("{plan:?}")])
}

/// Has so many messages of the bucket's stream read.
pub(crate) fn read(url: &str, reader: Reader, messages: u64) -> Result<Outcome> {
    let reader = serde_json::to_string(&reader)?;
    spawn(&["read", url, &reader, &messages.to_string()])
}

/// Saves and loads a partition as ordered, with these variables in its environment.
pub(crate) fn checkpoint(orders: &str, variables: &[(&str, &str)]) -> Result<Outcome> {
    spawn_with(&["checkpoint", orders], variables)
}

/// Exports or bootstraps a table as ordered.
pub(crate) fn artifact(orders: &str) -> Result<Outcome> {
    spawn(&["artifact", orders])
}

fn spawn(arguments: &[&str]) -> Result<Outcome> {
    spawn_with(arguments, &[])
}

fn spawn_with(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Outcome> {
    let output = Command::new(std::env::current_exe()?)
        .arg(FLAG)
        .args(arguments)
        .envs(variables.iter().copied())
        .stderr(std::process::Stdio::inherit())
        .output()?;
    ensure!(
        output.status.success(),
        "the child {arguments:?} failed: {}",
        output.status
    );
    serde_json::from_slice(&output.stdout).context("the child printed something else than its outcome")
}

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut received = 0;
    let (elapsed, count) = match arguments[..] {
        ["drain", url, messages] => {
            let messages = messages.parse()?;
            (runtime.block_on(drain_here(url, messages))?, messages)
        }
        ["fill", url, state] => {
            let filled = runtime.block_on(follow_here(url, state, None))?;
            received = filled.received;
            (filled.elapsed, filled.changes)
        }
        ["go-on", url, state, plan] => {
            let gone_on = runtime.block_on(follow_here(url, state, Some(plan)))?;
            received = gone_on.received;
            (gone_on.elapsed, gone_on.changes)
        }
        ["read", url, reader, messages] => {
            runtime.block_on(worker::drain::here(url, reader, messages.parse()?))?
        }
        ["checkpoint", orders] => runtime.block_on(checkpoint::memory::here(orders))?,
        ["artifact", orders] => runtime.block_on(artifact::memory::here(orders))?,
        _ => bail!("a child is told what to do by its parent"),
    };
    let outcome = Outcome {
        seconds: elapsed.as_secs_f64(),
        count,
        received,
        peak_rss_mb: alluvium_e2e::peak_rss_mb()?,
    };
    println!("{}", serde_json::to_string(&outcome)?);
    Ok(())
}

async fn drain_here(url: &str, messages: u64) -> Result<Duration> {
    let context = jetstream::new(async_nats::connect(url).await?);
    let stream = context.get_stream(format!("KV_{BUCKET}")).await?;
    let begin = Instant::now();
    let consumer = stream.create_consumer(OrderedConfig::default()).await?;
    let mut drained = consumer.messages().await?.take(usize::try_from(messages)?);
    while let Some(message) = drained.next().await {
        message?;
    }
    Ok(begin.elapsed())
}

/// How a replica came to the end of the log.
struct Followed {
    elapsed: Duration,
    changes: u64,
    received: u64,
}

async fn follow_here(url: &str, state: &str, plan: Option<&str>) -> Result<Followed> {
    let client = async_nats::connect(url).await?;
    let statistics = client.statistics();
    let begin = Instant::now();
    let log = Arc::new(KvLog::open(client, BUCKET).await?);
    let state = alluvium::open(state).await?;
    let replica = Replica::builder(log, state.open_table(BUCKET).await?)
        .start()
        .await?;
    replica.caught_up().await?;
    let elapsed = begin.elapsed();
    // What the client has read from its socket.
    let received = statistics.in_bytes.load(Ordering::Relaxed);
    let status = replica.status();
    if let Some(plan) = plan {
        let taken = status.plan.map(|plan| format!("{plan:?}"));
        ensure!(
            taken.as_deref() == Some(plan),
            "the plan was {taken:?} and not {plan}"
        );
    }
    replica.shutdown().await?;
    state.close().await?;
    Ok(Followed {
        elapsed,
        changes: status.changes,
        received,
    })
}
