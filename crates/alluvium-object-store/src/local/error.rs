//! What can go wrong in a directory, before it is known which key that is for.

use std::io;
use std::path::{Path as FsPath, PathBuf};

use object_store::Error;
use object_store::path::Path;

/// The name that errors and the store itself go by.
pub(super) const NAME: &str = "LocalStore";

/// Why something was not done.
#[derive(Debug)]
pub(super) enum Failure {
    /// There is no such object.
    Missing,
    /// There is one already.
    Exists,
    /// It is of another version than the caller asked for.
    OtherVersion(String),
    /// The operating system refused.
    Io(Refusal),
    /// With the error that the caller gets.
    Known(Error),
}

/// What the operating system refused.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {}", path.display())]
pub(super) struct Refusal {
    doing: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// Names what was being done to a file or directory.
pub(super) fn refused(doing: &'static str, path: &FsPath) -> impl FnOnce(io::Error) -> Failure {
    move |source| {
        Failure::Io(Refusal {
            doing,
            path: path.into(),
            source,
        })
    }
}

impl Failure {
    /// The error that the caller gets, who asked for this key.
    pub(super) fn at(self, location: &Path) -> Error {
        let path = location.to_string();
        match self {
            Self::Missing => Error::NotFound {
                path,
                source: "there is no such file".into(),
            },
            Self::Exists => Error::AlreadyExists {
                path,
                source: "there is such a file".into(),
            },
            Self::OtherVersion(what) => Error::Precondition {
                path,
                source: what.into(),
            },
            Self::Io(refusal) if refusal.source.kind() == io::ErrorKind::PermissionDenied => {
                Error::PermissionDenied {
                    path,
                    source: refusal.into(),
                }
            }
            Self::Io(refusal) => Error::Generic {
                store: NAME,
                source: refusal.into(),
            },
            Self::Known(error) => error,
        }
    }

    /// The same, saying that it is this object that is missing, if one is.
    pub(super) fn missing(self, location: &Path) -> Self {
        match self {
            Self::Missing => Self::Known(self.at(location)),
            other => other,
        }
    }
}
