//! `alluvium artifacts verify`: every byte that artifacts need, read and compared with what their manifests tell.
//!
//! A pack that several artifacts need is read once. With `--json`:
//!
//! ```text
//! {"event":"damage","key":…,"path":…,"reason":…,"needed_by":[…]}                        for each
//! {"event":"garbage","key":…,"path":…,"bytes":…}                                        for each pack that nothing needs
//! {"event":"end","whole":…,"artifacts":…,"damaged":[…],"packs":…,"segments":…,"bytes":…,"garbage_bytes":…,…}  last
//! ```

mod pack;
mod segment;
mod survey;

use std::time::Instant;

use serde_json::json;

use self::survey::Survey;
use super::catalog::{History, find};
use super::open;
use crate::args::VerifyArtifactsArgs;
use crate::bar::Bar;
use crate::error::Failure;
use crate::human::count;
use crate::output::{Output, human_bytes};

pub(super) async fn run(args: &VerifyArtifactsArgs, output: Output, verbose: u8) -> Result<(), Failure> {
    let transport = open(&args.store).await?;
    let transport = transport.as_ref();
    let mut survey = Survey::default();
    match (&args.key, args.at) {
        (Some(key), Some(at)) => {
            let artifact = find(transport, &args.store.store, key, Some(at)).await?;
            survey.add(key, artifact);
        }
        (key, _) => {
            let keys = match key {
                Some(key) => vec![key.clone()],
                None => transport.keys().await?,
            };
            for found in keys {
                // First, so that what is uploaded meanwhile is not taken for something that nothing needs.
                let packs = transport.packs(&found).await?;
                let history = History::read(transport, &found).await?;
                if key.is_some() && history.is_empty() {
                    return Err(super::catalog::none(&args.store.store, &found, None));
                }
                survey.add_history(&found, history, packs);
            }
        }
    }
    let started = Instant::now();
    let bar = Bar::bytes("verify", output, verbose, survey.bytes());
    let read = survey.read(transport, &bar).await;
    let bytes = bar.finish();
    tell(&survey, output)?;
    read?;
    conclude(&survey, bytes, started.elapsed().as_secs_f64(), output)
}

/// Names everything that is damaged, or of no use.
fn tell(survey: &Survey, output: Output) -> Result<(), Failure> {
    let mut lines = output.lines();
    for ((key, path), (why, needed_by)) in &survey.damage {
        if output.is_json() {
            lines.object(&json!({
                "event": "damage",
                "key": key.as_str(),
                "path": path,
                "reason": why,
                "needed_by": needed_by,
            }))?;
        } else {
            lines.text(why)?;
        }
    }
    for (key, pack, bytes) in &survey.garbage {
        let path = key.pack(*pack);
        if output.is_json() {
            lines.object(&json!({
                "event": "garbage",
                "key": key.as_str(),
                "path": path,
                "bytes": bytes,
            }))?;
        } else {
            lines.text(&format!(
                "{path} is needed by no artifact ({}): an export is uploading it, or a prune removes it",
                human_bytes(*bytes)
            ))?;
        }
    }
    lines.finish()
}

fn conclude(survey: &Survey, bytes: u64, seconds: f64, output: Output) -> Result<(), Failure> {
    let damaged = survey.damaged();
    let is_whole = survey.damage.is_empty();
    let artifacts = count(survey.artifacts, "artifact", "artifacts");
    if output.is_json() {
        let garbage = survey.garbage.iter().map(|(_, _, bytes)| *bytes);
        let garbage: u64 = garbage.fold(0, u64::saturating_add);
        output.object(&json!({
            "event": "end",
            "whole": is_whole,
            "artifacts": survey.artifacts,
            "damaged": damaged,
            "packs": survey.packs(),
            "segments": survey.segments(),
            "bytes": bytes,
            "garbage_bytes": garbage,
            "seconds": (seconds * 1000.0).round() / 1000.0,
        }))?;
    } else if is_whole {
        let mut lines = output.lines();
        lines.text(&format!(
            "whole: {artifacts}, {} in {}, {} read in {seconds:.1} s",
            count(survey.segments(), "segment", "segments"),
            count(survey.packs(), "pack", "packs"),
            human_bytes(bytes),
        ))?;
        lines.finish()?;
    }
    if is_whole {
        return Ok(());
    }
    let of = match damaged.as_slice() {
        [] => String::new(),
        damaged => format!(
            ": {} of {artifacts} cannot be restored: {}",
            damaged.len(),
            damaged.join(", ")
        ),
    };
    let objects = count(survey.damage.len(), "object is", "objects are");
    Err(Failure::Damaged {
        summary: format!("{objects} missing or damaged{of}"),
    })
}
