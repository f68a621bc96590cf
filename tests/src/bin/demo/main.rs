//! The demo that `cargo xtask demo` runs: a git history through a real nats-server into local state, with a SIGKILL in
//! the middle of the flood.
//!
//! Every change of every first-parent commit, oldest first, is put into a KV bucket: the path is the key, mode and blob
//! the value, a removal a delete. `alluvium replicate` follows into fjall, is killed, and is started again. In the end
//! the table must equal `git ls-tree -r HEAD`.

mod history;
mod key;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use alluvium_e2e::command::{Replicate, read_json, stored_cursor};
use alluvium_e2e::engine::EngineKind;
use alluvium_e2e::{NatsServer, wait};
use anyhow::{Context as _, Result, bail, ensure};
use async_nats::jetstream::{self, kv};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use serde_json::Value;
use tokio::sync::oneshot;

use crate::history::{FileChange, Repository};

const BUCKET: &str = "git";
/// Puts that wait for their acknowledgement at a time.
const IN_FLIGHT: usize = 512;
/// Until the flood must have come to its middle.
const PATIENCE: Duration = Duration::from_mins(5);

fn main() -> ExitCode {
    let result = repository_from_arguments().and_then(|repository| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        runtime.block_on(run(&repository))
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn repository_from_arguments() -> Result<PathBuf> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Ok(PathBuf::from(".")),
        ["--repo", path] => Ok(PathBuf::from(path)),
        _ => bail!("use: demo [--repo PATH]"),
    }
}

async fn run(repository: &Path) -> Result<()> {
    let repository = Repository::open(repository)?;
    let history = repository.history()?;
    let truth = repository.tree()?;
    println!(
        "{}: {} commits with {} changes, {} files at HEAD",
        repository.path().display(),
        history.commits,
        history.changes.len(),
        truth.len()
    );
    ensure!(
        !history.changes.is_empty(),
        "there is nothing in that history to publish"
    );

    let server = NatsServer::start().await;
    let context = jetstream::new(server.client().await);
    let config = kv::Config {
        bucket: BUCKET.to_owned(),
        history: 1,
        ..kv::Config::default()
    };
    context.create_key_value(config).await?;
    let scratch = tempfile::tempdir()?;
    let state = scratch.path().join("state");
    let place = EngineKind::Fjall.url(&state);

    // The first half, and a replicator that has begun to follow it.
    let (first, second) = history.changes.split_at(history.changes.len().div_ceil(2));
    let begin = Instant::now();
    let mut replicator = Replicate::start(&server.url(), BUCKET, &place, &[])?;
    let published = Arc::new(AtomicU64::new(0));
    publish(&context, first, &published).await?;
    replicator.wait_for_cursor(1).await?;

    // The flood goes on while the replicator is killed and started again. Its last part waits for the kill, so that
    // there is something left to read however short the history is.
    let (during, after) = second.split_at(second.len() / 2);
    let (killed, was_killed) = oneshot::channel();
    let flood = tokio::spawn({
        let (during, after) = (during.to_vec(), after.to_vec());
        let (context, published) = (context.clone(), Arc::clone(&published));
        async move {
            publish(&context, &during, &published).await?;
            was_killed.await?;
            publish(&context, &after, &published).await
        }
    });
    let middle = (first.len() + during.len() / 2) as u64;
    wait::until(PATIENCE, "the flood goes on", || {
        published.load(Ordering::Relaxed) >= middle
    })
    .await;
    let killed_at = replicator.kill().await?;
    println!(
        "killed with SIGKILL when {} of {} messages were published; the last cursor it had told was {killed_at}",
        published.load(Ordering::Relaxed),
        history.changes.len()
    );
    // A flood that has failed by now says so itself.
    let _ = killed.send(());
    let resumed_from = stored_cursor(&state).await?.unwrap_or(0);
    ensure!(
        resumed_from >= killed_at,
        "the cursor on disk, {resumed_from}, lies before the one that was told"
    );
    let mut replicator = Replicate::start(&server.url(), BUCKET, &place, &[])?;
    flood.await??;
    let flooded = begin.elapsed();

    let last = last_sequence(&context).await?;
    ensure!(
        last == history.changes.len() as u64,
        "{last} messages were stored"
    );
    replicator.wait_for_cursor(last).await?;
    let caught_up = begin.elapsed();
    let read = replicator.finish().await?;
    #[allow(clippy::cast_precision_loss, reason = "a rate is shown to people")]
    let rate = last as f64 / flooded.as_secs_f64();
    println!(
        "published {last} messages in {:.2} s ({rate:.0}/s)",
        flooded.as_secs_f64()
    );
    println!(
        "resumed from {resumed_from}, read {read} of the {} messages after that (the others had been replaced), caught up with {last} after {:.2} s",
        last - resumed_from,
        caught_up.as_secs_f64()
    );
    ensure!(
        read <= last - resumed_from,
        "{read} messages were read after the restart, but only {} came after the cursor",
        last - resumed_from
    );
    compare(&truth, &stored_rows(&state).await?)
}

/// Publishes changes in order, many in flight at a time.
async fn publish(context: &jetstream::Context, changes: &[FileChange], published: &AtomicU64) -> Result<()> {
    let mut acknowledgements = FuturesUnordered::new();
    for change in changes {
        let subject = format!("$KV.{BUCKET}.{}", key::encode(&change.path));
        let sent = if let Some(value) = &change.value {
            context.publish(subject, value.clone().into()).await?
        } else {
            let mut headers = async_nats::HeaderMap::new();
            headers.insert("KV-Operation", "DEL");
            context.publish_with_headers(subject, headers, "".into()).await?
        };
        acknowledgements.push(sent.into_future());
        if acknowledgements.len() >= IN_FLIGHT {
            acknowledgements
                .next()
                .await
                .transpose()
                .context("a message was not stored")?;
            published.fetch_add(1, Ordering::Relaxed);
        }
    }
    while let Some(acknowledgement) = acknowledgements.next().await {
        acknowledgement.context("a message was not stored")?;
        published.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

async fn last_sequence(context: &jetstream::Context) -> Result<u64> {
    let stream = context.get_stream(format!("KV_{BUCKET}")).await?;
    Ok(stream.cached_info().state.last_sequence)
}

/// What the state directory holds: path to mode and blob.
async fn stored_rows(state: &Path) -> Result<BTreeMap<Vec<u8>, String>> {
    let mut rows = BTreeMap::new();
    for line in read_json("scan", state).await?.lines() {
        let entry: Value = serde_json::from_str(line)?;
        let field = |name| {
            entry
                .get(name)
                .and_then(Value::as_str)
                .with_context(|| format!("no {name} in {line}"))
        };
        rows.insert(key::decode(field("key")?)?, field("value")?.to_owned());
    }
    Ok(rows)
}

/// Says how the table differs from the tree, and fails if it does.
fn compare(truth: &BTreeMap<Vec<u8>, String>, rows: &BTreeMap<Vec<u8>, String>) -> Result<()> {
    let name = |path: &[u8]| String::from_utf8_lossy(path).into_owned();
    let mut differences = Vec::new();
    for (path, value) in truth {
        match rows.get(path) {
            Some(found) if found == value => {}
            Some(found) => differences.push(format!("{}: {found} instead of {value}", name(path))),
            None => differences.push(format!("{}: missing", name(path))),
        }
    }
    differences.extend(
        rows.keys()
            .filter(|path| !truth.contains_key(*path))
            .map(|path| format!("{}: too many", name(path))),
    );
    if differences.is_empty() {
        println!(
            "the table equals `git ls-tree -r HEAD`: {} files, each with its mode and blob",
            truth.len()
        );
        return Ok(());
    }
    for difference in differences.iter().take(10) {
        eprintln!("  {difference}");
    }
    bail!(
        "the table differs from `git ls-tree -r HEAD` in {} files",
        differences.len()
    )
}
