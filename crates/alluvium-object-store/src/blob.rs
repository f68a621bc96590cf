//! Contents of any size: written in parts and read by ranges, in bounded memory, their digest taken on the way.
//!
//! What fits into one part is one PUT and one GET. What is longer is a multipart upload, several parts of it at a time, and is
//! read by several ranges at a time. Parts have one size, as some services want it, and all uploads of one [`Blobs`] together
//! hold no more of them than [`BlobOptions::parts_in_flight`].

mod parts;
mod read;
mod upload;

use std::sync::Arc;

use alluvium_core::Digest;
use bytes::Bytes;
use tokio::sync::Semaphore;

use crate::store::Store;

pub(crate) use parts::{Part, Parts};
pub(crate) use upload::UploadError;

/// The most parts that a service takes for one object.
const MOST_PARTS: u64 = 10_000;

/// How contents are cut up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlobOptions {
    /// Bytes of a part; at least 5 MiB for most services.
    pub(crate) part_bytes: u64,
    /// How many parts all uploads together hold in memory, and how many ranges one read asks for at a time.
    pub(crate) parts_in_flight: usize,
}

/// Large contents in a store.
#[derive(Clone, Debug)]
pub(crate) struct Blobs {
    store: Store,
    options: BlobOptions,
    /// One permit for each part that an upload may hold.
    permits: Arc<Semaphore>,
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written<T = Digest> {
    pub(crate) size: u64,
    /// What it is known by.
    pub(crate) mark: T,
}

impl Blobs {
    pub(crate) fn new(store: Store, options: BlobOptions) -> Self {
        let options = BlobOptions {
            part_bytes: options.part_bytes.max(1),
            parts_in_flight: options.parts_in_flight.clamp(1, Semaphore::MAX_PERMITS),
        };
        Self {
            store,
            permits: Arc::new(Semaphore::new(options.parts_in_flight)),
            options,
        }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Whether a content of this size is one part.
    pub(crate) fn is_one_part(&self, size: u64) -> bool {
        size <= self.options.part_bytes
    }

    /// A content that comes piece by piece, cut into parts.
    pub(crate) fn parts<S>(&self, stream: S) -> Parts<S> {
        Parts::new(
            stream,
            usize::try_from(self.options.part_bytes).unwrap_or(usize::MAX),
        )
    }

    /// A content in memory, as a stream of pieces that are no longer than a part.
    pub(crate) fn pieces(&self, mut content: Bytes) -> impl Iterator<Item = Bytes> + Send + use<> {
        let most = usize::try_from(self.options.part_bytes).unwrap_or(usize::MAX);
        std::iter::from_fn(move || {
            let piece = content.split_to(most.min(content.len()));
            (!piece.is_empty()).then_some(piece)
        })
    }
}

#[cfg(test)]
mod tests;
