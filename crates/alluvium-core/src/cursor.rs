//! How far a state has come in its log, and the record of it that is stored.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{ErrorKind, LogIdentity, Scope, Sequence, Timestamp};

/// A position in one log: every message that the log retained up to and including
/// [`sequence`](Self::sequence) has been applied, and none after it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Cursor {
    /// Whose sequences are meant. A stream that was deleted and made again is another log.
    pub log: LogIdentity,
    /// The last message applied; [`Sequence::ZERO`] before the first.
    pub sequence: Sequence,
    /// When the server stored that message. Tells a message from another one that took its number after the
    /// log lost its tail. At [`Sequence::ZERO`] it is the instant the log was created.
    pub timestamp: Timestamp,
}

impl Cursor {
    /// The cursor of a state that has applied nothing of this log yet.
    pub fn start_of(log: LogIdentity) -> Self {
        Self {
            sequence: Sequence::ZERO,
            timestamp: log.created,
            log,
        }
    }

    /// The same log, further along.
    #[must_use]
    pub fn at(&self, sequence: Sequence, timestamp: Timestamp) -> Self {
        Self {
            log: self.log.clone(),
            sequence,
            timestamp,
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.log, self.sequence)
    }
}

/// A cursor as it is stored, with the scope that it speaks of: the wire type of cursor files, KV cursors and
/// the cursor row of every table.
///
/// Encoded as MessagePack with named fields, so that a reader can skip what it does not know. `version` is 1.
/// A record of a higher version is refused rather than half understood.
///
/// ```
/// use alluvium_core::{Cursor, CursorRecord, LogIdentity, Scope, Timestamp};
///
/// let log = LogIdentity::new("KV_routes", Timestamp::from_nanos(1_000));
/// let record = CursorRecord::new(Cursor::start_of(log), Scope::all());
/// assert_eq!(CursorRecord::decode(&record.encode())?, record);
/// # Ok::<(), alluvium_core::RecordError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CursorRecord {
    version: u16,
    /// The position.
    pub cursor: Cursor,
    /// The keys that were applied up to it.
    pub scope: Scope,
}

/// Why bytes are not a cursor record.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The bytes are cut off, damaged, or something else altogether.
    #[error("not a cursor record")]
    Undecodable(#[source] rmp_serde::decode::Error),
    /// Written by a newer Alluvium.
    #[error(
        "the cursor record has version {found}, this Alluvium reads up to {supported}: use the newer Alluvium that wrote it"
    )]
    Newer {
        /// The version found.
        found: u16,
        /// The newest version that can be read.
        supported: u16,
    },
}

impl RecordError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Undecodable(_) => ErrorKind::Corrupt,
            Self::Newer { .. } => ErrorKind::Invalid,
        }
    }
}

impl CursorRecord {
    /// The version that [`encode`](Self::encode) writes.
    pub const VERSION: u16 = 1;

    /// A record of this cursor over these keys.
    pub fn new(cursor: Cursor, scope: Scope) -> Self {
        Self {
            version: Self::VERSION,
            cursor,
            scope,
        }
    }

    /// The record as MessagePack.
    ///
    /// # Panics
    ///
    /// Never: every value of the type has an encoding, and memory is the only writer.
    pub fn encode(&self) -> Vec<u8> {
        rmp_serde::to_vec_named(self).expect("a cursor record always encodes")
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    ///
    /// [`RecordError::Newer`] for a version this code does not know, [`RecordError::Undecodable`] for all else.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        // The version first, alone: a newer record may not decode as this one.
        #[derive(Deserialize)]
        struct Versioned {
            version: u16,
        }
        let Versioned { version } = rmp_serde::from_slice(bytes).map_err(RecordError::Undecodable)?;
        if version > Self::VERSION {
            return Err(RecordError::Newer {
                found: version,
                supported: Self::VERSION,
            });
        }
        rmp_serde::from_slice(bytes).map_err(RecordError::Undecodable)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record() -> CursorRecord {
        let log = LogIdentity::new("KV_routes", Timestamp::from_nanos(1_700_000_000_000_000_000));
        let cursor = Cursor::start_of(log).at(
            Sequence::new(42),
            Timestamp::from_nanos(1_700_000_000_000_000_042),
        );
        CursorRecord::new(cursor, Scope::of(["routes.>", "flags.*"]).unwrap())
    }

    /// The bytes that version 1 has on disks. If this fails, the format changed: raise the version instead.
    #[test]
    fn version_1_is_still_what_it_was() {
        let fixture = include_bytes!("../fixtures/cursor-v1.msgpack");
        assert_eq!(CursorRecord::decode(fixture).unwrap(), record());
        assert_eq!(record().encode(), fixture);
    }

    #[test]
    fn a_newer_version_is_named() {
        let mut newer = record();
        newer.version = 2;
        let error = CursorRecord::decode(&newer.encode()).unwrap_err();
        assert!(
            matches!(
                error,
                RecordError::Newer {
                    found: 2,
                    supported: 1
                }
            ),
            "{error:?}"
        );
    }

    #[test]
    fn a_record_cut_off_anywhere_is_undecodable() {
        let bytes = record().encode();
        for length in 0..bytes.len() {
            let error = CursorRecord::decode(&bytes[..length]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{length} bytes: {error:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = CursorRecord::decode(&bytes);
        }
    }
}
