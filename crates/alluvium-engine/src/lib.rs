//! The [`Engine`] trait, and what Alluvium builds on any engine: one [`EngineTable`], one [`EngineBackend`].
//!
//! A storage crate implements [`Engine`], a handful of synchronous methods over named spaces, and gets tables and
//! partials for free; it holds no protocol of its own. [`StateDir`] is the directory that an engine on disk lives in: it records
//! which engine that is and keeps a second process out. Cursors are kept in files ([`FileCursorStore`]), or with the rows of a
//! table ([`TableCursorStore`]).

mod backend;
mod cursor_store;
mod engine;
mod state_dir;
mod table;

pub use backend::EngineBackend;
pub use cursor_store::{FileCursorStore, TableCursorStore};
pub use engine::{
    Engine, EngineError, EngineSnapshot, EngineStats, Pair, PairIter, PairSource, Space, Write, WriteBatch,
    check_space_name,
};
pub use state_dir::{StateDir, StateDirError};
pub use table::EngineTable;
