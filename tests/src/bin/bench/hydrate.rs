//! `hydrate`: a fresh replica of a full bucket, beside the fastest bare drain of the same bucket.

use alluvium_e2e::engine::EngineKind;
use anyhow::{Result, ensure};
use serde_json::json;

use crate::Options;
use crate::child::{self, Target};
use crate::feed::Bucket;
use crate::report::{Report, median, rounded};

pub(crate) fn run(options: &Options, bucket: &Bucket, report: &mut Report) -> Result<()> {
    let targets = [
        (Target::Engine(EngineKind::Fjall), 0.65),
        (Target::Engine(EngineKind::RocksDb), 0.65),
        (Target::Ram, 0.75),
        (Target::Engine(EngineKind::Memory), 0.75),
    ];
    let url = bucket.server.url();
    let mut bare = Vec::new();
    let mut ours = vec![Vec::new(); targets.len()];
    let mut peaks = vec![0.0_f64; targets.len()];
    // In turn, so that a machine that slows down slows everything down.
    for _ in 0..options.rounds {
        bare.push(child::drain(&url, bucket.keys)?.seconds);
        for (index, (target, _)) in targets.iter().enumerate() {
            let dir = tempfile::tempdir()?;
            let outcome = child::fill(&url, *target, &dir.path().join("state"))?;
            ensure!(
                outcome.count == bucket.keys,
                "{} applied {} changes",
                target.name(),
                outcome.count
            );
            ours[index].push(outcome.seconds);
            peaks[index] = peaks[index].max(outcome.peak_rss_mb);
        }
    }
    let fastest = bare.iter().copied().fold(f64::INFINITY, f64::min);
    for (index, (target, wanted)) in targets.iter().enumerate() {
        let seconds = median(ours[index].clone());
        #[allow(clippy::cast_precision_loss, reason = "a rate")]
        let keys = bucket.keys as f64;
        report.result(
            "hydrate",
            target.name(),
            fastest / seconds,
            *wanted,
            &json!({
                "peak_rss_mb": rounded(peaks[index]),
                "messages_per_s": (keys / seconds).round(),
                "bare_messages_per_s": (keys / fastest).round(),
                "bare_median_messages_per_s": (keys / median(bare.clone())).round(),
                "seconds": rounded(seconds),
                "keys": bucket.keys,
            }),
        );
    }
    Ok(())
}
