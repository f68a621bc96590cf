//! A table over another one: it tells when its snapshots are gone, and its scans fail where they are told to.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use alluvium_core::{
    Binding, BoxError, Change, ChangesSince, Cursor, Entry, ErrorKind, KeyRange, Row, RowIter, Sequence,
    Table, TableError, TableSnapshot, TableStats,
};
use alluvium_engine::EngineTable;

pub(crate) struct WatchedTable {
    inner: Arc<EngineTable>,
    gone: Sender<()>,
    fails_after: Option<usize>,
}

struct WatchedSnapshot {
    inner: Arc<dyn TableSnapshot>,
    /// Told when the snapshot is dropped.
    _gone: Gone,
    fails_after: Option<usize>,
}

struct Gone(Sender<()>);

impl Drop for Gone {
    fn drop(&mut self) {
        // The test may be over.
        let _ = self.0.send(());
    }
}

impl WatchedTable {
    /// The table, and what is told for each snapshot that is gone.
    pub(crate) fn new(inner: Arc<EngineTable>) -> (Self, Receiver<()>) {
        let (gone, told) = channel();
        let table = Self {
            inner,
            gone,
            fails_after: None,
        };
        (table, told)
    }

    /// The table whose scans fail after so many rows.
    pub(crate) fn failing(inner: Arc<EngineTable>, rows: usize) -> Self {
        Self {
            fails_after: Some(rows),
            ..Self::new(inner).0
        }
    }
}

impl Table for WatchedTable {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn binding(&self) -> Option<Binding> {
        self.inner.binding()
    }

    fn bind(&self, binding: &Binding) -> Result<(), TableError> {
        self.inner.bind(binding)
    }

    fn has_evicted(&self) -> bool {
        self.inner.has_evicted()
    }

    fn remember_eviction(&self) -> Result<(), TableError> {
        self.inner.remember_eviction()
    }

    fn since(&self) -> Option<Sequence> {
        self.inner.since()
    }

    fn remember_since(&self, since: Option<Sequence>) -> Result<(), TableError> {
        self.inner.remember_since(since)
    }

    fn cursor(&self) -> Option<Cursor> {
        self.inner.cursor()
    }

    fn apply(&self, changes: &[Change], cursor: &Cursor) -> Result<(), TableError> {
        self.inner.apply(changes, cursor)
    }

    fn amend(&self, changes: &[Change]) -> Result<(), TableError> {
        self.inner.amend(changes)
    }

    fn forget(&self, keys: &[bytes::Bytes]) -> Result<(), TableError> {
        self.inner.forget(keys)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Entry>, TableError> {
        self.inner.get(key)
    }

    fn snapshot(&self) -> Result<Arc<dyn TableSnapshot>, TableError> {
        Ok(Arc::new(WatchedSnapshot {
            inner: self.inner.snapshot()?,
            _gone: Gone(self.gone.clone()),
            fails_after: self.fails_after,
        }))
    }

    fn load(
        &self,
        rows: &mut dyn Iterator<Item = Result<Row, BoxError>>,
        cursor: &Cursor,
    ) -> Result<(), TableError> {
        self.inner.load(rows, cursor)
    }

    fn track_changes(&self, on: bool) -> Result<(), TableError> {
        self.inner.track_changes(on)
    }

    fn sync(&self) -> Result<(), TableError> {
        self.inner.sync()
    }

    fn stats(&self) -> Result<TableStats, TableError> {
        self.inner.stats()
    }
}

impl TableSnapshot for WatchedSnapshot {
    fn cursor(&self) -> Option<Cursor> {
        self.inner.cursor()
    }

    fn get(&self, key: &[u8]) -> Result<Option<Entry>, TableError> {
        self.inner.get(key)
    }

    fn scan(&self, range: &KeyRange) -> Result<RowIter, TableError> {
        let rows = self.inner.scan(range)?;
        let Some(fails_after) = self.fails_after else {
            return Ok(rows);
        };
        let failure = TableError::Storage {
            kind: ErrorKind::Corrupt,
            source: "a damaged block".into(),
        };
        Ok(RowIter::reading_ahead(
            rows.take(fails_after).chain([Err(failure)]),
        ))
    }

    fn changes_since(&self, since: Sequence) -> Result<ChangesSince, TableError> {
        self.inner.changes_since(since)
    }
}
