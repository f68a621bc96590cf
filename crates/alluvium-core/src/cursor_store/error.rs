//! What can go wrong with a cursor store.

use std::path::PathBuf;

use crate::{Binding, BoxError, ErrorKind, RecordError};

/// What can go wrong with a [`CursorStore`](super::CursorStore).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CursorStoreError {
    /// The call makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// This kind of store cannot do that.
    #[error("the cursor {name:?}: {what}")]
    Unsupported {
        /// Which cursor.
        name: String,
        /// What cannot be done, and what to do instead.
        what: &'static str,
    },
    /// Somebody else holds the name now, or it was removed.
    #[error(
        "the cursor {name:?} was taken over or removed: stop, and hold it again only if nobody else is meant to"
    )]
    Fenced {
        /// Which cursor.
        name: String,
    },
    /// What is stored is no cursor record.
    #[error("{} is damaged: remove the cursor and start it anew, or put back a copy", path.display())]
    Corrupt {
        /// The file, or whatever else holds it.
        path: PathBuf,
        /// What was found.
        source: BoxError,
    },
    /// Written by a newer Alluvium: it is not known what it means, and so it is left alone.
    #[error(
        "{} has version {found}, this Alluvium reads up to {supported}: use the newer Alluvium that wrote it",
        path.display()
    )]
    Newer {
        /// The file, or whatever else holds it.
        path: PathBuf,
        /// The version found.
        found: u16,
        /// The newest version that can be read.
        supported: u16,
    },
    /// The record is the cursor of another log or scope.
    #[error(
        "the cursor is of {} (scope {}), not of {} (scope {}): use another name, or mend the log or scope",
        stored.log, stored.scope, expected.log, expected.scope
    )]
    Mismatch {
        /// What it is the cursor of.
        stored: Box<Binding>,
        /// What it was to be used for.
        expected: Box<Binding>,
    },
    /// The storage failed.
    #[error("cannot {doing} {}", path.display())]
    Storage {
        /// What was being done.
        doing: &'static str,
        /// To which file or whatever else.
        path: PathBuf,
        /// What the caller should do.
        kind: ErrorKind,
        /// Why not.
        source: BoxError,
    },
}

impl CursorStoreError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Invalid(_) | Self::Unsupported { .. } | Self::Newer { .. } | Self::Mismatch { .. } => {
                ErrorKind::Invalid
            }
            Self::Fenced { .. } => ErrorKind::Fenced,
            Self::Corrupt { .. } => ErrorKind::Corrupt,
            Self::Storage { kind, .. } => *kind,
        }
    }

    /// What a record that cannot be read means for whoever finds it there.
    pub fn unreadable(path: impl Into<PathBuf>, error: RecordError) -> Self {
        let path = path.into();
        match error {
            RecordError::Newer { found, supported } => Self::Newer {
                path,
                found,
                supported,
            },
            undecodable @ RecordError::Undecodable(_) => Self::Corrupt {
                path,
                source: undecodable.into(),
            },
        }
    }
}
