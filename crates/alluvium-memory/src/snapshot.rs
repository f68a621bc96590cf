//! A view that stands still: a state that was published once, and iterators over it.

use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use alluvium_core::{Chunks, KeyRange};
use alluvium_engine::{EngineError, EngineSnapshot, Pair, PairIter, Space};
use bytes::{Bytes, BytesMut};

use crate::row::{Key, Value};
use crate::state::{Rows, State};

/// How many rows a scan takes from the map at first: most scans are short.
const FIRST_CHUNK: usize = 16;
/// How many rows a long scan takes from the map in one go.
const LARGEST_CHUNK: usize = 256;

/// Longer values are shared instead of copied.
const LONGEST_COPY: usize = 1_024;
/// What a row is reckoned to take in a chunk's allocation; where it is more, the chunk takes another.
const TYPICAL_ROW: usize = 256;

/// A view that stands still. It shares its rows with the engine, and keeps alive those that the engine has
/// replaced since.
pub(crate) struct MemorySnapshot {
    state: Arc<State>,
}

impl MemorySnapshot {
    pub(crate) fn new(state: Arc<State>) -> Self {
        Self { state }
    }
}

impl EngineSnapshot for MemorySnapshot {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        let value = self.state.by_handle(space)?.rows().get(key);
        Ok(value.map(Value::to_bytes))
    }

    fn scan(&self, space: Space, range: &KeyRange) -> Result<PairIter, EngineError> {
        let rows = self.state.by_handle(space)?.rows().clone();
        Ok(PairIter::new(Scan::new(rows, range)))
    }
}

/// The pairs in a range. The map's own iterators borrow it, so this one owns the map and seeks again for every chunk
/// of rows that it hands out. Short rows are copied into one allocation a chunk, which costs less than to count a
/// reference of each.
struct Scan {
    rows: Rows,
    /// From where on rows have not been taken yet.
    start: Bound<Key>,
    end: Bound<Bytes>,
    /// How many rows to take next, 0 once there are none.
    next_chunk: usize,
}

impl Scan {
    fn new(rows: Rows, range: &KeyRange) -> Self {
        Self {
            rows,
            start: range.start_bound().map(Key::new),
            end: range.end_bound().map(Bytes::copy_from_slice),
            next_chunk: if range.is_empty() { 0 } else { FIRST_CHUNK },
        }
    }
}

impl Chunks<Pair, EngineError> for Scan {
    fn append_next(&mut self, pairs: &mut Vec<Pair>) -> Result<(), EngineError> {
        let range = (
            self.start.as_ref().map(Key::as_slice),
            self.end.as_ref().map(Bytes::as_ref),
        );
        pairs.reserve(self.next_chunk);
        let mut copies = BytesMut::with_capacity(self.next_chunk * TYPICAL_ROW);
        let (mut taken, mut last) = (0, None);
        for (key, value) in self.rows.range::<_, [u8]>(range).take(self.next_chunk) {
            copies.extend_from_slice(key.as_slice());
            let key_copy = copies.split().freeze();
            let value = if value.as_slice().len() <= LONGEST_COPY {
                copies.extend_from_slice(value.as_slice());
                copies.split().freeze()
            } else {
                value.to_bytes()
            };
            pairs.push((key_copy, value));
            taken += 1;
            last = Some(key);
        }
        self.next_chunk = match last {
            Some(last) if taken == self.next_chunk => {
                self.start = Bound::Excluded(last.clone());
                LARGEST_CHUNK.min(2 * self.next_chunk)
            }
            _ => 0,
        };
        Ok(())
    }
}
