//! How a fjall engine is set up, and which part of it a directory remembers.
//!
//! Most options are those of the process: they hold from one open to the next. How a space's tables are written is
//! fixed when the space is made; fjall keeps it but does not tell, so the engine records it as [`SpaceOptions`].

use alluvium_core::Durability;
use fjall::config::{
    BlockSizePolicy, BloomConstructionPolicy, CompressionPolicy, FilterPolicy, FilterPolicyEntry,
    PinningPolicy,
};
use fjall::{CompressionType, KeyspaceCreateOptions};
use serde::{Deserialize, Serialize};

const MIB: u64 = 1024 * 1024;

/// How the blocks of a space's tables are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Compression {
    /// Not at all: the fastest, and right for values that are compressed or encrypted already.
    None,
    /// LZ4 for data that has come to rest (the lower levels), nothing above: what is overwritten soon is not worth
    /// the work.
    #[default]
    Lz4,
}

/// How a [`FjallEngine`](crate::FjallEngine) is set up. The defaults are for a process that stays below 256 MiB
/// while it writes at full speed.
///
/// ```
/// use alluvium_core::Durability;
/// use alluvium_fjall::FjallOptions;
///
/// let options = FjallOptions::default().durability(Durability::Fsync).cache_bytes(64 << 20);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FjallOptions {
    pub(crate) durability: Durability,
    pub(crate) cache_bytes: u64,
    pub(crate) memtable_bytes: u64,
    pub(crate) journal_bytes: u64,
    pub(crate) worker_threads: usize,
    pub(crate) compression: Compression,
}

impl Default for FjallOptions {
    fn default() -> Self {
        Self {
            durability: Durability::Buffered,
            cache_bytes: 32 * MIB,
            memtable_bytes: 24 * MIB,
            journal_bytes: 128 * MIB,
            worker_threads: 1,
            compression: Compression::default(),
        }
    }
}

impl FjallOptions {
    /// What a returned commit has survived. Default: [`Durability::Buffered`].
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Bytes of table blocks kept in memory for reads, over all spaces. Default: 32 MiB.
    #[must_use]
    pub fn cache_bytes(mut self, bytes: u64) -> Self {
        self.cache_bytes = bytes;
        self
    }

    /// Bytes that a space takes in memory before they are written out as a table; over all spaces four times as much
    /// is held at most. At least 1 MiB. Default: 24 MiB.
    #[must_use]
    pub fn memtable_bytes(mut self, bytes: u64) -> Self {
        self.memtable_bytes = bytes.max(MIB);
        self
    }

    /// Bytes of journals beyond which all spaces are written out, idle ones too, so that journals can go. Journals
    /// outgrow this for as long as that takes; writers wait when it is by more than 128 MiB. At least 64 MiB, the size that fjall gives a new journal. Default:
    /// 128 MiB.
    #[must_use]
    pub fn journal_bytes(mut self, bytes: u64) -> Self {
        self.journal_bytes = bytes.max(64 * MIB);
        self
    }

    /// Threads that write out and compact tables, at least 1. Default: 1. With more, fjall 3.1 keeps the first one
    /// for writing out and has it turn in circles while the others compact, which takes a whole processor.
    #[must_use]
    pub fn worker_threads(mut self, threads: usize) -> Self {
        self.worker_threads = threads.max(1);
        self
    }

    /// How the tables of spaces made from now on are compressed. Default: [`Compression::Lz4`].
    #[must_use]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// The part that a space keeps for life.
    pub(crate) fn space(&self) -> SpaceOptions {
        SpaceOptions {
            compression: self.compression,
        }
    }
}

/// What a space was made with, and keeps whatever the engine is opened with later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SpaceOptions {
    /// How its tables are compressed.
    pub compression: Compression,
}

impl SpaceOptions {
    /// The same for fjall.
    pub(crate) fn keyspace(self) -> KeyspaceCreateOptions {
        let compression = match self.compression {
            Compression::None => CompressionPolicy::disabled(),
            Compression::Lz4 => {
                CompressionPolicy::new([CompressionType::None, CompressionType::None, CompressionType::Lz4])
            }
        };
        KeyspaceCreateOptions::default()
            // The engine turns memtables over itself: fjall asks a worker to, which may be busy compacting for
            // seconds while the memtable grows on.
            .max_memtable_size(u64::MAX)
            .data_block_compression_policy(compression)
            .data_block_size_policy(BlockSizePolicy::all(4096))
            .filter_policy(FilterPolicy::all(FilterPolicyEntry::Bloom(
                BloomConstructionPolicy::BitsPerKey(10.0),
            )))
            // Filters and indexes go through the cache, so that memory does not grow with the state.
            .filter_block_pinning_policy(PinningPolicy::new([true, false]))
            .index_block_pinning_policy(PinningPolicy::new([true, false]))
    }
}
