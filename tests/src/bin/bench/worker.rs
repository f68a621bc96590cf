//! `worker`: a stream worked through by a handler that does nothing, beside the bare drain of the same stream and the durable pull
//! consumers of the server; and from `publish` to the handler, one at a time, beside a bare subscription.

pub(crate) mod drain;
mod latency;

use anyhow::{Result, ensure};
use serde_json::json;

use self::drain::{Reader, Store};
use crate::Options;
use crate::child;
use crate::feed::Bucket;
use crate::report::{Report, median, rounded};

/// What is acknowledged message by message is measured on so many of them, and told per second.
const ACKNOWLEDGED: u64 = 200_000;

pub(crate) fn throughput(options: &Options, bucket: &Bucket, report: &mut Report) -> Result<()> {
    let url = bucket.server.url();
    let readers = [
        Reader::Worker(Store::Memory),
        Reader::Worker(Store::Files),
        Reader::Worker(Store::Kv),
        Reader::Worker(Store::Table),
        Reader::PullAckEach,
        Reader::PullAckBatch,
    ];
    let mut bare = Vec::new();
    let mut rates = vec![Vec::new(); readers.len()];
    let mut peaks = vec![0.0_f64; readers.len()];
    // In turn, so that a machine that slows down slows everything down.
    for _ in 0..options.rounds {
        bare.push(per_second(bucket.keys, child::drain(&url, bucket.keys)?.seconds));
        for (index, reader) in readers.iter().enumerate() {
            let messages = match reader {
                Reader::PullAckEach => bucket.keys.min(ACKNOWLEDGED),
                Reader::Worker(_) | Reader::PullAckBatch => bucket.keys,
            };
            let outcome = child::read(&url, *reader, messages)?;
            ensure!(
                outcome.count == messages,
                "{} read {} messages",
                reader.name(),
                outcome.count
            );
            rates[index].push(per_second(messages, outcome.seconds));
            peaks[index] = peaks[index].max(outcome.peak_rss_mb);
        }
    }
    let fastest = bare.iter().copied().fold(0.0, f64::max);
    for (index, reader) in readers.iter().enumerate() {
        let rate = median(rates[index].clone());
        // What the server's own consumers do is there to be compared with.
        let wanted = if matches!(reader, Reader::Worker(_)) {
            0.8
        } else {
            0.0
        };
        report.result(
            "worker",
            reader.name(),
            rate / fastest,
            wanted,
            &json!({
                "messages_per_s": rate.round(),
                "bare_messages_per_s": fastest.round(),
                "bare_median_messages_per_s": median(bare.clone()).round(),
                "peak_rss_mb": rounded(peaks[index]),
                "messages": bucket.keys,
            }),
        );
    }
    Ok(())
}

pub(crate) async fn latency(report: &mut Report) -> Result<()> {
    latency::run(report).await
}

#[allow(clippy::cast_precision_loss, reason = "a rate")]
fn per_second(messages: u64, seconds: f64) -> f64 {
    messages as f64 / seconds
}
