//! What can go wrong with a publisher.

use alluvium_core::{BoxError, ErrorKind, LogError};

/// What can go wrong with a [`Publisher`](super::Publisher) and its [`Effects`](super::Effects).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublisherError {
    /// The call makes no sense. Nothing was published.
    #[error("{0}")]
    Invalid(String),
    /// The stream cannot be looked at.
    #[error("the stream to publish to cannot be used")]
    Stream(#[from] LogError),
    /// The stream is there, and what is published to it could be stored twice, or not at all.
    #[error("{stream} cannot be published to once: {problem}")]
    Unsuitable {
        /// The stream.
        stream: String,
        /// Why, and the way out.
        problem: &'static str,
    },
    /// Some effects are not known to be stored. They are kept: [flush](super::Effects::flush) again to send them again, or drop
    /// the effects, and publish them when their messages are given again.
    #[error(
        "{missing} of {published} effects are not known to be in {stream}; the first is {id} under {subject}: flush again, \
         or have their messages given again, and do not commit before"
    )]
    Unacknowledged {
        /// The stream.
        stream: String,
        /// How many of them.
        missing: usize,
        /// Of how many.
        published: usize,
        /// The message id of the first.
        id: String,
        /// The subject of the first.
        subject: String,
        /// What the caller should do.
        kind: ErrorKind,
        /// What is wrong with the first.
        source: BoxError,
    },
}

impl PublisherError {
    /// What the caller should do. [`Transient`](ErrorKind::Transient) is to flush again.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Invalid(_) | Self::Unsuitable { .. } => ErrorKind::Invalid,
            Self::Stream(error) => error.kind(),
            Self::Unacknowledged { kind, .. } => *kind,
        }
    }
}
