//! What can go wrong with leases.

use crate::{BoxError, ErrorKind};

/// What can go wrong with leases. That somebody else holds one is no error: see [`Acquired`](super::Acquired).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LeaseError {
    /// The call makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// The lease is no longer the caller's.
    #[error("the lease {name:?} was lost{}: stop what it was for, and acquire it again", to_whom(.to.as_deref()))]
    Lost {
        /// Which lease.
        name: String,
        /// Who holds it now, if somebody does.
        to: Option<String>,
    },
    /// Written by a newer Alluvium: it is not known what it means, and so it is left alone.
    #[error(
        "{location} has version {found}, this Alluvium reads up to {supported}: use the newer Alluvium that wrote it"
    )]
    Newer {
        /// Where the record is.
        location: String,
        /// The version found.
        found: u16,
        /// The newest version that can be read.
        supported: u16,
    },
    /// What is there is no lease. Only [`read`](super::LeaseStore::read) says so: others replace it, or have lost theirs.
    #[error("{location} is no lease: whoever acquires it next replaces it")]
    Corrupt {
        /// Where the record should be.
        location: String,
        /// What was found.
        source: BoxError,
    },
    /// The storage failed.
    #[error("cannot {doing} {location}")]
    Storage {
        /// What was being done.
        doing: &'static str,
        /// To which record.
        location: String,
        /// What the caller should do.
        kind: ErrorKind,
        /// Why not.
        source: BoxError,
    },
}

fn to_whom(holder: Option<&str>) -> String {
    holder.map_or_else(String::new, |holder| format!(" to {holder:?}"))
}

impl LeaseError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Invalid(_) | Self::Newer { .. } => ErrorKind::Invalid,
            Self::Lost { .. } => ErrorKind::Fenced,
            Self::Corrupt { .. } => ErrorKind::Corrupt,
            Self::Storage { kind, .. } => *kind,
        }
    }
}
