//! SHA-256, of many partials at a time.

use std::num::NonZeroUsize;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use alluvium_core::{Digest, Vnode};
use bytes::Bytes;
use sha2::{Digest as _, Sha256};

/// Below this many bytes another thread costs more than it saves: a processor takes 1.4 GB/s.
const PARALLEL_FROM: usize = 2 << 20;
/// Threads beyond which the storage is what everybody waits for.
const MOST_THREADS: usize = 4;

/// The digest of these bytes.
pub(super) fn of(bytes: &[u8]) -> Digest {
    Digest::from_bytes(Sha256::digest(bytes).into())
}

/// The digests of these partials, in their order.
pub(super) fn of_each(partials: &[(Vnode, Bytes)]) -> Vec<Digest> {
    of_each_beside(partials, || ()).0
}

/// The digests of these partials, in their order, taken while something else is done.
pub(super) fn of_each_beside<T>(partials: &[(Vnode, Bytes)], beside: impl FnOnce() -> T) -> (Vec<Digest>, T) {
    let threads = if are_large(partials) {
        let processors = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        processors.min(MOST_THREADS).min(partials.len())
    } else {
        1
    };
    let digests: Vec<OnceLock<Digest>> = partials.iter().map(|_| OnceLock::new()).collect();
    let next = AtomicUsize::new(0);
    let take_turns = || {
        while let Some((digest, (_, bytes))) = {
            let turn = next.fetch_add(1, Ordering::Relaxed);
            digests.get(turn).zip(partials.get(turn))
        } {
            digest.get_or_init(|| of(bytes));
        }
    };
    let done = thread::scope(|scope| {
        for _ in 1..threads {
            // Without another thread, this one does it all.
            let _ = thread::Builder::new().spawn_scoped(scope, take_turns);
        }
        let done = beside();
        take_turns();
        done
    });
    let digests = digests.into_iter().zip(partials);
    let digests = digests
        .map(|(digest, (_, bytes))| digest.into_inner().unwrap_or_else(|| of(bytes)))
        .collect();
    (digests, done)
}

/// Whether it takes long enough to take the digests of these partials that it is worth another thread.
pub(super) fn are_large(partials: &[(Vnode, Bytes)]) -> bool {
    partials.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() >= PARALLEL_FROM
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

    #[test]
    fn digests_taken_in_parallel_are_those_of_their_partials() {
        // Different sizes, so different digests.
        let sizes = [0, 1, PARALLEL_FROM, 3, PARALLEL_FROM / 2, 100_000, 7];
        let partials: Vec<_> = (0..)
            .zip(sizes)
            .map(|(number, size)| (Vnode::new(number), Bytes::from(vec![7; size])))
            .collect();
        let one_by_one: Vec<_> = partials.iter().map(|(_, bytes)| of(bytes)).collect();
        assert_eq!(of_each(&partials), one_by_one);
        assert_eq!(of_each_beside(&partials, || 7), (one_by_one.clone(), 7));
        assert_eq!(of_each(&partials[..2]), one_by_one[..2]);
    }
}
