//! [`MemoryCursorStore`]: cursors for the life of a process.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alluvium_core::cursor_store::cursor_key;
use alluvium_core::{CursorRecord, CursorStore, CursorStoreError, HeldCursor};
use async_trait::async_trait;

/// Cursors in RAM, gone with the process: for tests, and for consumers that begin anew with every start but survive
/// their own restarts. Clones have the same cursors.
///
/// ```
/// use alluvium_core::{Cursor, CursorRecord, CursorStore, CursorStoreError, LogIdentity, Scope, Timestamp};
/// use alluvium_memory::MemoryCursorStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cursors = MemoryCursorStore::new();
/// let first = cursors.hold("mailer").await?;
/// let log = LogIdentity::new("ORDERS", Timestamp::from_nanos(1));
/// let record = CursorRecord::new(Cursor::start_of(log), Scope::all());
/// first.save(&record).await?;
///
/// let second = cursors.hold("mailer").await?;
/// assert_eq!(second.load().await?.as_ref(), Some(&record));
/// assert!(matches!(first.save(&record).await, Err(CursorStoreError::Fenced { .. })));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct MemoryCursorStore(Arc<Mutex<Cursors>>);

#[derive(Default)]
struct Cursors {
    records: BTreeMap<String, CursorRecord>,
    /// Who holds a name.
    holders: BTreeMap<String, u64>,
    /// The number of the last holder of any name.
    last: u64,
}

impl MemoryCursorStore {
    /// Without any cursors.
    pub fn new() -> Self {
        Self::default()
    }

    /// A poisoned lock is fine: nothing panics half way through a change.
    fn cursors(&self) -> MutexGuard<'_, Cursors> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MemoryCursorStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryCursorStore")
            .field("records", &self.cursors().records)
            .finish_non_exhaustive()
    }
}

/// A name that is refused elsewhere is refused here: what is tried in memory is to work on disk.
fn check_name(name: &str) -> Result<(), CursorStoreError> {
    cursor_key(name, '%').map(drop)
}

#[async_trait]
impl CursorStore for MemoryCursorStore {
    async fn hold(&self, name: &str) -> Result<Arc<dyn HeldCursor>, CursorStoreError> {
        check_name(name)?;
        let mut cursors = self.cursors();
        cursors.last += 1;
        let number = cursors.last;
        cursors.holders.insert(name.to_owned(), number);
        Ok(Arc::new(Held {
            store: self.clone(),
            name: name.to_owned(),
            number,
        }))
    }

    async fn load(&self, name: &str) -> Result<Option<CursorRecord>, CursorStoreError> {
        check_name(name)?;
        Ok(self.cursors().records.get(name).cloned())
    }

    async fn remove(&self, name: &str) -> Result<(), CursorStoreError> {
        check_name(name)?;
        let mut cursors = self.cursors();
        cursors.holders.remove(name);
        cursors.records.remove(name);
        Ok(())
    }

    async fn list(&self) -> Result<Vec<String>, CursorStoreError> {
        Ok(self.cursors().records.keys().cloned().collect())
    }
}

struct Held {
    store: MemoryCursorStore,
    name: String,
    number: u64,
}

impl Held {
    fn cursors(&self) -> Result<MutexGuard<'_, Cursors>, CursorStoreError> {
        let cursors = self.store.cursors();
        if cursors.holders.get(&self.name) == Some(&self.number) {
            return Ok(cursors);
        }
        Err(CursorStoreError::Fenced {
            name: self.name.clone(),
        })
    }
}

#[async_trait]
impl HeldCursor for Held {
    fn name(&self) -> &str {
        &self.name
    }

    async fn load(&self) -> Result<Option<CursorRecord>, CursorStoreError> {
        Ok(self.cursors()?.records.get(&self.name).cloned())
    }

    async fn save(&self, record: &CursorRecord) -> Result<(), CursorStoreError> {
        self.cursors()?.records.insert(self.name.clone(), record.clone());
        Ok(())
    }
}
