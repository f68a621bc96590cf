//! The record of a lease, as it is stored.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use super::{Lease, Standing};
use crate::{AssignmentVersion, ErrorKind, Timestamp};

/// The most bytes of a record.
pub const MAX_RECORD_BYTES: u64 = 64 << 10;
/// The highest assignment version of a record: whoever reads JSON reads it exactly, and no clock and no number of acquisitions
/// leads there. A record with a higher one is damaged.
const MAX_ASSIGNMENT_VERSION: u64 = (1 << 53) - 1;

/// Everything that is known of a lease: JSON, so that an operator can read it where it lies.
///
/// ```json
/// {"version":1,"name":"export routes","write":"0b8e…","state":{"held":{"by":"node-1","token":"93a7…",
///  "since":1700000000000000000,"until":1700000030000000000}},"last":null,"assignment_version":1700000000000}
/// ```
///
/// Times are nanoseconds since 1970-01-01T00:00:00Z by the clock of whoever wrote it. `version` is 1; a record of a higher
/// version is refused and left alone. Fields that are not known are skipped; without `assignment_version` it is 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRecord {
    version: u16,
    /// Which lease.
    pub name: String,
    /// Of each write another one: no two records have the same bytes, and a compare-and-swap by their hash is one by the
    /// write.
    pub write: Uuid,
    /// Whether somebody holds it.
    pub state: LeaseState,
    /// The last round that was completed.
    pub last: Option<Completed>,
    /// The assignment version of the last acquisition, [`AssignmentVersion::OFF`] if it is not known.
    #[serde(default, deserialize_with = "possible")]
    pub assignment_version: AssignmentVersion,
}

fn possible<'de, D: Deserializer<'de>>(from: D) -> Result<AssignmentVersion, D::Error> {
    let version = AssignmentVersion::deserialize(from)?;
    if version.get() > MAX_ASSIGNMENT_VERSION {
        return Err(D::Error::custom(format_args!(
            "the assignment version {version}, which no lease reaches"
        )));
    }
    Ok(version)
}

/// Whether somebody holds a lease, as it was written. What that means at an instant, [`LeaseRecord::standing`] says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaseState {
    /// Somebody holds it.
    Held {
        /// Who.
        by: String,
        /// By which acquisition. Who has it holds the lease, whatever the holders are called.
        token: Uuid,
        /// Since when.
        since: Timestamp,
        /// Until when, if it is not renewed.
        until: Timestamp,
    },
    /// Nobody holds it.
    Free {
        /// The acquisition that ended.
        token: Uuid,
        /// From when on it can be acquired.
        from: Timestamp,
    },
}

/// A round that was completed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completed {
    /// By whom.
    pub by: String,
    /// By which acquisition.
    pub token: Uuid,
    /// When.
    pub at: Timestamp,
    /// What its holder left to be known, such as the cursor that was exported.
    pub note: String,
}

/// Why bytes are not the record of a lease.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LeaseRecordError {
    /// The bytes are cut off, damaged, or something else altogether.
    #[error("not the record of a lease")]
    Undecodable(#[source] serde_json::Error),
    /// There are more bytes than any record has.
    #[error("it has {0} bytes, and no record of a lease has more than {MAX_RECORD_BYTES}")]
    TooLong(u64),
    /// Written by a newer Alluvium.
    #[error("the record of a lease has version {found}, this Alluvium reads up to {supported}")]
    Newer {
        /// The version found.
        found: u16,
        /// The newest version that can be read.
        supported: u16,
    },
}

impl LeaseRecordError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Undecodable(_) | Self::TooLong(_) => ErrorKind::Corrupt,
            Self::Newer { .. } => ErrorKind::Invalid,
        }
    }
}

impl LeaseRecord {
    /// The version that [`encode`](Self::encode) writes.
    pub const VERSION: u16 = 1;

    pub(super) fn new(
        name: &str,
        write: Uuid,
        state: LeaseState,
        last: Option<Completed>,
        assignment_version: AssignmentVersion,
    ) -> Self {
        Self {
            version: Self::VERSION,
            name: name.to_owned(),
            write,
            state,
            last,
            assignment_version,
        }
    }

    /// The record as JSON.
    ///
    /// # Panics
    ///
    /// Never: every value of the type has an encoding, and memory is the only writer.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("the record of a lease always encodes")
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    ///
    /// [`LeaseRecordError::Newer`] for a version this code does not know, the others for what is no record.
    pub fn decode(bytes: &[u8]) -> Result<Self, LeaseRecordError> {
        // The version first, alone: a newer record may not decode as this one.
        #[derive(Deserialize)]
        struct Versioned {
            version: u16,
        }
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if length > MAX_RECORD_BYTES {
            return Err(LeaseRecordError::TooLong(length));
        }
        let Versioned { version } = serde_json::from_slice(bytes).map_err(LeaseRecordError::Undecodable)?;
        if version > Self::VERSION {
            return Err(LeaseRecordError::Newer {
                found: version,
                supported: Self::VERSION,
            });
        }
        serde_json::from_slice(bytes).map_err(LeaseRecordError::Undecodable)
    }

    /// What the record means at an instant.
    pub fn standing(&self, now: Timestamp) -> Standing {
        super::decision::standing(self, now)
    }

    /// The lease that its holder has been given, if it was not given back: for implementations of the trait, and for an
    /// operator who frees what a dead holder has left.
    pub fn lease(&self) -> Option<Lease> {
        match &self.state {
            LeaseState::Held {
                by,
                token,
                since,
                until,
            } => Some(Lease {
                name: self.name.clone(),
                holder: by.clone(),
                token: *token,
                assignment_version: self.assignment_version,
                since: *since,
                until: *until,
                last: self.last.clone(),
            }),
            LeaseState::Free { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record() -> LeaseRecord {
        let at = |seconds: i64| Timestamp::from_nanos((1_700_000_000 + seconds) * 1_000_000_000);
        let held = LeaseState::Held {
            by: "node-2".to_owned(),
            token: Uuid::from_u128(2),
            since: at(60),
            until: at(90),
        };
        let last = Completed {
            by: "node-1".to_owned(),
            token: Uuid::from_u128(1),
            at: at(30),
            note: r#"{"sequence":42}"#.to_owned(),
        };
        LeaseRecord::new(
            "export routes",
            Uuid::from_u128(3),
            held,
            Some(last),
            AssignmentVersion::new(1_700_000_060_000),
        )
    }

    /// The bytes that version 1 has in stores. If this fails, the format changed: raise the version instead.
    #[test]
    fn version_1_is_still_what_it_was() {
        let fixture = include_bytes!("../../fixtures/lease-v1-assigned.json");
        assert_eq!(LeaseRecord::decode(fixture).unwrap(), record());
        assert_eq!(record().encode(), fixture.trim_ascii_end());
    }

    /// What was written before there were assignment versions.
    #[test]
    fn a_record_without_an_assignment_version_is_read() {
        let fixture = include_bytes!("../../fixtures/lease-v1.json");
        let unassigned = LeaseRecord {
            assignment_version: AssignmentVersion::OFF,
            ..record()
        };
        assert_eq!(LeaseRecord::decode(fixture).unwrap(), unassigned);
    }

    #[test]
    fn an_assignment_version_that_no_lease_reaches_is_damage() {
        for (version, fine) in [
            (MAX_ASSIGNMENT_VERSION, true),
            (MAX_ASSIGNMENT_VERSION + 1, false),
            (u64::MAX, false),
        ] {
            let record = LeaseRecord {
                assignment_version: AssignmentVersion::new(version),
                ..record()
            };
            let decoded = LeaseRecord::decode(&record.encode());
            assert_eq!(
                decoded.map_err(|error| error.kind()),
                fine.then_some(record).ok_or(ErrorKind::Corrupt)
            );
        }
    }

    #[test]
    fn a_newer_version_is_named_whatever_else_it_has() {
        for newer in [
            &br#"{"version":2}"#[..],
            br#"{"version":2,"name":7,"state":"split"}"#,
        ] {
            let error = LeaseRecord::decode(newer).unwrap_err();
            assert!(
                matches!(
                    error,
                    LeaseRecordError::Newer {
                        found: 2,
                        supported: 1
                    }
                ),
                "{error:?}"
            );
        }
    }

    #[test]
    fn a_record_cut_off_anywhere_is_undecodable() {
        let bytes = record().encode();
        for length in 0..bytes.len() {
            let error = LeaseRecord::decode(&bytes[..length]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{length} bytes: {error:?}");
        }
        let long = vec![b' '; usize::try_from(MAX_RECORD_BYTES).unwrap() + 1];
        assert!(matches!(
            LeaseRecord::decode(&long),
            Err(LeaseRecordError::TooLong(65_537))
        ));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = LeaseRecord::decode(&bytes);
        }
    }
}
