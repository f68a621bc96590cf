//! How a table's rows are laid out in its space: tags, keys, and what stands before a value.

use alluvium_core::{Change, Entry, Row, Sequence, TableError, Timestamp};
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::corrupt;

/// What the table is a table of.
pub(super) const BINDING: &[u8] = b"\x00binding";
/// Where it is exact at.
pub(super) const CURSOR: &[u8] = b"\x00cursor";
/// How far back the change index reaches.
pub(super) const CHANGES: &[u8] = b"\x00changes";
/// This generation was loaded whole.
pub(super) const LIVE: &[u8] = b"\x00live";

/// The log can evict, or once could.
pub(super) const EVICTS: &[u8] = b"\x00evicts";
/// From where on the table has seen its log.
pub(super) const SINCE: &[u8] = b"\x00since";

/// Begins the key of every row.
pub(super) const ROW: u8 = 1;
/// Begins the key of every entry of the change index.
pub(super) const CHANGE: u8 = 2;
/// Begins the key of every last delete.
pub(super) const DELETED: u8 = 3;

/// Sequence and timestamp.
const HEADER: usize = 16;

/// A row's key for a look-up, on the stack unless it is long.
pub(super) struct RowKey {
    short: [u8; Self::SHORT],
    length: usize,
    long: Vec<u8>,
}

impl RowKey {
    const SHORT: usize = 128;

    pub(super) fn new(key: &[u8]) -> Self {
        let mut row = Self {
            short: [ROW; Self::SHORT],
            length: key.len() + 1,
            long: Vec::new(),
        };
        if row.length <= Self::SHORT {
            row.short[1..row.length].copy_from_slice(key);
        } else {
            row.long.reserve_exact(row.length);
            row.long.push(ROW);
            row.long.extend_from_slice(key);
        }
        row
    }
}

impl AsRef<[u8]> for RowKey {
    fn as_ref(&self) -> &[u8] {
        if self.long.is_empty() {
            &self.short[..self.length]
        } else {
            &self.long
        }
    }
}

/// Lays out the keys and values of one batch in one allocation.
pub(super) struct Encoder(BytesMut);

impl Encoder {
    pub(super) fn for_changes(changes: &[Change]) -> Self {
        let row = |change: &Change| change.key.len() + change.value().map_or(0, Bytes::len) + 1 + HEADER;
        let bytes: usize = changes.iter().map(row).sum();
        Self(BytesMut::with_capacity(bytes))
    }

    pub(super) fn row_key(&mut self, key: &[u8]) -> Bytes {
        self.0.put_u8(ROW);
        self.0.put_slice(key);
        self.0.split().freeze()
    }

    pub(super) fn row(&mut self, sequence: Sequence, timestamp: Timestamp, value: &[u8]) -> Bytes {
        self.0.put_u64(sequence.get());
        self.0.put_i64(timestamp.as_nanos());
        self.0.put_slice(value);
        self.0.split().freeze()
    }

    pub(super) fn change_key(&mut self, sequence: Sequence, key: &[u8]) -> Bytes {
        self.0.put_u8(CHANGE);
        self.0.put_u64(sequence.get());
        self.0.put_slice(key);
        self.0.split().freeze()
    }

    pub(super) fn deleted_key(&mut self, key: &[u8]) -> Bytes {
        self.0.put_u8(DELETED);
        self.0.put_slice(key);
        self.0.split().freeze()
    }
}

/// A row as the pair that stands for it.
pub(super) fn pair(key: &[u8], entry: &Entry) -> (Bytes, Bytes) {
    let mut encoder = Encoder(BytesMut::with_capacity(
        key.len() + entry.value.len() + 1 + HEADER,
    ));
    (
        encoder.row_key(key),
        encoder.row(entry.sequence, entry.timestamp, &entry.value),
    )
}

/// The entry that a row's value stands for.
pub(super) fn entry(table: &str, mut row: Bytes) -> Result<Entry, TableError> {
    let (Some(sequence), Some(timestamp)) = (number(&row, 0), number(&row, 8)) else {
        return Err(corrupt(
            table,
            format!("a row of {} bytes is too short", row.len()),
        ));
    };
    // In place: a slice would count one reference up and another down.
    row.advance(HEADER);
    Ok(Entry {
        value: row,
        sequence: Sequence::new(sequence),
        timestamp: Timestamp::from_nanos(timestamp.cast_signed()),
    })
}

/// The row that a pair stands for.
pub(super) fn row(table: &str, mut key: Bytes, value: Bytes) -> Result<Row, TableError> {
    key.advance(1);
    Ok((key, entry(table, value)?))
}

/// The big-endian number at an offset, if there are eight bytes.
pub(super) fn number(bytes: &[u8], offset: usize) -> Option<u64> {
    bytes
        .get(offset..)?
        .first_chunk()
        .map(|eight| u64::from_be_bytes(*eight))
}

pub(super) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    rmp_serde::to_vec_named(value).expect("plain structs of numbers and strings always encode")
}

pub(super) fn decode<T: DeserializeOwned>(table: &str, bytes: &[u8]) -> Result<T, TableError> {
    rmp_serde::from_slice(bytes).map_err(|error| corrupt(table, error))
}
