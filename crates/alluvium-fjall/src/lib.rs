//! The fjall engine: tables and partials on a log-structured merge tree, in pure Rust.
//!
//! [`FjallEngine`] implements [`alluvium_engine::Engine`]. It keeps fjall's promises where fjall has them, and adds
//! what the contract asks for and fjall 3.1 has not:
//!
//! | asked for | fjall 3.1 | here |
//! |---|---|---|
//! | a snapshot never sees a part of a batch | it can, while a table is being written out | the `snapshot` module |
//! | damage is named, nothing is lost silently | damage in a journal ends it; what is missing is taken for removed | the `journal` and `damage` modules |
//! | journals stay bounded while a space idles | an idle space holds all journals since its last write | the `writer` module |
//! | an ingest leaves a whole space or none | a keyspace is there before it is filled | the `catalog` module |
//! | a close ends | a drop waits for workers and for handles | the `snapshot` and `engine` modules |
//!
//! # What cannot be detected
//!
//! - A newest journal that was cut off exactly between two commits, or is missing altogether within the first
//!   MiB written to it, unless a table holds any of the commits that are gone.
//! - Under [`Durability::Buffered`](alluvium_core::Durability::Buffered), damage that looks as a loss of power does:
//!   sectors of zeros in commits that were never synced. The commits from there on are cut off, with a warning.
//! - Damage to a block of a table shows when the block is read, not before.

mod catalog;
mod damage;
mod engine;
mod error;
mod ingest;
mod journal;
mod options;
mod snapshot;
mod writer;

pub use engine::FjallEngine;
pub use options::{Compression, FjallOptions, SpaceOptions};
