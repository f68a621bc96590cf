//! `alluvium artifacts show`: what one artifact consists of.

use alluvium::Timestamp;
use alluvium::artifact::{ArtifactManifest, ManifestId, Run, SegmentInfo};
use serde_json::json;

use super::catalog::{Artifact, find};
use super::list::runs;
use super::open;
use crate::args::ShowArtifactArgs;
use crate::error::Failure;
use crate::human::{age, count, human_time, instant, named};
use crate::output::{Output, escaped, human_bytes, rfc3339};

pub(super) async fn run(args: &ShowArtifactArgs, now: Timestamp, output: Output) -> Result<(), Failure> {
    let transport = open(&args.store).await?;
    let Artifact {
        id,
        is_newest,
        manifest,
    } = find(transport.as_ref(), &args.store.store, &args.key, args.at).await?;
    let manifest = manifest.map_err(|summary| Failure::Damaged { summary })?;
    if output.is_json() {
        return output.object(&json!({
            "key": args.key.as_str(),
            "id": id,
            "newest": is_newest,
            "age_seconds": age(instant(manifest.created_ms), now).as_secs(),
            "manifest": manifest,
        }));
    }
    let mut lines = output.lines();
    for (name, value) in facts(id, is_newest, &manifest, now) {
        lines.text(&format!("{name:<8} {value}"))?;
    }
    lines.finish()
}

/// Everything there is to say, by name; more of the same has no name.
fn facts(
    id: ManifestId,
    is_newest: bool,
    manifest: &ArtifactManifest,
    now: Timestamp,
) -> Vec<(&'static str, String)> {
    let made = instant(manifest.created_ms);
    let cursor = &manifest.cursor;
    let text = |text: &str| escaped(text.as_bytes());
    let newest = if is_newest { ", the newest" } else { "" };
    let parent = manifest.parent.map(|parent| parent.to_string());
    let mut facts = vec![
        ("id", format!("{id}{newest}")),
        ("table", text(&manifest.table)),
        (
            "log",
            format!(
                "{}, created {}",
                text(&cursor.log.name),
                rfc3339(cursor.log.created)
            ),
        ),
        (
            "cursor",
            format!("{}, stored {}", cursor.sequence, rfc3339(cursor.timestamp)),
        ),
        ("scope", text(&manifest.scope.to_string())),
        ("mode", manifest.mode.to_string()),
        (
            "made",
            format!(
                "{}, {} ago, by {} with Alluvium {}",
                rfc3339(made),
                human_time(age(made, now)),
                text(&manifest.exporter),
                text(&manifest.alluvium)
            ),
        ),
        ("parent", parent.unwrap_or_else(|| "none".to_owned())),
        (
            "size",
            format!(
                "{} rows, {} in {}: {}",
                manifest.rows(),
                human_bytes(manifest.bytes()),
                count(manifest.segments().count(), "segment", "segments"),
                runs(manifest)
            ),
        ),
    ];
    facts.extend(named("runs", manifest.runs.iter().flat_map(told_run)));
    facts
}

/// A run, and its segments below it.
fn told_run(run: &Run) -> Vec<String> {
    let what = if run.is_base() {
        format!("base at {}", run.through)
    } else {
        format!("delta from {} to {}, level {}", run.after, run.through, run.level)
    };
    let pack = run.pack.map(|pack| format!(", pack {pack}"));
    let head = format!(
        "{what}: {} rows, {}{}",
        run.rows(),
        human_bytes(run.bytes()),
        pack.unwrap_or_default()
    );
    let segments = run.segments.iter().map(|segment| told_segment(&segment.info));
    std::iter::once(head).chain(segments).collect()
}

fn told_segment(info: &SegmentInfo) -> String {
    let sha256 = info.sha256.to_string();
    format!(
        "  {}…  {} rows, {} deletes, {}, keys {} to {}, sequences {} to {}",
        sha256.get(..12).unwrap_or(&sha256),
        info.rows,
        info.deletes,
        human_bytes(info.length),
        escaped(&info.first_key),
        escaped(&info.last_key),
        info.first_sequence,
        info.last_sequence
    )
}
