//! How fast a bucket is drained: by this crate, and by the bare client's ordered consumer, in turn.
//!
//! ```text
//! cargo run --release -p alluvium-nats --example drain -- nats://127.0.0.1:4222 1000000 5
//! ```
//!
//! Fills the bucket `drain` with so many keys of 200 incompressible bytes, unless it has them already.

use std::error::Error;
use std::time::Instant;

use alluvium_core::{Log, LogEvent, Scope, Sequence};
use alluvium_nats::KvLog;
use async_nats::jetstream::consumer::pull::OrderedConfig;
use async_nats::jetstream::{self, kv};
use futures_util::StreamExt as _;

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments
        .next()
        .unwrap_or_else(|| "nats://127.0.0.1:4222".to_owned());
    let keys: u64 = arguments.next().as_deref().unwrap_or("1000000").parse()?;
    let rounds: usize = arguments.next().as_deref().unwrap_or("5").parse()?;
    fill(&url, keys).await?;
    for _ in 0..rounds {
        let begin = cpu_seconds()?;
        let bare = bare(&url, keys).await?;
        let middle = cpu_seconds()?;
        let ours = ours(&url, keys).await?;
        let end = cpu_seconds()?;
        println!(
            "bare {bare:.0}/s in {:.2} s of processor time, ours {ours:.0}/s in {:.2} s, ratio {:.3}",
            middle - begin,
            end - middle,
            ours / bare
        );
    }
    Ok(())
}

/// What this process has used of the processors: unlike the rate, it hardly depends on what else the machine does.
fn cpu_seconds() -> Result<f64, Failure> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let ticks: f64 = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    Ok(ticks / 100.0)
}

async fn bare(url: &str, keys: u64) -> Result<f64, Failure> {
    let context = jetstream::new(async_nats::connect(url).await?);
    let begin = Instant::now();
    let stream = context.get_stream("KV_drain").await?;
    let consumer = stream.create_consumer(OrderedConfig::default()).await?;
    let mut messages = consumer.messages().await?.take(usize::try_from(keys)?);
    while let Some(message) = messages.next().await {
        message?;
    }
    Ok(rate(keys, begin))
}

async fn ours(url: &str, keys: u64) -> Result<f64, Failure> {
    let client = async_nats::connect(url).await?;
    let begin = Instant::now();
    let log = KvLog::open(client, "drain").await?;
    let mut changes = log.read(Sequence::FIRST, &Scope::all()).await?;
    let mut count = 0;
    while let Some(event) = changes.next().await {
        match event? {
            LogEvent::Change(_) => count += 1,
            LogEvent::CaughtUp(_) => break,
        }
    }
    assert_eq!(count, keys, "every key comes once");
    Ok(rate(keys, begin))
}

#[allow(clippy::cast_precision_loss, reason = "a rate")]
fn rate(keys: u64, begin: Instant) -> f64 {
    keys as f64 / begin.elapsed().as_secs_f64()
}

async fn fill(url: &str, keys: u64) -> Result<(), Failure> {
    let context = jetstream::new(async_nats::connect(url).await?);
    let config = kv::Config {
        bucket: "drain".to_owned(),
        history: 1,
        ..kv::Config::default()
    };
    context.create_key_value(config).await?;
    let stream = context.get_stream("KV_drain").await?;
    let held = stream.cached_info().state.messages;
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut acknowledgements = Vec::new();
    for index in held..keys {
        let mut value = Vec::with_capacity(200);
        while value.len() < 200 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            value.extend_from_slice(&state.to_le_bytes());
        }
        let sent = context
            .publish(format!("$KV.drain.key.{index:016x}"), value.into())
            .await?;
        acknowledgements.push(sent);
        if acknowledgements.len() == 1_000 {
            for acknowledgement in acknowledgements.drain(..) {
                acknowledgement.await?;
            }
        }
    }
    for acknowledgement in acknowledgements {
        acknowledgement.await?;
    }
    Ok(())
}
