//! What changed, by key, in bounded memory.
//!
//! A table tells what changed by sequence, a segment is sorted by key. So changes are collected and sorted before the first of
//! them is exported. Values are kept while all of them fit into the bound; once they do not, only keys are, and the values are
//! read again by key, which a snapshot answers as before. Where not even the keys fit, the whole table is exported:
//! its scan needs no memory, and so much has changed that it costs little more.

use std::sync::Arc;

use alluvium_core::{Operation, Sequence, TableError, TableSnapshot, Timestamp};
use alluvium_segment::SegmentRow;
use bytes::Bytes;

/// The last change of a key.
struct Kept {
    key: Bytes,
    sequence: Sequence,
    timestamp: Timestamp,
    value: Value,
}

enum Value {
    None,
    Here(Bytes),
    /// There is one, in the snapshot.
    InSnapshot,
}

/// What changed after a sequence, by rising key.
pub(super) struct Changed {
    snapshot: Arc<dyn TableSnapshot>,
    kept: std::vec::IntoIter<Kept>,
}

impl Changed {
    /// What changed after `after`, if that takes at most `limit` bytes of memory. `None` if it takes more, or
    /// nobody waits for it any more.
    pub(super) fn collect(
        snapshot: Arc<dyn TableSnapshot>,
        after: Sequence,
        limit: usize,
        wanted: impl Fn() -> bool,
    ) -> Result<Option<Self>, TableError> {
        let mut kept: Vec<Kept> = Vec::new();
        let (mut keys, mut values, mut keep_values) = (0, 0, true);
        for change in snapshot.changes_since(after)? {
            let change = change?;
            // Copies: what the engine gives may be a part of something much larger.
            let key = Bytes::copy_from_slice(&change.key);
            keys += key.len() + size_of::<Kept>();
            let value = match change.operation {
                Operation::Delete(_) => Value::None,
                Operation::Put(value) if keep_values => {
                    values += value.len();
                    Value::Here(Bytes::copy_from_slice(&value))
                }
                Operation::Put(_) => Value::InSnapshot,
            };
            kept.push(Kept {
                key,
                sequence: change.sequence,
                timestamp: change.timestamp,
                value,
            });
            if keep_values && keys + values > limit {
                keep_values = false;
                kept.iter_mut().for_each(Kept::forget_value);
            }
            if keys > limit || !wanted() {
                return Ok(None);
            }
        }
        kept.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        Ok(Some(Self {
            snapshot,
            kept: kept.into_iter(),
        }))
    }

    /// How many rows are still to come.
    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    fn row(&self, kept: Kept) -> Result<SegmentRow, TableError> {
        let Kept {
            key,
            sequence,
            timestamp,
            value,
        } = kept;
        let value = match value {
            Value::None => None,
            Value::Here(value) => Some(value),
            Value::InSnapshot => {
                let entry = self.snapshot.get(&key)?;
                let entry = entry.filter(|entry| entry.sequence == sequence);
                Some(entry.ok_or_else(|| moved(&key))?.value)
            }
        };
        Ok(SegmentRow {
            key,
            sequence,
            timestamp,
            value,
        })
    }
}

impl Kept {
    fn forget_value(&mut self) {
        if let Value::Here(_) = self.value {
            self.value = Value::InSnapshot;
        }
    }
}

impl Iterator for Changed {
    type Item = Result<SegmentRow, TableError>;

    fn next(&mut self) -> Option<Self::Item> {
        let kept = self.kept.next()?;
        Some(self.row(kept))
    }
}

/// A snapshot never moves: if it has, what it is made of is damaged.
fn moved(key: &[u8]) -> TableError {
    TableError::Corrupt {
        path: "change index".into(),
        source: format!(
            "a snapshot holds another row of {} than it had told",
            key.escape_ascii()
        )
        .into(),
    }
}
