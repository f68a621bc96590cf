//! Why a replica did not start, or stopped.

use std::sync::Arc;

use crate::BootstrapError;
use alluvium_core::{BoxError, ErrorKind, LogError, RefuseReason, Sequence, TableError};

/// Why a replica did not start, or stopped. Cheap to clone: everyone who waits for the replica gets the same one.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplicaError {
    /// The log failed in a way that trying again does not mend.
    #[error("the replica cannot read its log")]
    Log(#[source] Arc<LogError>),
    /// The table failed.
    #[error("the replica cannot use its table")]
    Table(#[source] Arc<TableError>),
    /// The artifact that it was to begin with is of something else: of another log, or without some of its keys. Or it cannot be
    /// had, and the table is an archive that cannot do without.
    #[error("the replica cannot use its artifact")]
    Bootstrap(#[source] Arc<BootstrapError>),
    /// There is no correct way from this table to that log.
    #[error("{0}")]
    Refused(RefuseReason),
    /// The hook returned an error. The changes it was given are not applied; a restart gives them to it again.
    #[error("the hook failed on the changes from {first} to {last}; they are not applied")]
    Hook {
        /// The first change of the batch.
        first: Sequence,
        /// The last change of the batch.
        last: Sequence,
        /// What the hook returned.
        source: Arc<BoxError>,
    },
    /// The hook panicked. The changes it was given are not applied; a restart gives them to it again.
    #[error("the hook panicked on the changes from {first} to {last}: {message}; they are not applied")]
    HookPanicked {
        /// The first change of the batch.
        first: Sequence,
        /// The last change of the batch.
        last: Sequence,
        /// What it panicked with.
        message: String,
    },
    /// The operating system gave the replica no thread.
    #[error("cannot start the applying thread")]
    Thread(#[source] Arc<std::io::Error>),
    /// What the log lists could not be set aside while it was compared with the table.
    #[error("the replica cannot set aside what its log lists: make room in the system's temporary directory")]
    Scratch(#[source] Arc<std::io::Error>),
    /// The replica was shut down before what was waited for happened.
    #[error("the replica was shut down")]
    ShutDown,
}

impl ReplicaError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Log(error) => error.kind(),
            Self::Table(error) => error.kind(),
            Self::Bootstrap(error) => error.kind(),
            Self::Refused(_) => ErrorKind::Invalid,
            Self::Hook { .. }
            | Self::HookPanicked { .. }
            | Self::Thread(_)
            | Self::Scratch(_)
            | Self::ShutDown => ErrorKind::Unavailable,
        }
    }
}

impl From<LogError> for ReplicaError {
    fn from(error: LogError) -> Self {
        Self::Log(Arc::new(error))
    }
}

impl From<TableError> for ReplicaError {
    fn from(error: TableError) -> Self {
        Self::Table(Arc::new(error))
    }
}

impl From<std::io::Error> for ReplicaError {
    fn from(error: std::io::Error) -> Self {
        Self::Scratch(Arc::new(error))
    }
}

/// An error with its sources on one line. Some clients say their source in their own text too; it is said once.
pub(crate) struct Chain<'a>(pub(crate) &'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut said = self.0.to_string();
        let mut source = self.0.source();
        while let Some(error) = source {
            let text = error.to_string();
            if !said.contains(&text) {
                said = format!("{said}: {text}");
            }
            source = error.source();
        }
        f.write_str(&said)
    }
}

/// What a panic says, if it is a text.
pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}
