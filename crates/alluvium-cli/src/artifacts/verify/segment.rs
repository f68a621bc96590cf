//! Whether a segment is what is told of it.

use alluvium::KeyRange;
use alluvium::artifact::SegmentInfo;
use alluvium::segment::{SegmentError, SegmentReader};
use bytes::Bytes;

use crate::error::chain as told;
use crate::output::escaped;

/// What in a segment is not as it is told. Its bytes have been checked.
pub(super) fn contents(info: &SegmentInfo, bytes: Bytes) -> Option<String> {
    let found = match read(info, bytes) {
        Ok(found) => found,
        Err(error) => return Some(told(&error)),
    };
    let Some(found) = found else {
        return Some("it has no rows".to_owned());
    };
    (found != *info).then(|| {
        format!(
            "it has {}, and its manifest tells of {}: export again",
            facts(&found),
            facts(info)
        )
    })
}

/// What is in a segment; nothing if there are no rows.
fn read(info: &SegmentInfo, bytes: Bytes) -> Result<Option<SegmentInfo>, SegmentError> {
    let reader = SegmentReader::open(bytes)?;
    let mut found: Option<SegmentInfo> = None;
    for row in reader.rows(&KeyRange::all()) {
        let row = row?;
        let deletes = u64::from(row.value.is_none());
        match &mut found {
            None => {
                found = Some(SegmentInfo {
                    sha256: info.sha256,
                    length: info.length,
                    rows: 1,
                    deletes,
                    first_key: row.key.clone(),
                    last_key: row.key,
                    first_sequence: row.sequence,
                    last_sequence: row.sequence,
                });
            }
            Some(found) => {
                found.rows += 1;
                found.deletes += deletes;
                found.last_key = row.key;
                found.first_sequence = found.first_sequence.min(row.sequence);
                found.last_sequence = found.last_sequence.max(row.sequence);
            }
        }
    }
    Ok(found)
}

fn facts(info: &SegmentInfo) -> String {
    format!(
        "{} rows, {} of them deletes, keys {} to {}, sequences {} to {}",
        info.rows,
        info.deletes,
        escaped(&info.first_key),
        escaped(&info.last_key),
        info.first_sequence,
        info.last_sequence
    )
}
