//! The memory engine: an ordered map in RAM, with an optional journal on disk.
//!
//! Everything is in RAM: a look-up takes no lock and touches no disk, and a snapshot costs nothing, because all
//! versions of the map share the rows that they have in common. [`MemoryEngine::in_memory`] is that alone.
//! [`MemoryEngine::open`] keeps a journal too: every commit is appended to a file before anybody can see it, the files
//! are read at the next open, and compacted in the background. A kill at any instant takes nothing that a commit had
//! returned for; what is damaged is named and left as it is.
//!
//! Choose it for state that fits in RAM: about 150 bytes a row beside key and value. Compaction needs no second copy,
//! but while a snapshot is held, rows replaced since are kept too. For anything larger there are the engines on disk.
//!
//! [`MemoryLog`] is a log in memory, for tests and examples of what reads logs; it has nothing to do with the engine.
//!
//! Map of the crate: `state` holds the map and `row` what is in it; `snapshot` reads it; `engine` orders the writers;
//! `journal` is the disk, its layout and formats in the module docs; `compaction` keeps the journal short.
//! [`MemoryLeaseStore`] and [`MemoryCursorStore`] have nothing to do with any of it.

mod compaction;
mod cursor_store;
mod engine;
mod error;
mod journal;
mod lease;
mod log;
mod options;
mod row;
mod snapshot;
mod state;
#[cfg(test)]
mod testing;

pub use cursor_store::MemoryCursorStore;
pub use engine::MemoryEngine;
pub use lease::MemoryLeaseStore;
pub use log::MemoryLog;
pub use options::MemoryOptions;
