//! The engines that the end-to-end tests run on. All of them: a build without one fails, and says which feature it lacks.

use std::fmt;
use std::path::Path;

/// An engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKind {
    /// In RAM, with a log on disk.
    Memory,
    /// An LSM tree in pure Rust.
    Fjall,
    /// RocksDB.
    RocksDb,
}

impl EngineKind {
    /// Every engine.
    pub const ALL: [Self; 3] = [Self::Memory, Self::Fjall, Self::RocksDb];

    /// Its name, which is its scheme and its feature too.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Fjall => "fjall",
            Self::RocksDb => "rocksdb",
        }
    }

    /// A state directory of this engine, as it is written.
    pub fn url(self, dir: &Path) -> String {
        format!("{self}:{}", dir.display())
    }
}

impl fmt::Display for EngineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
