//! What a manifest knows of a segment.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::key_text;
use crate::{Digest, KeyRange, Sequence};

/// The most bytes of a segment that is read: 128 MiB. What Alluvium writes is far below, unless a single value is not.
pub const MAX_SEGMENT_BYTES: u64 = 128 << 20;

/// What is in a segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentInfo {
    /// The SHA-256 of its bytes.
    pub sha256: Digest,
    /// Its bytes.
    pub length: u64,
    /// Its rows, deletes included; at least one.
    pub rows: u64,
    /// How many of them are deletes.
    pub deletes: u64,
    /// The key of its first row.
    #[serde(with = "key_text")]
    pub first_key: Bytes,
    /// The key of its last row.
    #[serde(with = "key_text")]
    pub last_key: Bytes,
    /// The lowest sequence of a row.
    pub first_sequence: Sequence,
    /// The highest sequence of a row.
    pub last_sequence: Sequence,
}

impl SegmentInfo {
    /// The keys from its first to its last row.
    pub fn keys(&self) -> KeyRange {
        KeyRange::of(self.first_key.as_ref()..=self.last_key.as_ref())
    }
}

/// A segment, and where in its pack it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentRef {
    /// Where its bytes begin in the pack.
    pub offset: u64,
    /// What is in it.
    #[serde(flatten)]
    pub info: SegmentInfo,
}
