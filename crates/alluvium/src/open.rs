//! Picking an engine by name.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use alluvium_core::Durability;
use alluvium_engine::{Engine, EngineError, StateDir};

/// An engine that keeps its state in a directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EngineKind {
    /// An ordered map in RAM, with a log on disk that is replayed at open. For state that fits in memory.
    Memory,
    /// An LSM tree in pure Rust. For state of any size.
    #[default]
    Fjall,
}

impl EngineKind {
    /// The name as it is written on a command line and recorded in state directories.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Fjall => "fjall",
        }
    }
}

impl fmt::Display for EngineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for EngineKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "memory" => Ok(Self::Memory),
            "fjall" => Ok(Self::Fjall),
            other => Err(format!("{other:?} is not an engine: use `memory` or `fjall`")),
        }
    }
}

/// Opens the state directory of an engine, made if there is nothing yet. May touch the disk for as long as a journal
/// takes to replay: call it off an async runtime's threads if that matters.
///
/// ```
/// use alluvium::{Durability, EngineKind, open_engine};
///
/// let dir = tempfile::tempdir()?;
/// let engine = open_engine(dir.path(), EngineKind::Memory, Durability::Buffered)?;
/// assert_eq!(engine.name(), "memory");
/// // The directory remembers, and nobody else can have it open meanwhile.
/// assert!(open_engine(dir.path(), EngineKind::Fjall, Durability::Buffered).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`EngineError::StateDir`] for a directory that is in use, of another engine, of another format or not a state
/// directory; [`EngineError::Invalid`] naming the feature for an engine that was not compiled in; storage errors.
pub fn open_engine(
    path: &Path,
    kind: EngineKind,
    durability: Durability,
) -> Result<Arc<dyn Engine>, EngineError> {
    match kind {
        #[cfg(feature = "memory")]
        EngineKind::Memory => {
            let options = alluvium_memory::MemoryOptions::default().durability(durability);
            Ok(Arc::new(alluvium_memory::MemoryEngine::open(path, options)?))
        }
        #[cfg(feature = "fjall")]
        EngineKind::Fjall => {
            let options = alluvium_fjall::FjallOptions::default().durability(durability);
            Ok(Arc::new(alluvium_fjall::FjallEngine::open(path, options)?))
        }
        #[allow(unreachable_patterns, reason = "reachable when a feature is off")]
        other => Err(not_compiled_in(other, path, durability)),
    }
}

/// Opens a state directory that exists already, with the engine that it was made for.
///
/// # Errors
///
/// As [`open_engine`], and [`StateDirError::Missing`](alluvium_engine::StateDirError::Missing) if there is nothing.
pub fn open_existing_engine(path: &Path, durability: Durability) -> Result<Arc<dyn Engine>, EngineError> {
    let stored = StateDir::stored_engine(path)?;
    let kind = stored.parse().map_err(|_| {
        EngineError::Invalid(format!(
            "{} belongs to the engine {stored}, which this Alluvium does not know: use the one that made it",
            path.display()
        ))
    })?;
    open_engine(path, kind, durability)
}

fn not_compiled_in(kind: EngineKind, _path: &Path, _durability: Durability) -> EngineError {
    EngineError::Invalid(format!(
        "the engine {kind} was not compiled in: turn on the feature `{kind}` of `alluvium`"
    ))
}
