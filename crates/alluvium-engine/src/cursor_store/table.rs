//! [`TableCursorStore`]: the cursor of a table, moved in the commit of its rows.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use alluvium_core::{
    Change, Cursor, CursorRecord, CursorStore, CursorStoreError, HeldCursor, KeyRange, Table, TableError,
};
use async_trait::async_trait;

use super::{blocking, unpoisoned};

/// The one cursor of a table. Its name is that of the table.
///
/// Whoever handles messages and keeps what comes of them as rows of a table saves both in one commit,
/// [`save_with`](HeldCursor::save_with): after a crash the rows are exactly those that the messages up to the cursor
/// made. The rows may have any keys. Each has for sequence that of the message that it came from, or of the last message of
/// the batch; the last row of a key in a save counts, and a delete removes it.
///
/// What follows from the cursor being the table's:
///
/// - It never moves back, for the rows would not: such a save is [`CursorStoreError::Invalid`]. To start anew, drop the table.
/// - It cannot be removed: [`CursorStoreError::Unsupported`].
/// - The table is bound to the log and scope of the first record, for ever.
/// - Nobody else may write to the table. There is one such store of a table, as there is one handle of it; clones are the same
///   store.
///
/// ```
/// use std::sync::Arc;
/// use alluvium_core::{Change, Cursor, CursorRecord, CursorStore, LogIdentity, Scope, Sequence, Table, Timestamp};
/// use alluvium_engine::{EngineTable, TableCursorStore};
/// use alluvium_memory::MemoryEngine;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let engine = Arc::new(MemoryEngine::in_memory());
/// let totals: Arc<dyn Table> = Arc::new(EngineTable::open(engine, "totals")?);
/// let held = TableCursorStore::new(Arc::clone(&totals)).hold("totals").await?;
///
/// let start = Cursor::start_of(LogIdentity::new("ORDERS", Timestamp::from_nanos(1)));
/// let (sequence, timestamp) = (Sequence::new(7), Timestamp::from_nanos(2));
/// let sum = Change::put("anna", "30", sequence, timestamp);
/// held.save_with(&CursorRecord::new(start.at(sequence, timestamp), Scope::all()), vec![sum].into()).await?;
/// assert_eq!(totals.get(b"anna")?.map(|row| row.value).as_deref(), Some(&b"30"[..]));
/// assert_eq!(totals.cursor().map(|cursor| cursor.sequence), Some(sequence));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct TableCursorStore(Arc<Inner>);

struct Inner {
    table: Arc<dyn Table>,
    /// The name to show for it.
    path: PathBuf,
    /// The number of the last holder, and what its cursor is. Held while the table is written.
    holder: Mutex<Holder>,
}

#[derive(Default)]
struct Holder {
    number: u64,
    cursor: Option<Cursor>,
}

impl TableCursorStore {
    /// The cursor of this table.
    pub fn new(table: Arc<dyn Table>) -> Self {
        Self(Arc::new(Inner {
            path: format!("the table {}", table.name()).into(),
            table,
            holder: Mutex::default(),
        }))
    }

    /// The table.
    pub fn table(&self) -> &Arc<dyn Table> {
        &self.0.table
    }

    async fn blocking<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Arc<Inner>) -> Result<T, CursorStoreError> + Send + 'static,
    ) -> Result<T, CursorStoreError> {
        let inner = Arc::clone(&self.0);
        blocking(doing, &self.0.path, move || work(&inner)).await
    }
}

impl Inner {
    fn check_name(&self, name: &str) -> Result<(), CursorStoreError> {
        if name == self.table.name() {
            return Ok(());
        }
        Err(CursorStoreError::Invalid(format!(
            "{name:?} is no cursor of the table {:?}, which has one of its own name alone",
            self.table.name()
        )))
    }

    fn record(&self) -> Result<Option<CursorRecord>, CursorStoreError> {
        if let (Some(cursor), Some(binding)) = (self.table.cursor(), self.table.binding()) {
            return Ok(Some(CursorRecord::new(cursor, binding.scope)));
        }
        let snapshot = self.table.snapshot().map_err(|error| self.error("read", error))?;
        let mut rows = snapshot
            .scan(&KeyRange::all())
            .map_err(|error| self.error("read", error))?;
        match rows.next() {
            None => Ok(None),
            Some(Ok(_)) => Err(CursorStoreError::Corrupt {
                path: self.path.clone(),
                source: "it has rows and no cursor: somebody else has written to it".into(),
            }),
            Some(Err(error)) => Err(self.error("read", error)),
        }
    }

    /// To be called with the lock.
    fn write(
        &self,
        holder: &mut Holder,
        record: &CursorRecord,
        rows: &[Change],
    ) -> Result<(), CursorStoreError> {
        self.table
            .bind(&record.binding())
            .map_err(|error| self.error("bind", error))?;
        let cursor = &record.cursor;
        if let Some(at) = &holder.cursor {
            if cursor.log != at.log {
                return Err(CursorStoreError::Invalid(format!(
                    "{} was created again since the rows of {} were written: start with another table",
                    at.log,
                    self.path.display()
                )));
            }
            // The table would take what lies behind for applied, and leave it out.
            let lost = rows.iter().find(|row| row.sequence <= at.sequence);
            if cursor.sequence < at.sequence || lost.is_some() {
                return Err(CursorStoreError::Invalid(format!(
                    "{} is at {}, and cannot be written at {}: rows do not go back",
                    self.path.display(),
                    at.sequence,
                    lost.map_or(cursor.sequence, |row| row.sequence)
                )));
            }
        }
        let applied = self.table.apply(rows, cursor);
        applied.map_err(|error| self.error("write to", error))?;
        holder.cursor = self.table.cursor();
        Ok(())
    }

    fn error(&self, doing: &'static str, error: TableError) -> CursorStoreError {
        match error {
            TableError::Corrupt { path, source } => CursorStoreError::Corrupt { path, source },
            TableError::Mismatch { stored, expected } => CursorStoreError::Mismatch { stored, expected },
            TableError::Invalid(what) => CursorStoreError::Invalid(what),
            other => CursorStoreError::Storage {
                doing,
                path: self.path.clone(),
                kind: other.kind(),
                source: other.into(),
            },
        }
    }
}

#[async_trait]
impl CursorStore for TableCursorStore {
    async fn hold(&self, name: &str) -> Result<Arc<dyn HeldCursor>, CursorStoreError> {
        self.0.check_name(name)?;
        let store = self.clone();
        let number = self
            .blocking("hold", |inner| {
                let mut holder = unpoisoned(&inner.holder);
                inner.record()?;
                holder.number += 1;
                holder.cursor = inner.table.cursor();
                Ok(holder.number)
            })
            .await?;
        Ok(Arc::new(HeldTable { store, number }))
    }

    async fn load(&self, name: &str) -> Result<Option<CursorRecord>, CursorStoreError> {
        self.0.check_name(name)?;
        self.blocking("read", |inner| inner.record()).await
    }

    async fn remove(&self, name: &str) -> Result<(), CursorStoreError> {
        self.0.check_name(name)?;
        Err(CursorStoreError::Unsupported {
            name: name.to_owned(),
            what: "it goes with the rows of its table: drop the table",
        })
    }

    async fn list(&self) -> Result<Vec<String>, CursorStoreError> {
        let name = self.0.table.cursor().map(|_| self.0.table.name().to_owned());
        Ok(name.into_iter().collect())
    }
}

struct HeldTable {
    store: TableCursorStore,
    number: u64,
}

impl HeldTable {
    async fn held<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Inner, &mut Holder) -> Result<T, CursorStoreError> + Send + 'static,
    ) -> Result<T, CursorStoreError> {
        let number = self.number;
        self.store
            .blocking(doing, move |inner| {
                let mut holder = unpoisoned(&inner.holder);
                // The second is for another store of the same table, which there should not be.
                if holder.number == number && holder.cursor == inner.table.cursor() {
                    return work(inner, &mut holder);
                }
                Err(CursorStoreError::Fenced {
                    name: inner.table.name().to_owned(),
                })
            })
            .await
    }
}

#[async_trait]
impl HeldCursor for HeldTable {
    fn name(&self) -> &str {
        self.store.0.table.name()
    }

    async fn load(&self) -> Result<Option<CursorRecord>, CursorStoreError> {
        self.held("read", |inner, _| inner.record()).await
    }

    async fn save(&self, record: &CursorRecord) -> Result<(), CursorStoreError> {
        self.save_with(record, Arc::default()).await
    }

    async fn save_with(
        &self,
        record: &CursorRecord,
        mut rows: Arc<[Change]>,
    ) -> Result<(), CursorStoreError> {
        let record = record.clone();
        // A handler need not bring them in order; those of one message stay in theirs.
        if !rows.is_sorted_by_key(|row| row.sequence) {
            let mut sorted = rows.to_vec();
            sorted.sort_by_key(|row| row.sequence);
            rows = sorted.into();
        }
        self.held("write to", move |inner, holder| {
            inner.write(holder, &record, &rows)
        })
        .await
    }
}
