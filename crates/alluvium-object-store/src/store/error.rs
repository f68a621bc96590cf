//! What a failed request asks of the caller.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use alluvium_core::{BackendError, BoxError, CheckpointError, ErrorKind, LeaseError, TransportError};
use object_store::Error;

/// A request that has failed, and of which object. Each trait has it as an error of its own.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// What is stored is not as it has to be.
    #[error("{location} is damaged")]
    Corrupt {
        /// The object.
        location: String,
        /// What was found.
        source: BoxError,
    },
    /// The store did not do it, or did not say that it did.
    #[error("cannot {doing} {location}")]
    Refused {
        /// What was being done.
        doing: &'static str,
        /// To which object.
        location: String,
        /// What the caller should do.
        kind: ErrorKind,
        /// What it said.
        source: BoxError,
    },
}

impl StoreError {
    /// What the caller should do.
    #[cfg(test)]
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::Corrupt { .. } => ErrorKind::Corrupt,
            Self::Refused { kind, .. } => *kind,
        }
    }
}

impl From<StoreError> for LeaseError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Corrupt { location, source } => Self::Corrupt { location, source },
            StoreError::Refused {
                doing,
                location,
                kind,
                source,
            } => Self::Storage {
                doing,
                location,
                kind,
                source,
            },
        }
    }
}

impl From<StoreError> for BackendError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Corrupt { location, source } => Self::Corrupt { location, source },
            StoreError::Refused {
                doing,
                location,
                kind,
                source,
            } => Self::Storage {
                doing,
                location,
                kind,
                source,
            },
        }
    }
}

macro_rules! as_storage_error {
    ($($error:ident)*) => {$(
        impl From<StoreError> for $error {
            fn from(error: StoreError) -> Self {
                match error {
                    StoreError::Corrupt { location, source } => Self::Corrupt {
                        path: location,
                        source,
                    },
                    StoreError::Refused {
                        doing,
                        location,
                        kind,
                        source,
                    } => Self::Storage {
                        doing,
                        location,
                        kind,
                        source,
                    },
                }
            }
        }
    )*};
}

as_storage_error!(CheckpointError TransportError);

/// Why a request has failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What is stored is not as it has to be.
    Damaged(BoxError),
    /// The store did not do it, or did not say that it did.
    Refused {
        /// What the caller should do.
        kind: ErrorKind,
        /// What it said: a [`Refusal`].
        source: BoxError,
    },
}

/// What the store said, with what to do about it where that is known.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("there is no such bucket, container or object: make the bucket first, or mend its name")]
    NoBucket(#[source] Error),
    #[error("the store refuses these credentials: check who they are, and what they may do here")]
    Credentials(#[source] Error),
    #[error("the store cannot do that: use one that has conditional puts, or turn them on")]
    CannotDo(#[source] Error),
    #[error("the condition of the write does not hold")]
    Condition(#[source] Error),
    #[error("the store gave no answer within {} s: check that it can be reached", .0.as_secs_f32())]
    NoAnswer(Duration),
    #[error(
        "the store's client gave up waiting for an answer: check that it can be reached, or give it more time"
    )]
    GaveUp(#[source] Error),
    #[error("the store cannot be reached: check its address, and that it runs")]
    NoConnection(#[source] Error),
    #[error(transparent)]
    Other(Error),
}

/// An object is longer than any of its kind.
#[derive(Debug, thiserror::Error)]
#[error("it has {size} bytes, and none of ours has more than {most}")]
pub(super) struct TooLarge {
    pub(super) size: u64,
    pub(super) most: u64,
}

/// An object is another one than was written.
#[derive(Debug, thiserror::Error)]
#[error("it has {size} bytes, and {wanted} were written")]
pub(super) struct OtherSize {
    pub(super) size: u64,
    pub(super) wanted: u64,
}

/// An object ends too soon.
#[derive(Debug, thiserror::Error)]
#[error("it ends after {size} bytes, and {needed} were written")]
pub(super) struct Cut {
    pub(super) size: u64,
    pub(super) needed: u64,
}

impl Failure {
    pub(super) fn of(error: Error) -> Self {
        let (kind, refusal) = match error {
            Error::NotFound { .. } => (ErrorKind::NotFound, Refusal::NoBucket(error)),
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
                (ErrorKind::Unavailable, Refusal::Credentials(error))
            }
            Error::NotSupported { .. } | Error::NotImplemented { .. } => {
                (ErrorKind::Invalid, Refusal::CannotDo(error))
            }
            Error::InvalidPath { .. } | Error::UnknownConfigurationKey { .. } => {
                (ErrorKind::Invalid, Refusal::Other(error))
            }
            Error::AlreadyExists { .. } | Error::Precondition { .. } | Error::NotModified { .. } => {
                (ErrorKind::Transient, Refusal::Condition(error))
            }
            error => match (status(&error), transport(&error)) {
                (Some(404), _) => (ErrorKind::NotFound, Refusal::NoBucket(error)),
                (Some(401 | 403), _) => (ErrorKind::Unavailable, Refusal::Credentials(error)),
                (Some(501), _) => (ErrorKind::Invalid, Refusal::CannotDo(error)),
                (Some(507), _) => (ErrorKind::Unavailable, Refusal::Other(error)),
                (Some(400..=407 | 410..=428 | 430..=499), _) => (ErrorKind::Invalid, Refusal::Other(error)),
                (None, Some(Transport::NoConnection)) => (ErrorKind::Transient, Refusal::NoConnection(error)),
                (None, Some(Transport::TimeOut)) => (ErrorKind::Transient, Refusal::GaveUp(error)),
                _ => (kind_of_io(&error), Refusal::Other(error)),
            },
        };
        let source = refusal.into();
        Self::Refused { kind, source }
    }

    pub(super) fn timed_out(after: Duration) -> Self {
        Self::Refused {
            kind: ErrorKind::Transient,
            source: Refusal::NoAnswer(after).into(),
        }
    }

    /// What was to be done was stopped, here: as when a runtime shuts down.
    pub(crate) fn stopped(source: impl Into<BoxError>) -> Self {
        Self::Refused {
            kind: ErrorKind::Unavailable,
            source: source.into(),
        }
    }

    pub(super) fn damaged(source: impl Into<BoxError>) -> Self {
        Self::Damaged(source.into())
    }

    /// Whether the same request may well succeed a moment later.
    pub(super) fn may_repeat(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                kind: ErrorKind::Transient,
                ..
            }
        ) && !self.is_time_out()
    }

    pub(super) fn is_time_out(&self) -> bool {
        matches!(self.refusal(), Some(Refusal::NoAnswer(_) | Refusal::GaveUp(_)))
    }

    pub(super) fn is_not_found(&self) -> bool {
        self.not_found_path().is_some()
    }

    /// What was not found, if the store said of one object that it was not. Where there is no bucket nothing was looked
    /// for, and nothing is known to be absent.
    pub(super) fn not_found_path(&self) -> Option<&str> {
        match self.refusal() {
            Some(Refusal::NoBucket(error @ Error::NotFound { path, .. })) if !lacks_bucket(error) => {
                Some(path)
            }
            _ => None,
        }
    }

    /// Whether the store has answered that the condition of a put does not hold. It may be wrong about that: a service
    /// answers so, too, when it has already done what was asked for, or was asked for several things at once.
    pub(crate) fn is_condition(&self) -> bool {
        self.is_not_found() || matches!(self.refusal(), Some(Refusal::Condition(_)))
    }

    /// Whether the request may have had its effect all the same.
    pub(crate) fn is_ambiguous(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                kind: ErrorKind::Transient,
                ..
            }
        )
    }

    fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused { source, .. } => source.downcast_ref(),
            Self::Damaged(_) => None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged(source) | Self::Refused { source, .. } => source.fmt(f),
        }
    }
}

/// The status that a service has answered with. Of listings and bulk removals `object_store` has it in the text of a
/// source only, whose type it does not name. What depends on it is no more than the advice that an error gives.
fn status(error: &Error) -> Option<u16> {
    const BEFORE: &str = "status code: ";
    chain(error).find_map(|error| {
        let text = error.to_string();
        let digits = text.split_once(BEFORE)?.1.get(..3)?;
        digits.parse().ok()
    })
}

/// Whether a service says that it is the bucket that is not there: S3 and Google in the one way, Azure in the other. The
/// answer to a HEAD has no body to say it in.
fn lacks_bucket(error: &Error) -> bool {
    const CODES: [&str; 2] = ["<Code>NoSuchBucket</Code>", "<Code>ContainerNotFound</Code>"];
    chain(error).any(|error| {
        let text = error.to_string();
        CODES.iter().any(|code| text.contains(code))
    })
}

/// Why there is no answer at all.
#[cfg_attr(
    not(feature = "cloud"),
    expect(dead_code, reason = "only services are asked over a network")
)]
enum Transport {
    NoConnection,
    TimeOut,
}

#[cfg(feature = "cloud")]
fn transport(error: &Error) -> Option<Transport> {
    use object_store::client::{HttpError, HttpErrorKind};
    match chain(error)
        .find_map(|error| error.downcast_ref::<HttpError>())?
        .kind()
    {
        HttpErrorKind::Connect => Some(Transport::NoConnection),
        HttpErrorKind::Timeout => Some(Transport::TimeOut),
        _ => None,
    }
}

#[cfg(not(feature = "cloud"))]
fn transport(_: &Error) -> Option<Transport> {
    None
}

/// What an operating system's error asks for: a full disk or a missing right will not mend itself.
fn kind_of_io(error: &Error) -> ErrorKind {
    use std::io::ErrorKind as Io;
    let io = chain(error).find_map(|error| error.downcast_ref::<std::io::Error>());
    match io.map(std::io::Error::kind) {
        Some(Io::StorageFull | Io::QuotaExceeded | Io::PermissionDenied | Io::ReadOnlyFilesystem) => {
            ErrorKind::Unavailable
        }
        _ => ErrorKind::Transient,
    }
}

fn chain<'e>(error: &'e (dyn StdError + 'static)) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}
