//! `reconcile`: a table that differs from its log in one key of a hundred is made what the log holds, beside the same replica
//! filling an empty table from that log. What it reads from its connection, how long it takes, and its memory.
//!
//! Of what differs, half was put again, a quarter deleted and a quarter put for the first time.

mod scene;

use std::path::Path;

use alluvium::{Plan, ReconcileReason};
use alluvium_e2e::engine::EngineKind;
use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use self::scene::Scene;
use crate::Options;
use crate::child::{self, Outcome, Target};
use crate::report::{Report, median, rounded};

/// Bytes of a value.
const VALUES: [usize; 2] = [200, 1_000];
/// What of a full fill a reconcile may read, and how long it may take.
const BYTES_LIMIT: f64 = 0.15;
const TIME_LIMIT: f64 = 0.5;
/// A round copies the table and the bucket's files, which takes longer than what is measured.
const MOST_ROUNDS: usize = 3;
/// What is measured.
const TARGET: Target = Target::Engine(EngineKind::Fjall);

pub(crate) async fn run(options: &Options, report: &mut Report) -> Result<()> {
    for length in VALUES {
        let mut scene = Scene::with(options.keys, length).await?;
        measure(options, &scene, ReconcileReason::TailLost, "tail-lost", report)?;
        scene.write_another_tail().await?;
        measure(
            options,
            &scene,
            ReconcileReason::HistoryChanged,
            "history-changed",
            report,
        )?;
        measure(
            options,
            &scene,
            ReconcileReason::Interrupted,
            "interrupted",
            report,
        )?;
    }
    Ok(())
}

fn measure(
    options: &Options,
    scene: &Scene,
    reason: ReconcileReason,
    name: &str,
    report: &mut Report,
) -> Result<()> {
    let (mut ours, mut fills) = (Vec::new(), Vec::new());
    for round in 0..options.rounds.min(MOST_ROUNDS) {
        let (filled, reconciled) = (tempfile::tempdir()?, tempfile::tempdir()?);
        let filled = filled.path().join("state");
        fills.push(child::fill(&scene.url(), TARGET, &filled)?);
        let state = scene.copy_of_table(reconciled.path(), reason)?;
        let plan = Plan::Reconcile(reason);
        ours.push(child::go_on(&scene.url(), &TARGET.url(&state), &plan)?);
        if round == 0 {
            same_rows(&filled, &state)?;
        }
    }
    let name = format!("{}+{}+{}", TARGET.name(), scene.length, name);
    let seconds = |outcomes: &[Outcome]| median(outcomes.iter().map(|outcome| outcome.seconds).collect());
    #[allow(clippy::cast_precision_loss, reason = "a ratio")]
    let bytes = |outcomes: &[Outcome]| {
        let received = outcomes.iter().map(|outcome| outcome.received as f64);
        median(received.collect())
    };
    let peak = |outcomes: &[Outcome]| {
        let peaks = outcomes.iter().map(|outcome| outcome.peak_rss_mb);
        peaks.fold(0.0, f64::max)
    };
    let changes = ours.first().context("no round")?.count;
    let figures = json!({
        "received_bytes": bytes(&ours),
        "fill_received_bytes": bytes(&fills),
        "bytes_share": rounded(bytes(&ours) / bytes(&fills)),
        "seconds": rounded(seconds(&ours)),
        "fill_seconds": rounded(seconds(&fills)),
        "time_share": rounded(seconds(&ours) / seconds(&fills)),
        "peak_rss_mb": rounded(peak(&ours)),
        "fill_peak_rss_mb": rounded(peak(&fills)),
        "changes": changes,
        "keys": options.keys,
    });
    let within = BYTES_LIMIT * bytes(&fills) / bytes(&ours);
    report.result("reconcile_bytes", &name, within, 1.0, &figures);
    let within = TIME_LIMIT * seconds(&fills) / seconds(&ours);
    report.result("reconcile_time", &name, within, 1.0, &figures);
    Ok(())
}

/// Whether both tables hold the same.
fn same_rows(one: &Path, other: &Path) -> Result<()> {
    let (one, other) = (scene::open(one)?, scene::open(other)?);
    let mut rows = 0;
    {
        let (mut left, mut right) = (one.rows()?, other.rows()?);
        loop {
            match (left.next().transpose()?, right.next().transpose()?) {
                (None, None) => break,
                (left, right) => ensure!(left == right, "{left:?} and {right:?} in the {rows}th row"),
            }
            rows += 1;
        }
    }
    ensure!(rows > 0, "no row was compared");
    one.close()?;
    other.close()
}
