//! Why a table could not be filled from an artifact, or an artifact not be fetched.

use std::io;
use std::path::{Path, PathBuf};

use alluvium_core::artifact::Unfit;
use alluvium_core::{BoxError, Digest, ErrorKind, LogError, Sequence, TableError, TransportError};

/// Why a table could not be filled from an artifact, or an artifact not be fetched. The table is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BootstrapError {
    /// There is no artifact to start from.
    #[error("there is no artifact of {key}{}: export one, or mend the key", up_to(*at))]
    NoArtifact {
        /// The key.
        key: String,
        /// The sequence that it may be at most at.
        at: Option<Sequence>,
    },
    /// The artifact is of no use to the table.
    #[error("the artifact of {key} does not fit")]
    Unfit {
        /// The key.
        key: String,
        /// Why not.
        source: Unfit,
    },
    /// The artifact cannot be read.
    #[error("cannot fetch the artifact")]
    Transport(#[from] TransportError),
    /// The log cannot be asked what it holds.
    #[error("cannot ask the log whether the artifact fits")]
    Log(#[from] LogError),
    /// The table cannot be filled.
    #[error("cannot fill the table")]
    Table(#[from] TableError),
    /// The directory holds something else.
    #[error("{} holds {found:?}, which is no part of an artifact: use an empty directory", path.display())]
    Occupied {
        /// The directory.
        path: PathBuf,
        /// What is in it.
        found: String,
    },
    /// Somebody else fetches into the directory.
    #[error("{} is in use by another process: stop that one first, or use another directory", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The directory cannot be used. What it holds by now is used by the next call.
    #[error("cannot {doing} {}: mend that, and do it again", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file or directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A segment is not what its manifest tells.
    #[error(
        "the segment {segment} is not what its artifact tells: take another artifact of the history, or export again"
    )]
    Segment {
        /// Its digest.
        segment: Digest,
        /// What was found.
        source: BoxError,
    },
    /// The artifact is not what the table is to be filled from any more.
    #[error("the log or its artifacts changed while the artifact of {key} was fetched: decide again")]
    Outdated {
        /// The key.
        key: String,
    },
    /// It was stopped before it was done.
    #[error("the bootstrap was stopped")]
    Stopped,
}

fn up_to(at: Option<Sequence>) -> String {
    at.map_or_else(String::new, |at| format!(" at or below {at}"))
}

impl BootstrapError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoArtifact { .. } => ErrorKind::NotFound,
            Self::Outdated { .. } => ErrorKind::Transient,
            Self::Unfit { .. } | Self::Occupied { .. } => ErrorKind::Invalid,
            Self::Transport(error) => error.kind(),
            Self::Log(error) => error.kind(),
            Self::Table(error) => error.kind(),
            Self::InUse { .. } | Self::Io { .. } | Self::Stopped => ErrorKind::Unavailable,
            Self::Segment { .. } => ErrorKind::Corrupt,
        }
    }

    /// Whether the artifact is damaged, so that another one may be of use.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Transport(_) | Self::Segment { .. }) && self.kind() == ErrorKind::Corrupt
    }

    /// Whether it may be gone when it is tried again.
    pub(crate) fn may_pass(&self) -> bool {
        // What was stopped a moment ago may still let go of the directory.
        matches!(self.kind(), ErrorKind::Transient | ErrorKind::Fenced) || matches!(self, Self::InUse { .. })
    }

    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            doing,
            path: path.to_owned(),
            source,
        }
    }

    pub(super) fn segment(segment: Digest, found: impl Into<BoxError>) -> Self {
        Self::Segment {
            segment,
            source: found.into(),
        }
    }
}
