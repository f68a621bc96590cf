//! One row.

use alluvium_core::{Change, Entry, Row, Sequence, Timestamp};
use bytes::Bytes;

/// What a table holds for a key, or that it holds nothing any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentRow {
    /// The key.
    pub key: Bytes,
    /// The message that made it so.
    pub sequence: Sequence,
    /// When the server stored that message.
    pub timestamp: Timestamp,
    /// The value; `None` if the key was deleted.
    pub value: Option<Bytes>,
}

impl SegmentRow {
    /// What the row weighs when segments are cut: its bytes before they are encoded.
    pub fn len_bytes(&self) -> usize {
        self.key.len() + self.value.as_ref().map_or(0, Bytes::len) + 2 * size_of::<u64>()
    }

    /// The row as a table holds it; none for a delete.
    pub fn into_row(self) -> Option<Row> {
        let entry = Entry {
            value: self.value?,
            sequence: self.sequence,
            timestamp: self.timestamp,
        };
        Some((self.key, entry))
    }
}

impl From<Row> for SegmentRow {
    fn from((key, entry): Row) -> Self {
        Self {
            key,
            sequence: entry.sequence,
            timestamp: entry.timestamp,
            value: Some(entry.value),
        }
    }
}

impl From<Change> for SegmentRow {
    fn from(change: Change) -> Self {
        let value = change.value().cloned();
        Self {
            key: change.key,
            sequence: change.sequence,
            timestamp: change.timestamp,
            value,
        }
    }
}
