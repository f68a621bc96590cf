//! The bare store: an object in parts, several of them at a time.

use std::time::{Duration, Instant};

use alluvium_object_store::TransportOptions;
use anyhow::{Result, ensure};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::path::Path;
use object_store::{MultipartUpload as _, ObjectStore, ObjectStoreExt as _};

use crate::feed::scramble;

/// An object of some bytes that no compression shrinks.
pub(super) struct BareObject<'a> {
    store: &'a dyn ObjectStore,
    path: Path,
    bytes: u64,
    part: u64,
    in_flight: usize,
    /// What it took to put it.
    pub(super) took: Duration,
}

impl<'a> BareObject<'a> {
    /// Puts one, in parts as ours are.
    pub(super) async fn put(store: &'a dyn ObjectStore, bytes: u64) -> Result<Self> {
        let options = TransportOptions::default();
        let path = Path::from("bare/object");
        let content = content(bytes);
        let began = Instant::now();
        let mut upload = store.put_multipart(&path).await?;
        let parts = content.chunks(usize::try_from(options.part_bytes)?);
        // Their numbers are given in the order of the calls.
        let parts: Vec<_> = parts
            .map(|part| upload.put_part(content.slice_ref(part).into()))
            .collect();
        stream::iter(parts)
            .map(tokio::spawn)
            .buffer_unordered(options.parts_in_flight)
            .map(|part| Ok::<_, anyhow::Error>(part??))
            .try_collect::<Vec<()>>()
            .await?;
        upload.complete().await?;
        Ok(Self {
            store,
            path,
            bytes,
            part: options.part_bytes,
            in_flight: options.parts_in_flight,
            took: began.elapsed(),
        })
    }

    /// Gets it by ranges, and does nothing with it.
    pub(super) async fn get(&self) -> Result<Duration> {
        let began = Instant::now();
        let ranges = (0..self.bytes.div_ceil(self.part))
            .map(|number| number * self.part..self.bytes.min((number + 1) * self.part));
        let got: Vec<Bytes> = stream::iter(ranges)
            .map(|range| self.store.get_range(&self.path, range))
            .buffer_unordered(self.in_flight)
            .try_collect()
            .await?;
        let took = began.elapsed();
        let length: usize = got.iter().map(Bytes::len).sum();
        ensure!(length as u64 == self.bytes, "{length} bytes came");
        Ok(took)
    }

    pub(super) async fn remove(&self) -> Result<()> {
        Ok(self.store.delete(&self.path).await?)
    }
}

fn content(bytes: u64) -> Bytes {
    let length = usize::try_from(bytes).unwrap_or_default();
    let mut content = Vec::with_capacity(length + 8);
    let mut word = scramble(bytes);
    while content.len() < length {
        word = scramble(word);
        content.extend_from_slice(&word.to_le_bytes());
    }
    content.truncate(length);
    content.into()
}
