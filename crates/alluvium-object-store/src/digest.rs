//! SHA-256, taken where it keeps no task waiting.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use alluvium_core::{BoxError, Digest, Vnode};
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::task::spawn_blocking;

/// Up to this many bytes take less time than to hand them to another thread: a processor takes 1.4 GB/s.
const INLINE: usize = 32 << 10;
/// From this many bytes on a second thread is worth it.
const PARALLEL_FROM: usize = 2 << 20;
/// Threads beyond which the network is what everybody waits for.
const MOST_THREADS: usize = 4;

/// The digest of a few bytes, taken here.
pub(crate) fn of(bytes: &[u8]) -> Digest {
    Digest::from_bytes(Sha256::digest(bytes).into())
}

/// The digest of one content.
pub(crate) async fn of_one(bytes: &Bytes) -> Digest {
    let one = Arc::from([bytes.clone()]);
    match of_all(one).await.first() {
        Some(digest) => *digest,
        None => of(bytes),
    }
}

/// The digests of these partials, in their order.
pub(crate) async fn of_each(partials: &[(Vnode, Bytes)]) -> Vec<Digest> {
    of_all(partials.iter().map(|(_, bytes)| bytes.clone()).collect()).await
}

async fn of_all(all: Arc<[Bytes]>) -> Vec<Digest> {
    let total: usize = all.iter().map(Bytes::len).sum();
    if total <= INLINE {
        return all.iter().map(|bytes| of(bytes)).collect();
    }
    let threads = if total >= PARALLEL_FROM {
        let processors = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        processors.min(MOST_THREADS).min(all.len())
    } else {
        1
    };
    // Whoever is free takes the next one: their sizes may differ.
    let next = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = (0..threads)
        .map(|_| {
            let (all, next) = (Arc::clone(&all), Arc::clone(&next));
            spawn_blocking(move || {
                let mut taken = Vec::new();
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(bytes) = all.get(place) else { return taken };
                    taken.push((place, of(bytes)));
                }
            })
        })
        .collect();
    let mut digests = vec![None; all.len()];
    for thread in threads {
        // A runtime that shuts down starts no more work; then what is missing is taken here.
        for (place, digest) in thread.await.unwrap_or_default() {
            digests[place] = Some(digest);
        }
    }
    let digests = digests.into_iter().zip(all.iter());
    digests
        .map(|(digest, bytes)| digest.unwrap_or_else(|| of(bytes)))
        .collect()
}

/// What a content is known by, taken piece by piece while it is written.
pub(crate) trait Mark: Default + Send {
    /// What it comes to.
    type Taken: Copy + Eq + Send;

    /// Takes in what comes next. Gives itself back.
    ///
    /// # Errors
    ///
    /// Of a runtime that shuts down.
    fn update(self, pieces: Vec<Bytes>) -> impl Future<Output = Result<Self, BoxError>> + Send;

    fn finish(self) -> Self::Taken;
}

/// Nothing: the content has a name that nobody else gives, and is there as a whole or not at all.
#[derive(Debug, Default)]
pub(crate) struct Unmarked;

impl Mark for Unmarked {
    type Taken = ();

    async fn update(self, _: Vec<Bytes>) -> Result<Self, BoxError> {
        Ok(self)
    }

    fn finish(self) {}
}

/// Its digest.
#[derive(Debug, Default)]
pub(crate) struct Hasher(Sha256);

impl Mark for Hasher {
    type Taken = Digest;

    async fn update(mut self, pieces: Vec<Bytes>) -> Result<Self, BoxError> {
        let length: usize = pieces.iter().map(Bytes::len).sum();
        let take = move || {
            for piece in &pieces {
                self.0.update(piece);
            }
            self
        };
        if length <= INLINE {
            Ok(take())
        } else {
            Ok(spawn_blocking(take).await?)
        }
    }

    fn finish(self) -> Digest {
        Digest::from_bytes(self.0.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-4's example.
    #[test]
    fn a_digest_is_the_sha_256() {
        assert_eq!(
            of(b"abc").to_string(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[tokio::test]
    async fn digests_taken_on_other_threads_are_those_of_their_partials() {
        let sizes = [0, 1, PARALLEL_FROM, 3, PARALLEL_FROM / 2, 100_000, 7];
        let partials: Vec<_> = (0..)
            .zip(sizes)
            .map(|(number, size)| (Vnode::new(number), Bytes::from(vec![7; size])))
            .collect();
        let one_by_one: Vec<_> = partials.iter().map(|(_, bytes)| of(bytes)).collect();
        assert_eq!(of_each(&partials).await, one_by_one);
        assert_eq!(of_each(&partials[..2]).await, one_by_one[..2]);
        for (_, bytes) in &partials {
            assert_eq!(of_one(bytes).await, of(bytes));
        }
    }
}
