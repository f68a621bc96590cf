//! A bucket full of incompressible values.

use alluvium_e2e::NatsServer;
use anyhow::{Context as _, Result, ensure};
use async_nats::HeaderMap;
use async_nats::jetstream::{self, kv};
use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, StreamExt as _};

/// The bucket that the benchmarks fill.
pub(crate) const BUCKET: &str = "bench";

/// Bytes of a value.
pub(crate) const VALUE: usize = 200;

/// A server with a file-backed bucket of so many keys.
pub(crate) struct Bucket {
    pub(crate) server: NatsServer,
    pub(crate) keys: u64,
}

pub(crate) async fn filled_bucket(keys: u64) -> Result<Bucket> {
    filled_bucket_of(keys, VALUE).await
}

/// The same, with values of so many bytes.
pub(crate) async fn filled_bucket_of(keys: u64, length: usize) -> Result<Bucket> {
    let server = NatsServer::start().await;
    let client = server.client().await;
    let context = jetstream::new(client.clone());
    let config = kv::Config {
        bucket: BUCKET.to_owned(),
        history: 1,
        ..kv::Config::default()
    };
    context
        .create_key_value(config)
        .await
        .context("cannot create the bucket")?;
    eprintln!("filling a bucket with {keys} keys of {length} bytes");
    write(
        &context,
        (0..keys).map(|index| (key(index), Some(value_of(index, length)))),
    )
    .await?;
    let mut stream = context.get_stream(format!("KV_{BUCKET}")).await?;
    let held = stream.info().await?.state.messages;
    ensure!(held == keys, "the bucket holds {held} messages instead of {keys}");
    Ok(Bucket { server, keys })
}

/// Puts `count` keys from the `first`th on.
pub(crate) async fn put(context: &jetstream::Context, first: u64, count: u64) -> Result<()> {
    let puts = (first..first + count).map(|index| (key(index), Some(value(index))));
    write(context, puts).await
}

/// Puts keys, or deletes them, many in flight at a time.
pub(crate) async fn write(
    context: &jetstream::Context,
    writes: impl Iterator<Item = (String, Option<Bytes>)>,
) -> Result<()> {
    let mut acknowledgements = FuturesUnordered::new();
    for (key, value) in writes {
        let subject = format!("$KV.{BUCKET}.{key}");
        let sent = if let Some(value) = value {
            context.publish(subject, value).await?
        } else {
            let mut headers = HeaderMap::new();
            headers.insert("KV-Operation", "DEL");
            context
                .publish_with_headers(subject, headers, Bytes::new())
                .await?
        };
        acknowledgements.push(sent.into_future());
        if acknowledgements.len() >= 2_048 {
            acknowledgements.next().await.transpose()?;
        }
    }
    while let Some(acknowledgement) = acknowledgements.next().await {
        acknowledgement?;
    }
    Ok(())
}

/// The `index`th key. Neighbours in time are no neighbours in order, as with keys that people choose.
pub(crate) fn key(index: u64) -> String {
    format!("key.{:016x}", scramble(index))
}

/// The `index`th value: bytes that no compression shrinks.
pub(crate) fn value(index: u64) -> Bytes {
    value_of(index, VALUE)
}

/// The same, of so many bytes.
pub(crate) fn value_of(index: u64, length: usize) -> Bytes {
    let mut bytes = Vec::with_capacity(length);
    let mut word = scramble(index ^ 0x5851_f42d_4c95_7f2d);
    while bytes.len() < length {
        word = scramble(word);
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    bytes.truncate(length);
    bytes.into()
}

/// The finalizer of `SplitMix64` (Steele, Lea, Flood 2014): a bijection that looks random.
pub(crate) fn scramble(index: u64) -> u64 {
    let mut word = index.wrapping_add(0x9e37_79b9_7f4a_7c15);
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}
