//! A pack: segments as a plain tar, which `tar tf` lists.
//!
//! Each segment is a regular file named `<digest>.parquet`, in the ustar format. Written is a pack in pieces: [`header`], the
//! segment, [`padding`], and after the last one [`end`]. Read is it by [`PackReader`], which takes nothing else.

mod error;
mod reader;

use alluvium_core::Digest;
use alluvium_core::artifact::MAX_SEGMENT_BYTES;
use bytes::Bytes;
use tar::{EntryType, Header};

pub use error::PackError;
pub use reader::{MAX_PACK_SEGMENTS, PackEntry, PackReader};

/// What a tar is made of.
const BLOCK: usize = 512;
/// What a file in a pack ends with.
const SUFFIX: &str = ".parquet";

/// What comes before a segment of this length.
///
/// # Errors
///
/// [`PackError::Length`] for a length that no segment has, and no reader would take.
pub fn header(digest: &Digest, length: u64) -> Result<Bytes, PackError> {
    let name = format!("{digest}{SUFFIX}");
    if !(1..=MAX_SEGMENT_BYTES).contains(&length) {
        return Err(PackError::Length {
            entry: name,
            told: length.to_string(),
        });
    }
    let mut header = Header::new_ustar();
    for (to, from) in header.as_old_mut().name.iter_mut().zip(name.bytes()) {
        *to = from;
    }
    header.set_size(length);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_entry_type(EntryType::Regular);
    header.set_cksum();
    Ok(Bytes::copy_from_slice(header.as_bytes()))
}

/// What comes after a segment of this length.
pub fn padding(length: u64) -> Bytes {
    zeros(padding_length(length))
}

/// What comes after the last one.
pub fn end() -> Bytes {
    zeros(2 * BLOCK)
}

fn padding_length(length: u64) -> usize {
    let over = usize::try_from(length % BLOCK as u64).unwrap_or_default();
    if over == 0 { 0 } else { BLOCK - over }
}

fn zeros(length: usize) -> Bytes {
    Bytes::from_static(&[0; 2 * BLOCK]).slice(..length)
}

#[cfg(test)]
mod tests;
