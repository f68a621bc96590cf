//! A pack as a plain tar.

use alluvium_core::{BoxError, Digest};
use bytes::Bytes;
use tar::{EntryType, Header};

/// What a tar is made of.
const BLOCK: u64 = 512;

/// What comes before a segment.
pub(super) fn header(digest: &Digest, length: u64) -> Result<Bytes, BoxError> {
    let mut header = Header::new_ustar();
    header.set_path(format!("{digest}.parquet"))?;
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
pub(super) fn padding(length: u64) -> Bytes {
    let over = length % BLOCK;
    zeros(if over == 0 { 0 } else { BLOCK - over })
}

/// What comes after the last one.
pub(super) fn end() -> Bytes {
    zeros(2 * BLOCK)
}

fn zeros(length: u64) -> Bytes {
    Bytes::from_static(&[0; 1024]).slice(..usize::try_from(length).unwrap_or_default())
}
