//! All that an engine holds at one instant, as a persistent map: a clone costs nothing and never changes.
//!
//! A writer changes a state that nobody reads and publishes it whole: the one published before the last, brought up to
//! date first. So there are two states that take turns, and once they share no nodes any more a commit copies none. Only
//! when a reader or a snapshot still holds the spare state is the current one cloned; a node that two states share is
//! copied when one of them changes it, once however many rows of the commit lie in it.
//!
//! The price: every write is made twice, the nodes are there twice, and what a commit replaced stays in memory until the
//! commit after it.

use std::sync::Arc;

use alluvium_engine::{EngineError, Space, Write};
use imbl::OrdMap;

use crate::row::{Key, Value};

/// All spaces at one instant. Dropped spaces are not there, so nothing grows with their number.
#[derive(Clone, Default)]
pub(crate) struct State {
    spaces: OrdMap<u32, SpaceState>,
}

/// One space at one instant.
#[derive(Clone)]
pub(crate) struct SpaceState {
    name: Arc<str>,
    rows: Rows,
    /// About how many bytes the rows take in a file.
    bytes: u64,
}

/// The rows of one space at one instant.
pub(crate) type Rows = OrdMap<Key, Value>;

/// Bytes of a row in a file beside its key and value, about.
const ROW_OVERHEAD: usize = 4;
/// Bytes of a space in a file beside its name and rows, about.
const SPACE_OVERHEAD: u64 = 24;

impl State {
    pub(crate) fn space(&self, space: u32) -> Option<&SpaceState> {
        self.spaces.get(&space)
    }

    /// The space that a caller's handle stands for.
    pub(crate) fn by_handle(&self, space: Space) -> Result<&SpaceState, EngineError> {
        u32::try_from(space.index())
            .ok()
            .and_then(|space| self.spaces.get(&space))
            .ok_or(EngineError::NoSpace)
    }

    pub(crate) fn by_name(&self, name: &str) -> Option<u32> {
        let found = self.spaces.iter().find(|(_, space)| space.name() == name);
        found.map(|(space, _)| *space)
    }

    pub(crate) fn spaces(&self) -> impl Iterator<Item = (u32, &SpaceState)> {
        self.spaces.iter().map(|(space, state)| (*space, state))
    }

    /// The number after that of the last space there is.
    pub(crate) fn next_space(&self) -> u32 {
        let last = self.spaces.get_max();
        last.map_or(0, |(space, _)| space.saturating_add(1))
    }

    /// About how many bytes a file of all this takes.
    pub(crate) fn bytes(&self) -> u64 {
        self.spaces.values().map(SpaceState::file_bytes).sum()
    }

    pub(crate) fn insert(&mut self, space: u32, state: SpaceState) {
        self.spaces.insert(space, state);
    }

    pub(crate) fn remove(&mut self, space: u32) -> Option<SpaceState> {
        self.spaces.remove(&space)
    }

    pub(crate) fn space_mut(&mut self, space: u32) -> Option<&mut SpaceState> {
        self.spaces.get_mut(&space)
    }

    /// The writes of a commit, checked, with copies of their keys and values.
    pub(crate) fn prepare(&self, writes: &[Write]) -> Result<Vec<Prepared>, EngineError> {
        let mut prepared = Vec::with_capacity(writes.len());
        for run in writes.chunk_by(|one, other| one.space == other.space) {
            self.by_handle(run[0].space)?;
            let space = u32::try_from(run[0].space.index()).map_err(|_| EngineError::NoSpace)?;
            for write in run {
                if write.key.is_empty() {
                    return Err(EngineError::Invalid("a key cannot be empty".to_owned()));
                }
                let value = write.value.as_deref().map(Value::new);
                prepared.push(Prepared {
                    space,
                    key: Key::new(&write.key),
                    value,
                });
            }
        }
        // Neighbours lie in nodes that the processor has just looked at.
        prepared.sort_unstable_by(|one, other| (one.space, &one.key).cmp(&(other.space, &other.key)));
        Ok(prepared)
    }

    /// Makes writes in place that were prepared for a state with the same spaces.
    pub(crate) fn apply(&mut self, writes: &[Prepared]) {
        for run in writes.chunk_by(|one, other| one.space == other.space) {
            let Some(space) = self.space_mut(run[0].space) else {
                continue;
            };
            for write in run {
                match &write.value {
                    Some(value) => space.insert(write.key.clone(), value.clone()),
                    None => space.remove(write.key.as_slice()),
                }
            }
        }
    }
}

/// A write as the maps take it.
pub(crate) struct Prepared {
    space: u32,
    key: Key,
    value: Option<Value>,
}

impl SpaceState {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            rows: Rows::new(),
            bytes: 0,
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn rows(&self) -> &Rows {
        &self.rows
    }

    pub(crate) fn put(&mut self, key: &[u8], value: &[u8]) {
        self.insert(Key::new(key), Value::new(value));
    }

    pub(crate) fn insert(&mut self, key: Key, value: Value) {
        let length = key.as_slice().len();
        self.bytes += row_bytes(length, value.as_slice().len());
        if let Some(old) = self.rows.insert(key, value) {
            self.bytes -= row_bytes(length, old.as_slice().len());
        }
    }

    pub(crate) fn remove(&mut self, key: &[u8]) {
        if let Some(old) = self.rows.remove(key) {
            self.bytes -= row_bytes(key.len(), old.as_slice().len());
        }
    }

    fn file_bytes(&self) -> u64 {
        self.bytes + self.name.len() as u64 + SPACE_OVERHEAD
    }
}

fn row_bytes(key: usize, value: usize) -> u64 {
    (key + value + ROW_OVERHEAD) as u64
}
