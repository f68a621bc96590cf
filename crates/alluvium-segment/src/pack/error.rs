//! What can go wrong with packs.

use alluvium_core::{Digest, ErrorKind};

/// What can go wrong with packs. An entry is named by what its header tells, or by where that header is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// A header is damaged, or of no tar that Alluvium writes.
    #[error("the pack is damaged at {entry}: {found}; take another artifact of the history, or export again")]
    Header {
        /// The entry.
        entry: String,
        /// What was found.
        found: &'static str,
    },
    /// An entry is no regular file: a link, a directory, a device, an extension.
    #[error("the pack holds {entry}, which is {found}: packs that Alluvium writes hold regular files only")]
    NoFile {
        /// The entry.
        entry: String,
        /// What it is.
        found: &'static str,
    },
    /// An entry is not named as segments are. Absolute paths and such with `..` are among these.
    #[error(
        "the pack holds {entry}, which is no name of a segment: such are 64 hexadecimal digits and .parquet"
    )]
    Name {
        /// The entry.
        entry: String,
    },
    /// A name that was there before.
    #[error("the pack holds {entry} twice: packs that Alluvium writes hold each segment once")]
    Duplicate {
        /// The entry.
        entry: String,
    },
    /// A length that no segment has.
    #[error("the pack holds {entry} with a length of {told}, which no segment has")]
    Length {
        /// The entry.
        entry: String,
        /// The length that its header tells.
        told: String,
    },
    /// More entries than any pack has.
    #[error("the pack holds more than {most} segments: no artifact has so many")]
    TooMany {
        /// The most that are read.
        most: usize,
    },
    /// The pack ends too soon.
    #[error("the pack is cut off in {entry}: take another artifact of the history, or export again")]
    CutOff {
        /// The entry.
        entry: String,
    },
    /// The pack does not end as it should: something comes after the two blocks of zeros, or after the first of them.
    #[error("the pack goes on after its end at byte {offset}: packs that Alluvium writes do not")]
    GoesOn {
        /// Where its end is.
        offset: u64,
    },
    /// The content is not that of its name.
    #[error(
        "{entry} is not what was exported: its SHA-256 is {actual}; take another artifact of the history, or export again"
    )]
    IntegrityMismatch {
        /// The entry.
        entry: String,
        /// What was found.
        actual: Digest,
    },
    /// The file or the network failed.
    #[error("the pack cannot be read")]
    Io(#[from] std::io::Error),
}

impl PackError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Io(_) => ErrorKind::Unavailable,
            _ => ErrorKind::Corrupt,
        }
    }
}
