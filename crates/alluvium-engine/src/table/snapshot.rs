//! A view of a table that stands still, over a view of its engine.

use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use alluvium_core::{
    ChangesSince, Chunks, Cursor, Entry, KeyRange, Row, RowIter, Sequence, TableError, TableSnapshot,
};
use bytes::Bytes;

use super::layout::{self, RowKey};
use super::{State, changes, storage};
use crate::{EngineSnapshot, Pair, PairIter};

pub(super) struct EngineTableSnapshot {
    engine: Arc<dyn EngineSnapshot>,
    table: Arc<str>,
    state: State,
}

impl EngineTableSnapshot {
    pub(super) fn new(engine: Arc<dyn EngineSnapshot>, table: String, state: State) -> Self {
        Self {
            engine,
            table: table.into(),
            state,
        }
    }
}

impl TableSnapshot for EngineTableSnapshot {
    fn cursor(&self) -> Option<Cursor> {
        self.state.cursor.clone()
    }

    fn get(&self, key: &[u8]) -> Result<Option<Entry>, TableError> {
        let row = self
            .engine
            .get(self.state.space, RowKey::new(key).as_ref())
            .map_err(storage)?;
        row.map(|row| layout::entry(&self.table, row)).transpose()
    }

    fn scan(&self, range: &KeyRange) -> Result<RowIter, TableError> {
        let pairs = self
            .engine
            .scan(self.state.space, &rows_in(range))
            .map_err(storage)?;
        Ok(RowIter::new(Rows {
            table: Arc::clone(&self.table),
            pairs,
            chunk: Vec::new(),
        }))
    }

    fn changes_since(&self, since: Sequence) -> Result<ChangesSince, TableError> {
        if !self.state.changes.is_on() {
            return Err(TableError::NotTracked);
        }
        // In the middle of a repair nothing is known: whoever asks now takes the whole table later.
        let floor = self.state.changes.floor().unwrap_or(Sequence::new(u64::MAX));
        if since < floor {
            return Err(TableError::Trimmed { since, floor });
        }
        let space = self.state.space;
        let entries = self
            .engine
            .scan(space, &changes::entries_after(since))
            .map_err(storage)?;
        let (engine, table, era) = (
            Arc::clone(&self.engine),
            Arc::clone(&self.table),
            self.state.changes.era(),
        );
        Ok(Box::new(entries.filter_map(move |entry| {
            let change = entry
                .map_err(storage)
                .and_then(|entry| changes::current_change(&table, engine.as_ref(), space, era, &entry));
            change.transpose()
        })))
    }
}

/// The rows that pairs stand for.
struct Rows {
    table: Arc<str>,
    pairs: PairIter,
    /// Empty between calls.
    chunk: Vec<Pair>,
}

impl Chunks<Row, TableError> for Rows {
    fn append_next(&mut self, rows: &mut Vec<Row>) -> Result<(), TableError> {
        let outcome = self.pairs.append_next(&mut self.chunk).map_err(storage);
        rows.reserve(self.chunk.len());
        for (key, value) in self.chunk.drain(..) {
            rows.push(layout::row(&self.table, key, value)?);
        }
        outcome
    }
}

/// A range of keys as the range of the rows that hold them.
fn rows_in(range: &KeyRange) -> KeyRange {
    let row = |key: &[u8]| Bytes::copy_from_slice(RowKey::new(key).as_ref());
    let start = match range.start_bound() {
        Bound::Included(key) => Bound::Included(row(key)),
        Bound::Excluded(key) => Bound::Excluded(row(key)),
        Bound::Unbounded => Bound::Included(row(b"")),
    };
    let end = match range.end_bound() {
        Bound::Included(key) => Bound::Included(row(key)),
        Bound::Excluded(key) => Bound::Excluded(row(key)),
        Bound::Unbounded => Bound::Excluded(Bytes::from_static(&[layout::ROW + 1])),
    };
    KeyRange::new(start, end)
}
