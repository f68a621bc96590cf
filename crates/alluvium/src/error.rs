//! Why state could not be opened.

use std::path::PathBuf;

use alluvium_core::{BackendError, BoxError, ErrorKind};
use alluvium_engine::{EngineError, StateDirError};

use crate::{StateUrl, StateUrlError};

/// Why state could not be opened. None of them holds a credential.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The text does not say where.
    #[error("cannot tell where the state is")]
    Url(#[from] StateUrlError),
    /// What is needed was not compiled in.
    #[error(
        "{url} needs the feature `{feature}` of the crate `alluvium`, and this program was built without: turn it on"
    )]
    FeatureOff {
        /// Where the state is to be.
        url: StateUrl,
        /// The feature to turn on.
        feature: &'static str,
    },
    /// The directory was made by an engine that this Alluvium has never heard of.
    #[error("{} belongs to the engine {stored}, which this Alluvium does not know: use the one that made it", path.display())]
    UnknownEngine {
        /// The directory.
        path: PathBuf,
        /// The engine that it records.
        stored: String,
    },
    /// State was to exist already, where none can.
    #[error(
        "`memory:` is gone when it is closed, so there is never anything in it to open: name a directory, as in `memory:DIR`"
    )]
    NeverExists,
    /// An engine was asked for, and an object store has none.
    #[error(
        "`{scheme}:` keeps objects and no tables: use `fjall:DIR`, `rocksdb:DIR` or `memory:DIR` for those"
    )]
    NoEngine {
        /// The store's scheme.
        scheme: &'static str,
    },
    /// Checkpoints were asked for, where there are none.
    #[error(
        "{url} keeps no checkpoints: they are in `file:///DIR`, `s3://BUCKET/PREFIX`, `az://CONTAINER/PREFIX` or `gs://BUCKET/PREFIX`"
    )]
    NoCheckpoints {
        /// What was named instead.
        url: StateUrl,
    },
    /// Artifacts were asked for, where there are none.
    #[error(
        "{url} keeps no artifacts: they are in `file:///DIR`, `s3://BUCKET/PREFIX`, `az://CONTAINER/PREFIX` or `gs://BUCKET/PREFIX`"
    )]
    NoArtifacts {
        /// What was named instead.
        url: StateUrl,
    },
    /// The directory was to exist already.
    #[error("there is no directory {}: mend the path", path.display())]
    NoDirectory {
        /// The directory asked for.
        path: PathBuf,
    },
    /// An engine was given an option of object stores.
    #[error("there is no option {name:?} here: only object stores take options")]
    NoSuchOption {
        /// The option's name.
        name: String,
    },
    /// The object store cannot be used as configured.
    #[error("cannot use {url}")]
    Store {
        /// Where the state is to be.
        url: StateUrl,
        /// What the caller should do.
        kind: ErrorKind,
        /// Why not.
        source: BoxError,
    },
    /// The state directory cannot be used: another process, another engine, another format, or not ours.
    #[error(transparent)]
    StateDir(#[from] StateDirError),
    /// The engine does not open.
    #[error(transparent)]
    Engine(EngineError),
    /// The backend does not open.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// There is no runtime of tokio, or it is shutting down.
    #[error("state is opened from within a running tokio runtime: call it from a task")]
    NoRuntime,
}

impl OpenError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Url(_)
            | Self::FeatureOff { .. }
            | Self::UnknownEngine { .. }
            | Self::NoEngine { .. }
            | Self::NoCheckpoints { .. }
            | Self::NoArtifacts { .. }
            | Self::NoSuchOption { .. }
            | Self::NoRuntime => ErrorKind::Invalid,
            Self::NeverExists | Self::NoDirectory { .. } => ErrorKind::NotFound,
            Self::Store { kind, .. } => *kind,
            Self::StateDir(error) => error.kind(),
            Self::Engine(error) => error.kind(),
            Self::Backend(error) => error.kind(),
        }
    }
}

/// A state directory's error is the same whoever finds it.
impl From<EngineError> for OpenError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::StateDir(error) => Self::StateDir(error),
            error => Self::Engine(error),
        }
    }
}
