//! Which rows the log no longer holds: those below its first message, and those that it does not list.

use std::collections::BinaryHeap;

use alluvium_core::{Holdings, KeyRange, Sequence, Table, TableError, Timestamp};
use bytes::Bytes;

use super::listed::ListedSet;
use crate::ReplicaError;

/// Rows that are told at a time, and bytes of their keys.
pub(super) const MOST: usize = 65_536;
const MOST_BYTES: usize = 8 << 20;

/// A row, by the message that it is of. Ordered by sequence.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RowAt {
    pub(super) sequence: Sequence,
    pub(super) timestamp: Timestamp,
    pub(super) key: Bytes,
}

/// The oldest rows of a table: what a log that evicts from its front forgets next.
///
/// One scan finds so many of them that the next is needed only when they are gone: what is put into a table later is newer
/// than everything in it. That holds until rows come in no order, or from elsewhere; then another one has to be made.
pub(super) struct Oldest {
    /// How many are held at most.
    most: usize,
    /// The newest first.
    rows: Vec<RowAt>,
    /// Every row up to this sequence is, or was, among them.
    complete: Sequence,
}

impl Default for Oldest {
    fn default() -> Self {
        Self {
            most: MOST,
            rows: Vec::new(),
            complete: Sequence::ZERO,
        }
    }
}

impl Oldest {
    /// Takes rows of messages below `first`. There may be more, until it gives none.
    pub(super) fn below(&mut self, table: &dyn Table, first: Sequence) -> Result<Vec<RowAt>, TableError> {
        if self.complete.next() < first {
            self.scan(table)?;
        }
        let newer = self.rows.partition_point(|row| row.sequence >= first);
        Ok(self.rows.split_off(newer))
    }

    fn scan(&mut self, table: &dyn Table) -> Result<(), TableError> {
        let snapshot = table.snapshot()?;
        let Some(cursor) = snapshot.cursor() else {
            return Ok(());
        };
        let mut oldest = BinaryHeap::new();
        let (mut bytes, mut is_whole) = (0, true);
        for row in snapshot.scan(&KeyRange::all())? {
            let (key, entry) = row?;
            let newest: Option<&RowAt> = oldest.peek();
            if !is_whole && newest.is_some_and(|newest| newest.sequence < entry.sequence) {
                continue;
            }
            bytes += key.len();
            oldest.push(RowAt {
                sequence: entry.sequence,
                timestamp: entry.timestamp,
                // A copy: what the engine gives may be a part of something much larger.
                key: Bytes::copy_from_slice(&key),
            });
            while oldest.len() > self.most || (bytes > MOST_BYTES && oldest.len() > 1) {
                is_whole = false;
                bytes -= oldest.pop().map_or(0, |row| row.key.len());
            }
        }
        self.rows = oldest.into_sorted_vec();
        self.rows.reverse();
        self.complete = match self.rows.first() {
            Some(newest) if !is_whole => newest.sequence,
            _ => cursor.sequence,
        };
        Ok(())
    }
}

/// Rows up to a sequence whose messages were not listed, [`MOST`] of them at most.
pub(super) fn unlisted(
    table: &dyn Table,
    listed: ListedSet,
    complete: Sequence,
) -> Result<Vec<RowAt>, ReplicaError> {
    let mut unlisted = Vec::new();
    for window in listed.windows()? {
        let window = window?;
        for row in table.snapshot()?.scan(&KeyRange::all())? {
            let (key, entry) = row?;
            if entry.sequence > complete || window.tells(entry.sequence, entry.timestamp) != Some(false) {
                continue;
            }
            unlisted.push(RowAt {
                sequence: entry.sequence,
                timestamp: entry.timestamp,
                key: Bytes::copy_from_slice(&key),
            });
            if unlisted.len() == MOST {
                return Ok(unlisted);
            }
        }
    }
    Ok(unlisted)
}

/// Rows whose messages the log did not hold, of those up to where it ended; [`MOST`] of them at most.
pub(super) fn not_held(table: &dyn Table, holdings: &Holdings) -> Result<Vec<RowAt>, TableError> {
    let last = holdings.bounds().last;
    let mut rows = Vec::new();
    for row in table.snapshot()?.scan(&KeyRange::all())? {
        let (key, entry) = row?;
        if entry.sequence > last || holdings.holds(entry.sequence) {
            continue;
        }
        rows.push(RowAt {
            sequence: entry.sequence,
            timestamp: entry.timestamp,
            key: Bytes::copy_from_slice(&key),
        });
        if rows.len() == MOST {
            break;
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use alluvium_core::{Change, Cursor, LogIdentity};
    use alluvium_engine::EngineTable;
    use alluvium_memory::MemoryEngine;
    use proptest::prelude::*;

    use super::*;

    fn apply(table: &dyn Table, sequence: u64, key: u64) {
        let at = Timestamp::from_nanos(i64::try_from(sequence).unwrap());
        let change = Change::put(format!("k{key}"), "v", Sequence::new(sequence), at);
        let log = LogIdentity::new("l", Timestamp::from_nanos(1));
        let cursor = Cursor::start_of(log).at(change.sequence, at);
        table.apply(&[change], &cursor).unwrap();
    }

    proptest! {
        /// However few are held at a time, and whatever is put in between: each look gives exactly what is below.
        #[test]
        fn every_row_below_comes_and_no_other(
            rounds in prop::collection::vec((prop::collection::vec(0..20_u64, 0..10), 0..10_u64), 1..10),
            most in 1..5_usize,
        ) {
            let engine = Arc::new(MemoryEngine::in_memory());
            let table = EngineTable::open(engine, "t").unwrap();
            let mut oldest = Oldest { most, ..Oldest::default() };
            let (mut sequence, mut first) = (0, 1);
            for (keys, step) in rounds {
                for key in keys {
                    sequence += 1;
                    apply(&table, sequence, key);
                }
                first = (first + step).min(sequence + 1);
                let rows = table.snapshot().unwrap().scan(&KeyRange::all()).unwrap();
                let below = rows.map(Result::unwrap).filter(|(_, entry)| entry.sequence < Sequence::new(first));
                let mut expected: Vec<Bytes> = below.map(|(key, _)| key).collect();
                let mut given = Vec::new();
                loop {
                    let rows = oldest.below(&table, Sequence::new(first)).unwrap();
                    if rows.is_empty() {
                        break;
                    }
                    // What was put again since it was found stays.
                    let current = |row: &RowAt| {
                        let entry = table.get(&row.key).unwrap();
                        entry.is_some_and(|entry| entry.sequence == row.sequence)
                    };
                    let keys: Vec<Bytes> = rows.into_iter().filter(current).map(|row| row.key).collect();
                    table.forget(&keys).unwrap();
                    given.extend(keys);
                }
                given.sort();
                expected.sort();
                prop_assert_eq!(given, expected);
            }
        }
    }
}
