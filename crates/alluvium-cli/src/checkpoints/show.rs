//! `alluvium checkpoints show`: what one checkpoint consists of.

use alluvium::checkpoint::{Latest, Manifest, SourcePosition, SourceState};
use alluvium::{CheckpointError, CheckpointId, Timestamp};
use serde_json::json;

use super::catalog::{Catalog, Lineage, Reading};
use super::list::describe;
use super::store;
use crate::args::ShowArgs;
use crate::error::Failure;
use crate::human::{age, count, human_time, instant, named};
use crate::output::{Output, escaped, human_bytes, rfc3339};

pub(super) async fn run(args: &ShowArgs, now: Timestamp, output: Output) -> Result<(), Failure> {
    let mut catalog = Catalog::new(store::open(&args.store).await?);
    let id = catalog.find(args.checkpoint, &args.store).await?;
    let is_latest = catalog.latest().await? == Latest::Names(id);
    let manifest = match catalog.manifest(id).await? {
        Reading::Read(manifest) => manifest,
        Reading::Unreadable(why) => return Err(Failure::Damaged { summary: why }),
        Reading::Gone => return Err(CheckpointError::NotFound { id }.into()),
    };
    let lineage = catalog.lineage(&manifest).await?;
    if output.is_json() {
        let sizes = lineage.chain.sizes();
        output.object(&json!({
            "id": id,
            "latest": is_latest,
            "timestamp": rfc3339(instant(manifest.timestamp_ms)),
            "age_seconds": age(instant(manifest.timestamp_ms), now).as_secs(),
            "chain": lineage.chain.checkpoints(),
            "chain_base_bytes": sizes.base,
            "chain_delta_bytes": sizes.deltas,
            "damage": lineage.broken,
            "manifest": *manifest,
        }))?;
    } else {
        let mut lines = output.lines();
        for (name, value) in facts(&manifest, &lineage, is_latest, now) {
            lines.text(&format!("{name:<9} {value}"))?;
        }
        lines.finish()?;
    }
    match lineage.broken {
        None => Ok(()),
        Some(why) => Err(Failure::Damaged {
            summary: format!("checkpoint {id} cannot be restored: {why}"),
        }),
    }
}

/// Everything there is to say, by name; more of the same has no name.
fn facts(
    manifest: &Manifest,
    lineage: &Lineage,
    is_latest: bool,
    now: Timestamp,
) -> Vec<(&'static str, String)> {
    let taken = instant(manifest.timestamp_ms);
    let latest = if is_latest { ", _latest" } else { "" };
    let kind = match &lineage.broken {
        None => describe(lineage),
        Some(why) => format!("damaged: {why}"),
    };
    let watermark = match manifest.watermark_ms {
        Some(millis) => rfc3339(instant(millis)),
        None => "none".to_owned(),
    };
    let files = count(manifest.files().count(), "file", "files");
    let mut facts = vec![
        ("id", format!("{}{latest}", manifest.id)),
        ("epoch", manifest.epoch.to_string()),
        (
            "taken",
            format!("{}, {} ago", rfc3339(taken), human_time(age(taken, now))),
        ),
        (
            "size",
            format!("{} in {files}", human_bytes(manifest.total_size())),
        ),
        ("kind", kind),
    ];
    facts.extend(named(
        "chain",
        lineage.chain.checkpoints().iter().map(CheckpointId::to_string),
    ));
    facts.push(("watermark", watermark));
    facts.extend(named("operators", operators(manifest)));
    facts.extend(named(
        "sources",
        manifest
            .sources
            .iter()
            .map(|(name, state)| format!("{} {}", escaped(name.as_bytes()), position(state))),
    ));
    facts
}

fn operators(manifest: &Manifest) -> impl Iterator<Item = String> {
    manifest.operators.iter().map(|(name, state)| {
        let partitions = &state.partitions;
        let deltas = partitions.iter().filter(|file| file.is_delta).count();
        let bytes = partitions
            .iter()
            .fold(0, |sum: u64, file| sum.saturating_add(file.size));
        format!(
            "{} {}, {}: {}, {}",
            escaped(name.as_bytes()),
            count(partitions.len(), "partition", "partitions"),
            human_bytes(bytes),
            count(partitions.len() - deltas, "snapshot", "snapshots"),
            count(deltas, "delta", "deltas"),
        )
    })
}

/// Where a source stood. One that does not have what its kind needs is told as it is stored.
fn position(state: &SourceState) -> String {
    match SourcePosition::try_from(state) {
        Ok(SourcePosition::JetStream { log, sequence }) => {
            format!(
                "{} at {sequence}, created {}",
                escaped(log.name.as_bytes()),
                rfc3339(log.created)
            )
        }
        Ok(SourcePosition::File { path, offset }) => {
            format!("{} at byte {offset}", escaped(path.as_bytes()))
        }
        _ => {
            let offsets = state.offsets.iter();
            let offsets = offsets
                .map(|(name, value)| format!("{}={}", escaped(name.as_bytes()), escaped(value.as_bytes())));
            let offsets: Vec<String> = offsets.collect();
            format!("{}: {}", escaped(state.kind.as_bytes()), offsets.join(", "))
        }
    }
}
