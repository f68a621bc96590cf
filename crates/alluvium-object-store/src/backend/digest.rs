//! What tells one partial's bytes from another's: SHA-256.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use alluvium_core::Vnode;
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// A SHA-256. Stored as 32 bytes of binary.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Digest([u8; 32]);

/// Up to this many bytes take less time than to hand them to another thread.
const INLINE: usize = 32 << 10;
/// From this many bytes on a second thread is worth it.
const PARALLEL_FROM: usize = 2 << 20;
/// Threads beyond which the network is what everybody waits for.
const MOST_THREADS: usize = 4;

impl Digest {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The digest of one partial's bytes, taken where it keeps no task waiting.
    pub(super) async fn of_one(bytes: &Bytes) -> Self {
        let one = Arc::from([bytes.clone()]);
        match Self::taken(one).await.first() {
            Some(digest) => *digest,
            None => Self::of(bytes),
        }
    }

    /// The digests of these partials, in their order, taken where it keeps no task waiting.
    pub(super) async fn of_each(partials: &[(Vnode, Bytes)]) -> Vec<Self> {
        Self::taken(partials.iter().map(|(_, bytes)| bytes.clone()).collect()).await
    }

    async fn taken(all: Arc<[Bytes]>) -> Vec<Self> {
        let total: usize = all.iter().map(Bytes::len).sum();
        if total <= INLINE {
            return all.iter().map(|bytes| Self::of(bytes)).collect();
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
                tokio::task::spawn_blocking(move || {
                    let mut taken = Vec::new();
                    loop {
                        let place = next.fetch_add(1, Ordering::Relaxed);
                        let Some(bytes) = all.get(place) else { return taken };
                        taken.push((place, Self::of(bytes)));
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
            .map(|(digest, bytes)| digest.unwrap_or_else(|| Self::of(bytes)))
            .collect()
    }

    pub(super) const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Binary;

        impl serde::de::Visitor<'_> for Binary {
            type Value = Digest;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("32 bytes")
            }

            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Digest, E> {
                let digest = bytes
                    .try_into()
                    .map_err(|_| E::invalid_length(bytes.len(), &self))?;
                Ok(Digest(digest))
            }
        }

        deserializer.deserialize_bytes(Binary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-4's example.
    #[test]
    fn a_digest_is_the_sha_256() {
        assert_eq!(
            Digest::of(b"abc").to_string(),
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
        let one_by_one: Vec<_> = partials.iter().map(|(_, bytes)| Digest::of(bytes)).collect();
        assert_eq!(Digest::of_each(&partials).await, one_by_one);
        assert_eq!(Digest::of_each(&partials[..2]).await, one_by_one[..2]);
        for (_, bytes) in &partials {
            assert_eq!(Digest::of_one(bytes).await, Digest::of(bytes));
        }
    }
}
