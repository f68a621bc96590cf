//! How a [`MemoryEngine`](crate::MemoryEngine) with a journal on disk behaves.

use alluvium_core::Durability;

/// How a [`MemoryEngine`](crate::MemoryEngine) with a journal on disk behaves.
///
/// ```
/// use alluvium_core::Durability;
/// use alluvium_memory::MemoryOptions;
///
/// let options = MemoryOptions::default()
///     .durability(Durability::Fsync)
///     .min_compaction_bytes(16 << 20);
/// assert_eq!(options.durability, Durability::Fsync);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryOptions {
    /// What a returned commit has survived. [`Durability::Buffered`] by default.
    pub durability: Durability,
    /// How many bytes the files take at least before they are compacted. 64 MiB by default.
    pub min_compaction_bytes: u64,
    /// How many times the bytes of the live pairs the files take before they are compacted. 2 by default.
    pub compaction_factor: u32,
}

impl MemoryOptions {
    /// Below this many bytes what is fixed in the files outweighs what could be saved.
    const LEAST_BYTES: u64 = 4 << 10;

    /// The same options with this durability.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// The same options, compacting files from this many bytes on, but not below 4 KiB.
    #[must_use]
    pub fn min_compaction_bytes(mut self, bytes: u64) -> Self {
        self.min_compaction_bytes = bytes;
        self
    }

    /// The same options, compacting files that take this many times the bytes of the live pairs, but at least twice:
    /// less would compact without end.
    #[must_use]
    pub fn compaction_factor(mut self, factor: u32) -> Self {
        self.compaction_factor = factor;
        self
    }

    /// From how many bytes on disk a compaction of this many live bytes is worth its while.
    pub(crate) fn compaction_due_at(&self, live: u64) -> u64 {
        live.saturating_mul(self.compaction_factor.max(2).into())
            .max(self.min_compaction_bytes)
            .max(Self::LEAST_BYTES)
    }
}

impl Default for MemoryOptions {
    fn default() -> Self {
        Self {
            durability: Durability::default(),
            min_compaction_bytes: 64 << 20,
            compaction_factor: 2,
        }
    }
}
