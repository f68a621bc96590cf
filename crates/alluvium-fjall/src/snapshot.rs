//! Views of the database that stand still, and scans over them.
//!
//! fjall's own snapshots can see a part of a batch: a table that is written out while a batch goes into memory moves
//! the visible sequence number past the batch's. So nobody takes a fjall snapshot but the writer, between two
//! batches; what it took last is published as a [`View`], and taking a snapshot is taking that.
//!
//! A fjall handle that outlives its database can delete files of the next one. So whatever a caller holds is
//! registered with [`Handles`], and emptied when the engine is closed.

use std::collections::HashMap;
use std::ops::{Bound, RangeBounds as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use alluvium_core::{Chunks, KeyRange};
use alluvium_engine::{EngineError, EngineSnapshot, Pair, PairIter, Space};
use arc_swap::ArcSwapOption;
use bytes::Bytes;
use fjall::{Keyspace, Readable as _};

use crate::error::guarded;

/// The longest key that fjall takes.
pub(crate) const MAX_KEY: usize = u16::MAX as usize;

/// The spaces there are.
#[derive(Clone, Default)]
pub(crate) struct Spaces {
    /// By number. Numbers are not used again.
    pub(crate) keyspaces: Arc<Vec<Option<Keyspace>>>,
    pub(crate) numbers: Arc<HashMap<String, u32>>,
}

impl Spaces {
    pub(crate) fn keyspace(&self, space: Space) -> Result<&Keyspace, EngineError> {
        self.keyspaces
            .get(space.index())
            .and_then(Option::as_ref)
            .ok_or(EngineError::NoSpace)
    }
}

/// The state after a commit.
pub(crate) struct View {
    pub(crate) spaces: Spaces,
    pub(crate) snapshot: fjall::Snapshot,
}

/// Something that a caller holds and that keeps fjall alive.
pub(crate) trait Release: Send + Sync {
    fn release(&self);
}

/// What callers hold.
pub(crate) struct Handles {
    data: PathBuf,
    live: Mutex<Live>,
}

#[derive(Default)]
struct Live {
    closed: bool,
    handles: Vec<Weak<dyn Release>>,
    /// How many there may be before those that are gone are swept out.
    sweep_at: usize,
}

impl Handles {
    pub(crate) fn new(data: &Path) -> Self {
        Self {
            data: data.into(),
            live: Mutex::default(),
        }
    }

    fn register(&self, handle: Weak<dyn Release>) -> Result<(), EngineError> {
        let mut live = lock(&self.live);
        if live.closed {
            return Err(EngineError::Closed);
        }
        if live.handles.len() >= live.sweep_at {
            live.handles.retain(|handle| handle.strong_count() > 0);
            live.sweep_at = live.handles.len() * 2 + 16;
        }
        live.handles.push(handle);
        Ok(())
    }

    /// Empties what callers hold and takes no more.
    pub(crate) fn release(&self) {
        let handles = {
            let mut live = lock(&self.live);
            live.closed = true;
            std::mem::take(&mut live.handles)
        };
        handles
            .iter()
            .filter_map(Weak::upgrade)
            .for_each(|handle| handle.release());
    }
}

/// A lock whose holder panicked guards nothing that could be half done.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A view, held by a caller.
pub(crate) struct FjallSnapshot {
    view: ArcSwapOption<View>,
    handles: Arc<Handles>,
}

impl Release for FjallSnapshot {
    fn release(&self) {
        self.view.store(None);
    }
}

impl FjallSnapshot {
    pub(crate) fn new(view: Arc<View>, handles: &Arc<Handles>) -> Result<Arc<Self>, EngineError> {
        let snapshot = Arc::new(Self {
            view: ArcSwapOption::new(Some(view)),
            handles: handles.clone(),
        });
        let handle: Weak<Self> = Arc::downgrade(&snapshot);
        handles.register(handle)?;
        Ok(snapshot)
    }
}

impl EngineSnapshot for FjallSnapshot {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        let view = self.view.load();
        let view = view.as_ref().ok_or(EngineError::Closed)?;
        let keyspace = view.spaces.keyspace(space)?;
        if key.is_empty() || key.len() > MAX_KEY {
            return Ok(None);
        }
        guarded(|| view.snapshot.get(keyspace, key))
            .map(|value| value.map(Bytes::from))
            .map_err(|failure| failure.into_engine_error("read", &self.handles.data, keyspace.path()))
    }

    fn scan(&self, space: Space, range: &KeyRange) -> Result<PairIter, EngineError> {
        let view = self.view.load_full().ok_or(EngineError::Closed)?;
        let keyspace = view.spaces.keyspace(space)?;
        if range.is_empty() {
            return Ok(PairIter::empty());
        }
        let bounds = (start(range.start_bound()), end(range.end_bound()));
        let within = keyspace.path().to_path_buf();
        let iter = guarded(|| Ok(view.snapshot.range::<&[u8], _>(keyspace, bounds)))
            .map_err(|failure| failure.into_engine_error("read", &self.handles.data, &within))?;
        let source = Arc::new(ScanSource(Mutex::new(Some(iter))));
        let handle: Weak<ScanSource> = Arc::downgrade(&source);
        self.handles.register(handle)?;
        Ok(PairIter::new(Scan {
            source,
            handles: self.handles.clone(),
            within,
            chunk: FIRST_CHUNK,
        }))
    }
}

/// fjall cannot compare with a key that it could not hold. What sorts behind such a key sorts behind the part of it
/// that fjall could hold, and the other way round.
fn start(bound: Bound<&[u8]>) -> Bound<&[u8]> {
    match bound {
        Bound::Included(key) | Bound::Excluded(key) if key.len() > MAX_KEY => {
            Bound::Excluded(&key[..MAX_KEY])
        }
        fine => fine,
    }
}

fn end(bound: Bound<&[u8]>) -> Bound<&[u8]> {
    match bound {
        Bound::Included(key) | Bound::Excluded(key) if key.len() > MAX_KEY => {
            Bound::Included(&key[..MAX_KEY])
        }
        fine => fine,
    }
}

struct ScanSource(Mutex<Option<fjall::Iter>>);

impl Release for ScanSource {
    fn release(&self) {
        lock(&self.0).take();
    }
}

/// A scan. Reads ahead in chunks, few pairs at first, so that the lock that lets the engine take the scan away costs
/// nothing per pair.
struct Scan {
    source: Arc<ScanSource>,
    handles: Arc<Handles>,
    within: PathBuf,
    chunk: usize,
}

const FIRST_CHUNK: usize = 4;
const LARGEST_CHUNK: usize = 64;

impl Chunks<Pair, EngineError> for Scan {
    fn append_next(&mut self, pairs: &mut Vec<Pair>) -> Result<(), EngineError> {
        let mut source = lock(&self.source.0);
        let iter = source.as_mut().ok_or(EngineError::Closed)?;
        pairs.reserve(self.chunk);
        let outcome = guarded(|| {
            for guard in iter.take(self.chunk) {
                let (key, value) = guard.into_inner()?;
                pairs.push((key.into(), value.into()));
            }
            Ok(())
        });
        self.chunk = LARGEST_CHUNK.min(2 * self.chunk);
        outcome.map_err(|failure| failure.into_engine_error("read", &self.handles.data, &self.within))
    }
}
