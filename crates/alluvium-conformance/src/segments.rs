//! Segments for those who do not look into them.

use alluvium_core::artifact::{EncodedSegment, SegmentInfo};
use alluvium_core::{Digest, Sequence};
use bytes::Bytes;
use sha2::{Digest as _, Sha256};

/// A segment of which length and digest are right, and which holds these bytes instead of rows: a transport does not look
/// into segments. Those of one pack come by rising number.
///
/// ```
/// use alluvium_conformance::opaque_segment;
/// use alluvium_core::Sequence;
///
/// let (info, bytes) = opaque_segment(3, Sequence::new(10), "anything".into());
/// assert_eq!((info.length, info.first_key.as_ref()), (8, &b"00000003"[..]));
/// assert_eq!(bytes, "anything");
/// ```
pub fn opaque_segment(number: u32, sequence: Sequence, bytes: Bytes) -> EncodedSegment {
    let key = Bytes::from(format!("{number:08}"));
    let info = SegmentInfo {
        sha256: digest_of(&bytes),
        length: bytes.len() as u64,
        rows: 1,
        deletes: 0,
        first_key: key.clone(),
        last_key: key,
        first_sequence: sequence,
        last_sequence: sequence,
    };
    (info, bytes)
}

pub(crate) fn digest_of(bytes: &[u8]) -> Digest {
    Digest::from_bytes(Sha256::digest(bytes).into())
}
