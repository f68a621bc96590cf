//! How errors of an engine, and of what is stored in it, are told.

use alluvium_core::{BackendError, BoxError};

use super::layout::{self, RecordError};
use crate::{Engine, EngineError};

/// Tells errors of one engine.
#[derive(Clone, Copy)]
pub(super) struct Report {
    engine: &'static str,
}

impl Report {
    pub(super) fn of(engine: &dyn Engine) -> Self {
        Self {
            engine: engine.name(),
        }
    }

    /// Where something is; nothing in particular is the engine itself.
    pub(super) fn location(self, what: &str) -> String {
        let engine = self.engine;
        if what.is_empty() {
            format!("the {engine} engine")
        } else {
            format!("{what} in the {engine} engine")
        }
    }

    /// The engine failed.
    pub(super) fn failed(self, doing: &'static str, what: &str, error: EngineError) -> BackendError {
        match error {
            EngineError::Corrupt { path, source } => BackendError::Corrupt {
                location: path.display().to_string(),
                source,
            },
            other => BackendError::Storage {
                doing,
                location: self.location(what),
                kind: other.kind(),
                source: other.into(),
            },
        }
    }

    /// A pair of the first space makes no sense, though the engine found its files sound.
    pub(super) fn damaged(self, key: &[u8], error: RecordError) -> BackendError {
        let location = self.location(&key_location(key));
        match error {
            RecordError::Newer { .. } => BackendError::Invalid(format!("{location}: {error}")),
            other => BackendError::Corrupt {
                location,
                source: BoxError::from(other),
            },
        }
    }
}

/// Which key of the first space.
pub(super) fn key_location(key: &[u8]) -> String {
    format!("space {}, key {}", layout::SPACE, key.escape_ascii())
}
