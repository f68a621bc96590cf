//! Whether a log still is what the table was made from, where that does not show at the cursor.
//!
//! A log that was put back to an earlier state and then written past the cursor has other messages where it was followed. If the one
//! at the cursor is gone by now, as it is when its key was written again, the table's newest rows tell: the log either holds the
//! message that a row is of, or nothing any more, or it is another log than it was.
//!
//! That a log ends before the cursor is looked at twice, too: nodes of a cluster that lie behind say the same.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use alluvium_core::{Bounds, Cursor, KeyRange, LogError, Sequence, Table, TableError, Timestamp};
use bytes::Bytes;

use super::driver::Driver;
use super::forget::RowAt;

/// Rows that the log is asked about at most.
const MOST: usize = 16;
/// Rows that are looked at to find them: nobody is kept waiting by a large table.
const LOOK: usize = 1 << 20;

/// The newest rows of a table, the newest first; of a large one, of its first rows.
pub(super) fn newest(table: &dyn Table) -> Result<Vec<RowAt>, TableError> {
    let mut newest = BinaryHeap::with_capacity(MOST + 1);
    for row in table.snapshot()?.scan(&KeyRange::all())?.take(LOOK) {
        let (key, entry) = row?;
        let oldest = newest.peek().map(|Reverse(row): &Reverse<RowAt>| row.sequence);
        if newest.len() == MOST && oldest.is_some_and(|oldest| oldest > entry.sequence) {
            continue;
        }
        newest.push(Reverse(RowAt {
            sequence: entry.sequence,
            timestamp: entry.timestamp,
            // A copy: what the engine gives may be a part of something much larger.
            key: Bytes::copy_from_slice(&key),
        }));
        if newest.len() > MOST {
            newest.pop();
        }
    }
    // The largest first, for it is reversed.
    Ok(newest
        .into_sorted_vec()
        .into_iter()
        .map(|Reverse(row)| row)
        .collect())
}

/// Whether a cursor is within a log, so that its message can be gone from there.
pub(super) fn is_within(bounds: &Bounds, cursor: &Cursor) -> bool {
    cursor.log == bounds.log && (Sequence::FIRST..=bounds.last).contains(&cursor.sequence)
}

impl Driver {
    /// When the log stored a message that it holds in the place of one that a row is of; nothing if it holds that, or neither of any.
    pub(super) async fn in_place_of(
        &self,
        bounds: &Bounds,
        rows: &[RowAt],
    ) -> Result<Option<Timestamp>, LogError> {
        for row in rows.iter().take_while(|row| row.sequence >= bounds.first) {
            if let Some(held) = self.log.message_at(row.sequence).await? {
                let is_the_same = held.key == row.key && held.timestamp == row.timestamp;
                return Ok((!is_the_same).then_some(held.timestamp));
            }
        }
        Ok(None)
    }

    /// What the log holds. One that is told to end before the cursor is asked once more, by a read from there: that insists.
    pub(super) async fn confirmed(
        &self,
        bounds: Bounds,
        cursor: Option<&Cursor>,
    ) -> Result<Bounds, LogError> {
        let ends_before =
            |bounds: &Bounds, cursor: &Cursor| cursor.log == bounds.log && cursor.sequence > bounds.last;
        let Some(cursor) = cursor.filter(|cursor| ends_before(&bounds, cursor)) else {
            return Ok(bounds);
        };
        let read = self.log.read(cursor.sequence.next(), &self.scope).await;
        let reaches = match read {
            Ok(_) => true,
            Err(LogError::BeyondEnd { .. }) => false,
            Err(error) => return Err(error),
        };
        let bounds = self.log.bounds().await?;
        if reaches && ends_before(&bounds, cursor) {
            return Err(LogError::Unavailable {
                log: self.log.name().to_owned(),
                doing: "asking where it ends",
                source: "it is said to end before what can be read of it".into(),
            });
        }
        Ok(bounds)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use alluvium_core::{Change, LogIdentity};
    use alluvium_engine::EngineTable;
    use alluvium_memory::MemoryEngine;

    use super::*;

    #[test]
    fn the_newest_rows_come_newest_first() {
        let table = EngineTable::open(Arc::new(MemoryEngine::in_memory()), "t").unwrap();
        let (count, at) = (100_u64, |sequence: u64| {
            Timestamp::from_nanos(i64::try_from(sequence).unwrap())
        });
        let changes: Vec<_> = (1..=count)
            // In no order of keys.
            .map(|sequence| {
                Change::put(
                    format!("k{}", sequence * 37 % 101),
                    "v",
                    Sequence::new(sequence),
                    at(sequence),
                )
            })
            .collect();
        let log = LogIdentity::new("l", at(1));
        let cursor = Cursor::start_of(log).at(Sequence::new(count), at(count));
        table.apply(&changes, &cursor).unwrap();
        let sequences: Vec<_> = newest(&table)
            .unwrap()
            .iter()
            .map(|row| row.sequence.get())
            .collect();
        let expected: Vec<_> = (count - MOST as u64 + 1..=count).rev().collect();
        assert_eq!(sequences, expected);
    }
}
