//! `hydrate`: a fresh replica of a full bucket, beside the fastest bare drain of the same bucket.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::Options;
use crate::child;
use crate::feed::Bucket;
use crate::report::{Report, median, rounded};

pub(crate) fn run(options: &Options, bucket: &Bucket, report: &mut Report) -> Result<()> {
    let engines = [
        (child::FJALL, 0.65),
        (child::MEMORY, 0.75),
        (child::MEMORY_LOG, 0.75),
    ];
    let url = bucket.server.url();
    let mut bare = Vec::new();
    let mut ours = vec![Vec::new(); engines.len()];
    let mut peaks = vec![0.0_f64; engines.len()];
    // In turn, so that a machine that slows down slows everything down.
    for _ in 0..options.rounds {
        bare.push(child::drain(&url, bucket.keys)?.seconds);
        for (index, (engine, _)) in engines.iter().enumerate() {
            let dir = tempfile::tempdir()?;
            let outcome = child::fill(&url, engine, &dir.path().join("state"))?;
            ensure!(
                outcome.messages == bucket.keys,
                "{engine} applied {} changes",
                outcome.messages
            );
            ours[index].push(outcome.seconds);
            peaks[index] = peaks[index].max(outcome.peak_rss_mb);
        }
    }
    let fastest = bare.iter().copied().fold(f64::INFINITY, f64::min);
    for (index, (engine, target)) in engines.iter().enumerate() {
        let seconds = median(ours[index].clone());
        #[allow(clippy::cast_precision_loss, reason = "a rate")]
        let keys = bucket.keys as f64;
        report.result(
            "hydrate",
            engine,
            fastest / seconds,
            *target,
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
