//! One [`Table`] over any [`Engine`].
//!
//! # What is stored
//!
//! A table lives in one space, `table.<name>.<generation>`. All it holds is in that space, so that one commit covers
//! data and cursor whatever the engine, and no second space idles beside it:
//!
//! ```text
//! 00 "binding"             Binding, MessagePack          what the table is a table of
//! 00 "cursor"              CursorRecord, MessagePack     where it is exact at; absent during a repair
//! 00 "changes"             ChangeIndex, MessagePack      absent while changes were never tracked
//! 00 "live"                empty                         this generation was loaded whole
//! 00 "evicts"              empty                         the log can evict, or once could
//! 00 "since"               Sequence, MessagePack         from where on it has seen its log; absent if from the beginning
//! 01 <key>                 sequence u64, timestamp i64 (both big-endian), value
//! 02 <sequence u64> <key>  what the change did, its timestamp, its era     the change index
//! 03 <key>                 sequence u64                                    the last delete of a key, while tracked
//! ```
//!
//! [`Table::load`] fills the next generation and marks it `live` in the same commit that gives it its cursor; the
//! highest live generation is the table, and whatever else a kill leaves behind is dropped at the next open.

mod changes;
mod layout;
mod snapshot;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alluvium_core::{
    Binding, BoxError, Change, Cursor, CursorRecord, DeleteReason, Entry, Mode, Row, Scope, Sequence, Table,
    TableError, TableSnapshot, TableStats,
};
use arc_swap::ArcSwap;
use bytes::Bytes;

use self::changes::ChangeIndex;
use self::layout::{Encoder, RowKey};
use self::snapshot::EngineTableSnapshot;
use crate::{Engine, EngineError, EngineSnapshot, Space, WriteBatch, check_space_name};

/// How many changes the change index keeps before it forgets the oldest.
const DEFAULT_MAX_CHANGES: u64 = 1_000_000;

/// A [`Table`] in a space of an [`Engine`].
///
/// ```
/// use std::sync::Arc;
/// use alluvium_core::Table;
/// use alluvium_engine::{Engine, EngineTable};
///
/// fn routes(engine: Arc<dyn Engine>) -> Result<Arc<dyn Table>, alluvium_core::TableError> {
///     Ok(Arc::new(EngineTable::open(engine, "routes")?))
/// }
/// ```
pub struct EngineTable {
    engine: Arc<dyn Engine>,
    name: String,
    max_changes: u64,
    state: ArcSwap<State>,
    /// Held by the one writer.
    writer: Mutex<()>,
}

/// What the last commit left, so that nothing has to be read to know it.
#[derive(Clone, Debug)]
struct State {
    generation: u64,
    space: Space,
    binding: Option<Binding>,
    /// Whether the log can evict, or once could.
    evicts: bool,
    /// From where on the table has seen its log; from the beginning if it is not said.
    since: Option<Sequence>,
    cursor: Option<Cursor>,
    changes: ChangeIndex,
}

impl EngineTable {
    /// Opens the table of this name, an empty one if there is none yet. Names are 1 to 100 bytes of
    /// `A-Z a-z 0-9 . _ -`.
    ///
    /// One handle at a time: two handles of one table would each miss what the other wrote.
    ///
    /// # Errors
    ///
    /// [`TableError::Invalid`] for any other name, [`TableError::Corrupt`] for a table that cannot be read, storage
    /// errors.
    pub fn open(engine: Arc<dyn Engine>, name: &str) -> Result<Self, TableError> {
        if name.len() > 100 || check_space_name(name).is_err() {
            return Err(TableError::Invalid(format!(
                "{name:?} cannot name a table: use 1 to 100 characters of A-Z a-z 0-9 . _ -"
            )));
        }
        let generation = live_generation(engine.as_ref(), name)?;
        let space = engine.space(&space_name(name, generation)).map_err(storage)?;
        let state = State::read(
            engine.snapshot().map_err(storage)?.as_ref(),
            name,
            generation,
            space,
        )?;
        Ok(Self {
            engine,
            name: name.to_owned(),
            max_changes: DEFAULT_MAX_CHANGES,
            state: ArcSwap::from_pointee(state),
            writer: Mutex::new(()),
        })
    }

    /// The same table, keeping at least this many changes in its change index before it forgets the oldest
    /// (1,000,000 by default). An index entry takes about as many bytes as its key and 30 more.
    #[must_use]
    pub fn with_max_changes(mut self, max_changes: u64) -> Self {
        self.max_changes = max_changes;
        self
    }

    /// A poisoned lock is fine: the state is swapped whole, after the commit, or not at all.
    fn writer(&self) -> MutexGuard<'_, ()> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state as it would be if the table were bound to `log`: binds an unbound table to all of that log.
    fn bound_to(&self, log: &str) -> Result<State, TableError> {
        let mut state = State::clone(&self.state.load());
        match &state.binding {
            Some(binding) if binding.log != log => Err(TableError::Invalid(format!(
                "a cursor of {log} cannot move the table of {}",
                binding.log
            ))),
            Some(_) => Ok(state),
            None => {
                state.binding = Some(Binding {
                    log: log.to_owned(),
                    scope: Scope::all(),
                    mode: Mode::default(),
                });
                Ok(state)
            }
        }
    }

    /// Commits changes and everything of the next state that differs from the one in force.
    fn commit(&self, changes: &[Change], mut next: State) -> Result<(), TableError> {
        let current = self.state.load_full();
        let space = next.space;
        let mut batch = WriteBatch::with_capacity(2 * changes.len() + 4);
        let mut encoder = Encoder::for_changes(changes);
        // Backwards, so that of each key the last change is met first.
        let mut seen = HashSet::with_capacity(if changes.len() > 1 { changes.len() } else { 0 });
        for change in changes.iter().rev() {
            if changes.len() > 1 && !seen.insert(change.key.as_ref()) {
                continue;
            }
            let key = encoder.row_key(&change.key);
            match change.value() {
                Some(value) => batch.put(space, key, encoder.row(change.sequence, change.timestamp, value)),
                None => batch.remove(space, key),
            }
            if next.changes.is_on() {
                next.changes.record(&mut batch, space, &mut encoder, change);
            }
        }
        next.changes
            .trim(&mut batch, space, self.engine.as_ref(), self.max_changes)?;
        next.write(Some(&current), &mut batch);
        if !batch.is_empty() {
            self.engine.commit(batch).map_err(storage)?;
        }
        self.state.store(Arc::new(next));
        Ok(())
    }
}

impl Table for EngineTable {
    fn name(&self) -> &str {
        &self.name
    }

    fn binding(&self) -> Option<Binding> {
        self.state.load().binding.clone()
    }

    fn bind(&self, binding: &Binding) -> Result<(), TableError> {
        let _writer = self.writer();
        let mut next = State::clone(&self.state.load());
        match &next.binding {
            Some(stored) if stored == binding => Ok(()),
            Some(stored) => Err(TableError::Mismatch {
                stored: Box::new(stored.clone()),
                expected: Box::new(binding.clone()),
            }),
            None => {
                next.binding = Some(binding.clone());
                self.commit(&[], next)
            }
        }
    }

    fn has_evicted(&self) -> bool {
        self.state.load().evicts
    }

    fn remember_eviction(&self) -> Result<(), TableError> {
        let _writer = self.writer();
        let mut next = State::clone(&self.state.load());
        next.evicts = true;
        self.commit(&[], next)
    }

    fn since(&self) -> Option<Sequence> {
        self.state.load().since
    }

    fn remember_since(&self, since: Option<Sequence>) -> Result<(), TableError> {
        let _writer = self.writer();
        let mut next = State::clone(&self.state.load());
        next.since = since;
        self.commit(&[], next)
    }

    fn cursor(&self) -> Option<Cursor> {
        self.state.load().cursor.clone()
    }

    fn apply(&self, changes: &[Change], cursor: &Cursor) -> Result<(), TableError> {
        let _writer = self.writer();
        let mut next = self.bound_to(&cursor.log.name)?;
        if let Some(last) = changes.last().filter(|last| last.sequence > cursor.sequence) {
            return Err(TableError::Invalid(format!(
                "the cursor {cursor} lies before the change at {}",
                last.sequence
            )));
        }
        let mut fresh = changes;
        if let Some(at) = &next.cursor {
            if at.log != cursor.log {
                return Err(TableError::Invalid(format!(
                    "{} was created again since: a cursor of the new one cannot move the table before a reconcile",
                    at.log
                )));
            }
            if cursor.sequence <= at.sequence {
                return Ok(());
            }
            fresh = &changes[changes.partition_point(|change| change.sequence <= at.sequence)..];
        }
        next.cursor = Some(cursor.clone());
        next.changes.settle(cursor.sequence);
        self.commit(fresh, next)
    }

    fn amend(&self, changes: &[Change]) -> Result<(), TableError> {
        let _writer = self.writer();
        let mut next = State::clone(&self.state.load());
        next.cursor = None;
        next.changes.unsettle();
        self.commit(changes, next)
    }

    fn forget(&self, keys: &[Bytes]) -> Result<(), TableError> {
        let _writer = self.writer();
        let next = State::clone(&self.state.load());
        let Some(cursor) = &next.cursor else {
            return Err(TableError::Invalid(
                "a table without a cursor is empty or in a repair, and has no row to forget".to_owned(),
            ));
        };
        let gone = |key: &Bytes| {
            Change::delete(
                key.clone(),
                DeleteReason::Vanished,
                cursor.sequence,
                cursor.timestamp,
            )
        };
        let changes: Vec<Change> = keys.iter().map(gone).collect();
        self.commit(&changes, next)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Entry>, TableError> {
        let key = RowKey::new(key);
        loop {
            let state = self.state.load();
            match self.engine.get(state.space, key.as_ref()) {
                // A load has put another generation in place in between.
                Err(EngineError::NoSpace) if self.state.load().generation != state.generation => {}
                found => {
                    return found
                        .map_err(storage)?
                        .map(|row| layout::entry(&self.name, row))
                        .transpose();
                }
            }
        }
    }

    fn snapshot(&self) -> Result<Arc<dyn TableSnapshot>, TableError> {
        loop {
            let state = self.state.load_full();
            let snapshot = self.engine.snapshot().map_err(storage)?;
            // The generation must be the table's both before and after, or the view could be of a dropped one.
            if self.state.load().generation == state.generation {
                let state = State::read(snapshot.as_ref(), &self.name, state.generation, state.space)?;
                return Ok(Arc::new(EngineTableSnapshot::new(
                    snapshot,
                    self.name.clone(),
                    state,
                )));
            }
        }
    }

    fn load(
        &self,
        rows: &mut dyn Iterator<Item = Result<Row, BoxError>>,
        cursor: &Cursor,
    ) -> Result<(), TableError> {
        let _writer = self.writer();
        let mut next = self.bound_to(&cursor.log.name)?;
        let old = next.generation;
        next.generation += 1;
        let name = space_name(&self.name, next.generation);
        // What a load that was cut short left there.
        self.engine.drop_space(&name).map_err(storage)?;
        let mut pairs = rows.map(|row| row.map(|(key, entry)| layout::pair(&key, &entry)));
        next.space = self.engine.ingest(&name, &mut pairs).map_err(storage)?;
        next.cursor = Some(cursor.clone());
        next.changes = next.changes.restarted(cursor.sequence);

        let mut batch = WriteBatch::with_capacity(6);
        batch.put(next.space, layout::LIVE, &b""[..]);
        next.write(None, &mut batch);
        if let Err(error) = self.engine.commit(batch) {
            // Not live, so the next open would drop it too; the error to report is the first one.
            if let Err(error) = self.engine.drop_space(&name) {
                tracing::warn!(table = self.name, %error, "cannot drop a generation that was not committed");
            }
            return Err(storage(error));
        }
        self.state.store(Arc::new(next));
        // The new content stands whatever becomes of the old: the next open would drop it too.
        if let Err(error) = self.engine.drop_space(&space_name(&self.name, old)) {
            tracing::warn!(table = self.name, %error, "cannot drop the generation before");
        }
        Ok(())
    }

    fn track_changes(&self, on: bool) -> Result<(), TableError> {
        let _writer = self.writer();
        let mut next = State::clone(&self.state.load());
        next.changes
            .switch(on, next.cursor.as_ref().map(|cursor| cursor.sequence));
        self.commit(&[], next)
    }

    fn sync(&self) -> Result<(), TableError> {
        self.engine.sync().map_err(storage)
    }

    fn stats(&self) -> Result<TableStats, TableError> {
        let state = self.state.load();
        let engine = self.engine.stats().map_err(storage)?;
        let pairs = self.engine.approximate_len(state.space).map_err(storage)?;
        let beside = state.changes.pairs()
            + u64::from(state.binding.is_some())
            + u64::from(state.cursor.is_some())
            + u64::from(state.evicts)
            + u64::from(state.since.is_some());
        Ok(TableStats {
            rows: pairs.saturating_sub(beside),
            disk_bytes: engine.disk_bytes,
            engine: self.engine.name().to_owned(),
            changes_floor: state.changes.floor(),
        })
    }
}

impl State {
    /// Writes what a space has to say beside its rows, as far as it does not say so `before`.
    fn write(&self, before: Option<&Self>, batch: &mut WriteBatch) {
        let space = self.space;
        if let Some(binding) = &self.binding
            && before.is_none_or(|before| before.binding != self.binding)
        {
            batch.put(space, layout::BINDING, layout::encode(binding));
        }
        if self.evicts && before.is_none_or(|before| !before.evicts) {
            batch.put(space, layout::EVICTS, &b""[..]);
        }
        if before.and_then(|before| before.since) != self.since {
            match &self.since {
                Some(since) => batch.put(space, layout::SINCE, layout::encode(since)),
                None => batch.remove(space, layout::SINCE),
            }
        }
        if before.and_then(|before| before.cursor.as_ref()) != self.cursor.as_ref() {
            match &self.cursor {
                Some(cursor) => {
                    let scope = self.binding.as_ref().map(|binding| binding.scope.clone());
                    let record = CursorRecord::new(cursor.clone(), scope.unwrap_or_else(Scope::all));
                    batch.put(space, layout::CURSOR, record.encode());
                }
                None => batch.remove(space, layout::CURSOR),
            }
        }
        if before.is_none_or(|before| before.changes != self.changes) {
            batch.put(space, layout::CHANGES, layout::encode(&self.changes));
        }
    }

    fn read(
        engine: &dyn EngineSnapshot,
        name: &str,
        generation: u64,
        space: Space,
    ) -> Result<Self, TableError> {
        let get = |key: &'static [u8]| engine.get(space, key).map_err(storage);
        let cursor = get(layout::CURSOR)?
            .map(|bytes| CursorRecord::decode(&bytes))
            .transpose();
        Ok(Self {
            generation,
            space,
            binding: get(layout::BINDING)?
                .map(|bytes| layout::decode(name, &bytes))
                .transpose()?,
            evicts: get(layout::EVICTS)?.is_some(),
            since: get(layout::SINCE)?
                .map(|bytes| layout::decode(name, &bytes))
                .transpose()?,
            cursor: cursor
                .map_err(|error| corrupt(name, error))?
                .map(|record| record.cursor),
            changes: get(layout::CHANGES)?
                .map(|bytes| layout::decode(name, &bytes))
                .transpose()?
                .unwrap_or_default(),
        })
    }
}

/// The generation that is the table, after dropping whatever else a kill has left.
fn live_generation(engine: &dyn Engine, name: &str) -> Result<u64, TableError> {
    let prefix = format!("table.{name}.");
    let mut generations: Vec<u64> = engine
        .spaces()
        .map_err(storage)?
        .iter()
        .filter_map(|space| space.strip_prefix(&prefix)?.parse().ok())
        .collect();
    generations.sort_unstable();
    let mut live = generations.first().copied().unwrap_or(0);
    for generation in &generations {
        let space = engine.space(&space_name(name, *generation)).map_err(storage)?;
        if engine.get(space, layout::LIVE).map_err(storage)?.is_some() {
            live = *generation;
        }
    }
    for generation in generations.into_iter().filter(|generation| *generation != live) {
        engine
            .drop_space(&space_name(name, generation))
            .map_err(storage)?;
    }
    Ok(live)
}

fn space_name(table: &str, generation: u64) -> String {
    format!("table.{table}.{generation}")
}

fn storage(error: EngineError) -> TableError {
    match error {
        EngineError::Corrupt { path, source } => TableError::Corrupt { path, source },
        EngineError::Invalid(message) => TableError::Invalid(message),
        EngineError::Pairs(source) => TableError::Rows(source),
        other => TableError::Storage {
            kind: other.kind(),
            source: Box::new(other),
        },
    }
}

/// Something in the table's own rows makes no sense, though the engine found its files sound.
fn corrupt(table: &str, source: impl Into<BoxError>) -> TableError {
    TableError::Corrupt {
        path: PathBuf::from(format!("table {table}")),
        source: source.into(),
    }
}
