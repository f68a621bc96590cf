//! An engine in memory: every version of the content is a tree of maps that never changes.

use std::collections::BTreeMap;
use std::ops::{Bound, RangeBounds as _};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use alluvium_core::KeyRange;
use alluvium_engine::{
    Engine, EngineError, EngineSnapshot, EngineStats, Pair, PairIter, PairSource, Space, WriteBatch,
    check_space_name,
};
use bytes::Bytes;

type Pairs = BTreeMap<Bytes, Bytes>;

/// One version of everything. A snapshot is one that somebody holds on to.
#[derive(Clone, Default)]
struct Version {
    names: BTreeMap<String, Space>,
    spaces: BTreeMap<Space, Arc<Pairs>>,
    next: u32,
}

impl Version {
    fn space(&self, space: Space) -> Result<&Arc<Pairs>, EngineError> {
        self.spaces.get(&space).ok_or(EngineError::NoSpace)
    }

    fn add(&mut self, name: &str, pairs: Pairs) -> Space {
        let space = Space::new(self.next);
        self.next += 1;
        self.names.insert(name.to_owned(), space);
        self.spaces.insert(space, Arc::new(pairs));
        space
    }
}

/// An [`Engine`] that keeps nothing when it is dropped.
pub struct MapEngine {
    /// `None` once it is closed.
    current: RwLock<Option<Arc<Version>>>,
    /// Held by whoever makes the next version: readers know nothing of it.
    writer: Mutex<()>,
}

impl Default for MapEngine {
    fn default() -> Self {
        Self {
            current: RwLock::new(Some(Arc::default())),
            writer: Mutex::default(),
        }
    }
}

impl MapEngine {
    fn current(&self) -> Result<Arc<Version>, EngineError> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.clone().ok_or(EngineError::Closed)
    }

    /// Makes the next version of the current one; an error leaves everything as it is.
    fn change<T>(
        &self,
        change: impl FnOnce(&mut Version) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = self.current()?.as_ref().clone();
        let outcome = change(&mut next)?;
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        match current.as_mut() {
            Some(current) => *current = Arc::new(next),
            None => return Err(EngineError::Closed),
        }
        Ok(outcome)
    }
}

impl Engine for MapEngine {
    fn name(&self) -> &'static str {
        "map"
    }

    fn space(&self, name: &str) -> Result<Space, EngineError> {
        check_space_name(name)?;
        self.change(|version| match version.names.get(name) {
            Some(space) => Ok(*space),
            None => Ok(version.add(name, Pairs::new())),
        })
    }

    fn spaces(&self) -> Result<Vec<String>, EngineError> {
        Ok(self.current()?.names.keys().cloned().collect())
    }

    fn drop_space(&self, name: &str) -> Result<(), EngineError> {
        self.change(|version| {
            if let Some(space) = version.names.remove(name) {
                version.spaces.remove(&space);
            }
            Ok(())
        })
    }

    fn commit(&self, batch: WriteBatch) -> Result<(), EngineError> {
        self.change(|version| {
            for write in batch.into_writes() {
                let space = version.spaces.get_mut(&write.space).ok_or(EngineError::NoSpace)?;
                let pairs = Arc::make_mut(space);
                match write.value {
                    Some(value) => drop(pairs.insert(write.key, value)),
                    None if cfg!(feature = "broken") => {}
                    None => drop(pairs.remove(&write.key)),
                }
            }
            Ok(())
        })
    }

    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        Ok(self.current()?.space(space)?.get(key).cloned())
    }

    fn snapshot(&self) -> Result<Arc<dyn EngineSnapshot>, EngineError> {
        Ok(Arc::new(MapSnapshot(self.current()?)))
    }

    fn ingest(&self, name: &str, pairs: &mut PairSource<'_>) -> Result<Space, EngineError> {
        check_space_name(name)?;
        let mut sorted = Pairs::new();
        for pair in pairs {
            let (key, value) = pair.map_err(EngineError::Pairs)?;
            if sorted.last_key_value().is_some_and(|(last, _)| *last >= key) {
                return Err(EngineError::Invalid("the keys do not rise".to_owned()));
            }
            sorted.insert(key, value);
        }
        self.change(|version| {
            if version.names.contains_key(name) {
                return Err(EngineError::Invalid(format!("there is a space {name}")));
            }
            Ok(version.add(name, sorted))
        })
    }

    fn approximate_len(&self, space: Space) -> Result<u64, EngineError> {
        Ok(self.current()?.space(space)?.len() as u64)
    }

    fn sync(&self) -> Result<(), EngineError> {
        self.current().map(drop)
    }

    fn stats(&self) -> Result<EngineStats, EngineError> {
        self.current().map(|_| EngineStats::default())
    }

    fn close(&self) -> Result<(), EngineError> {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(())
    }
}

struct MapSnapshot(Arc<Version>);

impl EngineSnapshot for MapSnapshot {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        Ok(self.0.space(space)?.get(key).cloned())
    }

    fn scan(&self, space: Space, range: &KeyRange) -> Result<PairIter, EngineError> {
        Ok(PairIter::reading_ahead(Scan {
            pairs: Arc::clone(self.0.space(space)?),
            range: range.clone(),
            last: None,
        }))
    }
}

/// Finds its way by the last key, so that it borrows from nobody.
struct Scan {
    pairs: Arc<Pairs>,
    range: KeyRange,
    last: Option<Bytes>,
}

impl Iterator for Scan {
    type Item = Result<Pair, EngineError>;

    fn next(&mut self) -> Option<Self::Item> {
        let start = match &self.last {
            Some(last) => Bound::Excluded(last.as_ref()),
            None => self.range.start_bound(),
        };
        let (key, value) = self.pairs.range::<[u8], _>((start, Bound::Unbounded)).next()?;
        if !self.range.contains(key) {
            return None;
        }
        self.last = Some(key.clone());
        Some(Ok((key.clone(), value.clone())))
    }
}
