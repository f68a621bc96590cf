//! The RocksDB engine: tables and partials on a log-structured merge tree, in C++.
//!
//! [`RocksDbEngine`] implements [`alluvium_engine::Engine`]. What RocksDB promises it keeps; what the contract asks for
//! beyond that is in these modules:
//!
//! | asked for | RocksDB 11.8 | here |
//! |---|---|---|
//! | damage is named, nothing is lost silently | what cannot be read in a journal's last block is taken for a torn end | the `journal` and `check` modules |
//! | a file cut off or missing is named | a manifest or journal that is shorter is as good as any | the `inventory` module |
//! | no commit without an earlier one | tables of one column family can be ahead of another's | all are written out together |
//! | a dropped space can be made again while it is read | a name belongs to one column family | the `spaces` module |
//! | an ingest leaves a whole space or none | a column family is there before it is filled | the `ingest` module |
//! | a close lets go at once | an iterator keeps the database open | the `handles` and `snapshot` modules |
//!
//! A space is a column family: dropping it frees its disk space at once, without a compaction, and snapshots taken
//! before go on reading it. Making and dropping one costs a few fsyncs, and each takes some hundred KiB of memory once it
//! is written to.
//!
//! RocksDB's own messages go to `tracing` under the target `rocksdb`; it writes no log file.
//!
//! # What cannot be detected
//!
//! After a close, nothing that is missing or cut off goes unnoticed, but that the inventory itself is gone. After a
//! kill:
//!
//! - a newest journal that was cut off, as if a write had been cut short there, or is missing while an older one is there;
//! - a manifest that was cut off behind the last change that the tables and journals on disk show.
//!
//! Always: damage to a block of a table shows when the block is read, not before.
//!
//! Under [`Durability::Buffered`](alluvium_core::Durability::Buffered) a loss of power may leave pages of a journal that
//! were never written between others that were. Such a directory cannot be told from a damaged one, and is refused.

mod check;
mod engine;
mod error;
mod files;
mod handles;
mod ingest;
mod inventory;
mod journal;
mod options;
mod snapshot;
mod spaces;

pub use engine::RocksDbEngine;
pub use options::{Compression, RocksDbOptions};
