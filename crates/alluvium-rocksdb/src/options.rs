//! How a RocksDB engine is set up.
//!
//! All options are those of the process: they hold from one open to the next, and RocksDB reads what it wrote under
//! others. A table keeps the compression and the filter that it was written with until a compaction writes it anew.

use std::panic::{AssertUnwindSafe, catch_unwind};

use alluvium_core::Durability;
use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, DBCompressionType, DBRecoveryMode, DataBlockIndexType,
    InfoLogger, LogLevel, Options, WriteOptions,
};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
/// RocksDB's default number of levels.
const LEVELS: usize = 7;
/// zstd's fastest: what comes to rest is compressed by the same processors that fill the state.
const ZSTD_LEVEL: i32 = 1;
/// RocksDB's own default, which its interface makes one give again: a window that zstd chooses.
const WINDOW_BITS: i32 = -14;

/// How tables are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all: the fastest, and right for values that are compressed or encrypted already.
    None,
    /// LZ4 below the first level.
    Lz4,
    /// LZ4 below the first level, and zstd at the bottom, where most of a large state lies. What is ingested lies
    /// there at once.
    #[default]
    Lz4Zstd,
}

/// How a [`RocksDbEngine`](crate::RocksDbEngine) is set up. The defaults are for a process that stays below 256 MiB
/// while it writes at full speed.
///
/// ```
/// use alluvium_core::Durability;
/// use alluvium_rocksdb::RocksDbOptions;
///
/// let options = RocksDbOptions::default().durability(Durability::Fsync).cache_bytes(64 << 20);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RocksDbOptions {
    pub(crate) durability: Durability,
    pub(crate) cache_bytes: u64,
    pub(crate) write_buffer_bytes: u64,
    pub(crate) background_jobs: u8,
    pub(crate) compression: Compression,
}

impl Default for RocksDbOptions {
    fn default() -> Self {
        Self {
            durability: Durability::Buffered,
            cache_bytes: 32 * MIB,
            write_buffer_bytes: 64 * MIB,
            background_jobs: 2,
            compression: Compression::default(),
        }
    }
}

impl RocksDbOptions {
    /// What a returned commit has survived. Default: [`Durability::Buffered`].
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Bytes of tables kept in memory for reads, over all spaces: blocks, and the parts of filters and indexes that
    /// are in use. Default: 32 MiB.
    #[must_use]
    pub fn cache_bytes(mut self, bytes: u64) -> Self {
        self.cache_bytes = bytes;
        self
    }

    /// Bytes of new writes that all spaces together hold in memory before they are written out as tables. Half of it
    /// is enough if one space alone holds it. Writers wait when what is being written out comes to as much again.
    /// Journals outgrow it by no more than twice. At least 256 KiB. Default: 64 MiB.
    #[must_use]
    pub fn write_buffer_bytes(mut self, bytes: u64) -> Self {
        self.write_buffer_bytes = bytes.max(256 * KIB);
        self
    }

    /// Threads that write out and compact tables, at least 1. RocksDB shares them between all its databases in a
    /// process. Default: 2, one for each.
    #[must_use]
    pub fn background_jobs(mut self, jobs: u8) -> Self {
        self.background_jobs = jobs.max(1);
        self
    }

    /// How the tables written from now on are compressed. Default: [`Compression::Lz4Zstd`].
    #[must_use]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// The same for RocksDB: for the database and each of its column families, and for commits.
    pub(crate) fn into_rocksdb(self) -> (Options, WriteOptions) {
        let mut options = Options::default();
        self.set_safety(&mut options);
        self.set_memory(&mut options);
        self.set_tables(&mut options);
        options.set_info_logger(InfoLogger::new_callback_logger(LogLevel::Warn, log));
        let mut commits = WriteOptions::default();
        commits.set_sync(self.durability == Durability::Fsync);
        (options, commits)
    }

    fn set_safety(&self, options: &mut Options) {
        options.create_if_missing(false);
        options.set_paranoid_checks(true);
        // Where a commit is unreadable, those behind it must not be read either. That nothing but the torn end of the
        // newest journal is unreadable has been made sure of before: see `check`.
        options.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
        options.set_track_and_verify_wals_in_manifest(true);
        // All spaces are written out together, so that no table is ahead of another, nor of the journals, and an idle
        // space does not hold on to journals.
        options.set_atomic_flush(true);
        options.set_max_total_wal_size(2 * self.write_buffer_bytes);
        // 4 MiB by default, for what is a few hundred bytes in most directories.
        options.set_manifest_preallocation_size(size(64 * KIB));
        options.set_stats_dump_period_sec(0);
        options.set_stats_persist_period_sec(0);
    }

    fn set_memory(&self, options: &mut Options) {
        let of_a_space = size(self.write_buffer_bytes / 2);
        options.set_db_write_buffer_size(size(self.write_buffer_bytes));
        options.set_write_buffer_size(of_a_space);
        options.set_max_write_buffer_number(3);
        // Commits come sorted and mostly from one thread: a plain insert begins where the last one ended.
        options.set_allow_concurrent_memtable_write(false);
        options.set_max_background_jobs(self.background_jobs.into());
        // Tables that are open take little, for filters and indexes lie in the cache.
        options.set_max_open_files(512);
        options.set_target_file_size_base(of_a_space as u64);
        options.set_max_bytes_for_level_base(4 * of_a_space as u64);
        // Written out as it comes, so that the fsync at the end of a table does not hold up that of a commit.
        options.set_bytes_per_sync(MIB);
    }

    fn set_tables(&self, options: &mut Options) {
        let mut tables = BlockBasedOptions::default();
        tables.set_block_cache(&Cache::new_lru_cache(size(self.cache_bytes)));
        tables.set_bloom_filter(10.0, false);
        tables.set_data_block_index_type(DataBlockIndexType::BinaryAndHash);
        // Filters and indexes go through the cache in parts, so that memory does not grow with the state, and a look-up
        // in a large one does not read a megabyte of filter.
        tables.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
        tables.set_partition_filters(true);
        tables.set_cache_index_and_filter_blocks(true);
        tables.set_cache_index_and_filter_blocks_with_high_priority(true);
        tables.set_pin_top_level_index_and_filter(true);
        tables.set_pin_l0_filter_and_index_blocks_in_cache(true);
        options.set_block_based_table_factory(&tables);

        match self.compression {
            Compression::None => options.set_compression_type(DBCompressionType::None),
            Compression::Lz4 | Compression::Lz4Zstd => {
                // What has just been written out is compacted soon, and is not worth the work.
                let mut levels = [DBCompressionType::Lz4; LEVELS];
                levels[0] = DBCompressionType::None;
                options.set_compression_per_level(&levels);
            }
        }
        if self.compression == Compression::Lz4Zstd {
            options.set_bottommost_compression_type(DBCompressionType::Zstd);
            options.set_bottommost_compression_options(WINDOW_BITS, ZSTD_LEVEL, 0, 0, true);
        }
    }
}

fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// What RocksDB has to say goes where everything goes, and into no file that grows. Called from C++, which a panic of
/// whoever writes it down must not reach.
fn log(level: LogLevel, message: &str) {
    let _ = catch_unwind(AssertUnwindSafe(|| match level {
        LogLevel::Error | LogLevel::Fatal => tracing::error!(target: "rocksdb", "{}", message.trim_end()),
        LogLevel::Warn => tracing::warn!(target: "rocksdb", "{}", message.trim_end()),
        _ => tracing::debug!(target: "rocksdb", "{}", message.trim_end()),
    }));
}
