//! Views of the database that stand still, and scans over them.
//!
//! RocksDB's snapshots and iterators borrow the database. What a caller holds owns it instead: an iterator together
//! with the snapshot it reads, a snapshot together with the view it was taken of. A view has the handles of its
//! spaces, so a space that is dropped stays readable for as long as a snapshot of it is held.

use std::ops::{Bound, RangeBounds as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, Weak};

use alluvium_core::{Chunks, KeyRange};
use alluvium_engine::{EngineError, EngineSnapshot, Pair, PairIter, Space};
use arc_swap::ArcSwapOption;
use bytes::{Bytes, BytesMut};
use rocksdb::{DBRawIteratorWithThreadMode, ReadOptions, SnapshotWithThreadMode};
use self_cell::self_cell;

use crate::error::guarded;
use crate::handles::{Handles, Release, lock};
use crate::spaces::{Db, View};

self_cell!(
    /// A snapshot of RocksDB with the view it was taken of.
    struct Standing {
        owner: Arc<View>,

        #[covariant]
        dependent: Position,
    }
);

/// Where a snapshot stands.
struct Position<'db> {
    /// Reads at the snapshot.
    reads: ReadOptions,
    snapshot: SnapshotWithThreadMode<'db, Db>,
}

/// A snapshot, held by a caller.
pub(crate) struct RocksDbSnapshot {
    /// `None` once the engine is closed.
    standing: ArcSwapOption<Standing>,
    handles: Arc<Handles>,
    data: Arc<PathBuf>,
}

impl Release for RocksDbSnapshot {
    fn release(&self) {
        self.standing.store(None);
    }
}

impl RocksDbSnapshot {
    /// Takes a snapshot of the spaces of a view.
    pub(crate) fn take(
        view: Arc<View>,
        handles: &Arc<Handles>,
        data: &Arc<PathBuf>,
    ) -> Result<Arc<Self>, EngineError> {
        let standing = Standing::new(view, |view| {
            let snapshot = view.db().snapshot();
            let mut reads = ReadOptions::default();
            reads.set_snapshot(&snapshot);
            Position { reads, snapshot }
        });
        let snapshot = Arc::new(Self {
            standing: ArcSwapOption::from_pointee(standing),
            handles: Arc::clone(handles),
            data: Arc::clone(data),
        });
        let handle: Weak<Self> = Arc::downgrade(&snapshot);
        handles.register(handle)?;
        Ok(snapshot)
    }
}

impl EngineSnapshot for RocksDbSnapshot {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        let standing = self.standing.load();
        let standing = standing.as_ref().ok_or(EngineError::Closed)?;
        get(
            standing.borrow_owner(),
            space,
            key,
            &standing.borrow_dependent().reads,
            &self.data,
        )
    }

    fn scan(&self, space: Space, range: &KeyRange) -> Result<PairIter, EngineError> {
        let standing = self.standing.load_full().ok_or(EngineError::Closed)?;
        standing.borrow_owner().family(space)?;
        if range.is_empty() {
            return Ok(PairIter::empty());
        }
        let cursor = Cursor::try_new(standing, |standing| open(standing, space, range))?;
        let source = Arc::new(Source(Mutex::new(Some(cursor))));
        let handle: Weak<Source> = Arc::downgrade(&source);
        self.handles.register(handle)?;
        Ok(PairIter::new(Scan {
            source,
            data: Arc::clone(&self.data),
            chunk: FIRST_CHUNK,
        }))
    }
}

/// Reads a key. The value is copied out of RocksDB once.
pub(crate) fn get(
    view: &View,
    space: Space,
    key: &[u8],
    reads: &ReadOptions,
    data: &Arc<PathBuf>,
) -> Result<Option<Bytes>, EngineError> {
    let family = view.family(space)?;
    guarded(|| view.db().get_pinned_cf_opt(family, key, reads))
        .map(|value| value.map(|value| Bytes::copy_from_slice(&value)))
        .map_err(|failure| failure.into_engine_error(data))
}

self_cell!(
    /// An iterator of RocksDB with the snapshot it reads.
    struct Cursor {
        owner: Arc<Standing>,

        #[covariant]
        dependent: RawIterator,
    }
);

type RawIterator<'db> = DBRawIteratorWithThreadMode<'db, Db>;

/// An iterator at the first pair of a range that is not empty.
fn open<'db>(
    standing: &'db Standing,
    space: Space,
    range: &KeyRange,
) -> Result<RawIterator<'db>, EngineError> {
    let view = standing.borrow_owner();
    let mut reads = ReadOptions::default();
    reads.set_snapshot(&standing.borrow_dependent().snapshot);
    let start = match range.start_bound() {
        Bound::Unbounded => None,
        Bound::Included(key) => Some(key.to_vec()),
        Bound::Excluded(key) => Some(next_after(key)),
    };
    match range.end_bound() {
        Bound::Unbounded => {}
        Bound::Included(key) => reads.set_iterate_upper_bound(next_after(key)),
        Bound::Excluded(key) => reads.set_iterate_upper_bound(key),
    }
    let mut iterator = view.db().raw_iterator_cf_opt(view.family(space)?, reads);
    match start {
        Some(start) => iterator.seek(start),
        None => iterator.seek_to_first(),
    }
    Ok(iterator)
}

/// The first key that sorts behind this one.
fn next_after(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

struct Source(Mutex<Option<Cursor>>);

impl Release for Source {
    fn release(&self) {
        lock(&self.0).take();
    }
}

/// A scan. Reads ahead in chunks, few pairs at first, so that neither the lock that lets the engine take the scan away
/// nor an allocation is paid per pair.
struct Scan {
    source: Arc<Source>,
    data: Arc<PathBuf>,
    chunk: usize,
}

const FIRST_CHUNK: usize = 4;
const LARGEST_CHUNK: usize = 64;
/// Longer values get an allocation of their own, so that whoever keeps a short one does not keep them too.
const LONGEST_TOGETHER: usize = 1024;
/// What a pair is reckoned to take in a chunk's allocation; where it is more, the chunk takes another.
const TYPICAL_PAIR: usize = 256;

impl Chunks<Pair, EngineError> for Scan {
    fn append_next(&mut self, pairs: &mut Vec<Pair>) -> Result<(), EngineError> {
        let mut source = lock(&self.source.0);
        let cursor = source.as_mut().ok_or(EngineError::Closed)?;
        pairs.reserve(self.chunk);
        let read = cursor.with_dependent_mut(|_, iterator| guarded(|| append(iterator, self.chunk, pairs)));
        self.chunk = LARGEST_CHUNK.min(2 * self.chunk);
        read.map_err(|failure| failure.into_engine_error(&self.data))
    }
}

/// Appends the next pairs, so many at most.
fn append(iterator: &mut RawIterator<'_>, count: usize, pairs: &mut Vec<Pair>) -> Result<(), rocksdb::Error> {
    let mut together = BytesMut::with_capacity(count * TYPICAL_PAIR);
    for _ in 0..count {
        let Some((key, value)) = iterator.item() else {
            return iterator.status();
        };
        together.extend_from_slice(key);
        let key = together.split().freeze();
        let value = if value.len() <= LONGEST_TOGETHER {
            together.extend_from_slice(value);
            together.split().freeze()
        } else {
            Bytes::copy_from_slice(value)
        };
        pairs.push((key, value));
        iterator.next();
    }
    Ok(())
}
