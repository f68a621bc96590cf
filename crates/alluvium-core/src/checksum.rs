//! The checksum of a manifest, in the manifest itself: everything else has its digest in a manifest, which has nobody
//! above it.
//!
//! It is the CRC-32 (ISO-HDLC) of the whole text as it is with zeros for the eight digits of the checksum. It comes first, so that the
//! first thing of its name is it. In every version to come, a field of this name is this: so it is told from damage
//! that a version is newer.
//!
//! A manifest without one is not checked. So whoever mends one by hand takes it out, and the next to save it puts it in.

use crc32fast::Hasher;
use serde::Serialize;

/// The name of the field.
pub(crate) const CHECKSUM: &str = "checksum";
/// What stands in its place while it is computed.
const BLANK: &str = "00000000";

/// A manifest as it is written.
#[derive(Serialize)]
struct Written<'a, T> {
    checksum: &'static str,
    #[serde(flatten)]
    manifest: &'a T,
}

/// How a text is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// In lines, for people.
    Pretty,
    /// Without white space, where every byte counts.
    Compact,
}

/// The text of a manifest, with its checksum.
pub(crate) fn to_json<T: Serialize>(manifest: &T, layout: Layout) -> Result<Vec<u8>, serde_json::Error> {
    let written = Written {
        checksum: BLANK,
        manifest,
    };
    let mut json = match layout {
        Layout::Pretty => serde_json::to_vec_pretty(&written)?,
        Layout::Compact => serde_json::to_vec(&written)?,
    };
    if let Some(digits) = find(&json, BLANK) {
        let checksum = checksum(&json, digits);
        json[digits..digits + BLANK.len()].copy_from_slice(checksum.as_bytes());
    }
    Ok(json)
}

/// Whether this checksum, which stands in the text, is that of the text.
pub(crate) fn is_right(json: &[u8], told: &str) -> bool {
    told.len() == BLANK.len() && find(json, told).is_some_and(|digits| checksum(json, digits) == told)
}

/// Where the digits are.
fn find(json: &[u8], digits: &str) -> Option<usize> {
    let place = |before: String| {
        let field = format!("{before}{digits}\"");
        let mut windows = json.windows(field.len());
        let at = windows.position(|window| window == field.as_bytes())?;
        Some(at + before.len())
    };
    // The first thing of its name is it, however it is laid out.
    let places = [format!("\"{CHECKSUM}\": \""), format!("\"{CHECKSUM}\":\"")];
    places.into_iter().filter_map(place).min()
}

fn checksum(json: &[u8], digits: usize) -> String {
    let mut hasher = Hasher::new();
    hasher.update(&json[..digits]);
    hasher.update(BLANK.as_bytes());
    hasher.update(&json[digits + BLANK.len()..]);
    format!("{:08x}", hasher.finalize())
}
