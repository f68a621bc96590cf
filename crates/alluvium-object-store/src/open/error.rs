//! What can go wrong when a store is opened.

use std::io;
use std::path::PathBuf;

use alluvium_core::{BoxError, ErrorKind};

/// What can go wrong when a store is opened. No message, and no `Debug`, shows the value of an option or what a URL has
/// beside scheme, host and path.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenStoreError {
    /// The URL names no store.
    #[error("{url} names no store: {why}")]
    Url {
        /// As much of the URL as may be shown.
        url: String,
        /// What is wrong with it, and what to write instead.
        why: String,
    },
    /// What the URL asks for was left out when the program was compiled.
    #[error("{scheme}:// is not compiled in: turn on the feature `{feature}`")]
    FeatureOff {
        /// The scheme of the URL.
        scheme: &'static str,
        /// The feature of this crate.
        feature: &'static str,
    },
    /// There is no such option.
    #[error("{store} has no option `{key}`, it has {known}")]
    UnknownOption {
        /// What takes options.
        store: &'static str,
        /// The name that was given.
        key: String,
        /// The names that there are.
        known: String,
    },
    /// An option cannot have the value that it has.
    #[error("`{key}` {why}")]
    Option {
        /// The option, or the environment variable.
        key: String,
        /// What is wrong with it, and what to do instead.
        why: String,
    },
    /// The store cannot be set up with these options.
    #[error("cannot set up {store} with the options and the environment as they are")]
    Settings {
        /// The service.
        store: &'static str,
        /// Why not, with the name of an option instead of its value.
        source: BoxError,
    },
    /// The directory cannot be opened.
    #[error("cannot open {} as an object store", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why not.
        source: object_store::Error,
    },
}

impl OpenStoreError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Url { .. }
            | Self::FeatureOff { .. }
            | Self::UnknownOption { .. }
            | Self::Option { .. }
            | Self::Settings { .. } => ErrorKind::Invalid,
            Self::Directory { source, .. } => match source {
                object_store::Error::NotSupported { .. } => ErrorKind::Invalid,
                object_store::Error::Generic { source, .. } if is_no_directory(source.as_ref()) => {
                    ErrorKind::Invalid
                }
                _ => ErrorKind::Unavailable,
            },
        }
    }
}

/// Whether there is a file where there was to be a directory.
fn is_no_directory(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source())
        .filter_map(|error| error.downcast_ref::<io::Error>())
        .any(|error| error.kind() == io::ErrorKind::NotADirectory)
}
