//! Short ways to say what went wrong. The errors themselves are those of the [`Engine`](alluvium_engine::Engine)
//! trait: this crate has none of its own.

use std::io;
use std::path::Path;

use alluvium_core::BoxError;
use alluvium_engine::EngineError;

/// The operating system refused.
pub(crate) fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> EngineError {
    let path = path.to_path_buf();
    move |source| EngineError::Io { doing, path, source }
}

/// The file holds something that was never written there.
pub(crate) fn corrupt(path: &Path, found: impl Into<BoxError>) -> EngineError {
    EngineError::Corrupt {
        path: path.to_path_buf(),
        source: found.into(),
    }
}
