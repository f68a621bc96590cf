//! [`MemoryLeaseStore`]: leases between the parts of one process.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use alluvium_core::lease::{Cell, CellSwap, LeaseCells};
use alluvium_core::{Clock, LeaseError, SystemClock};
use async_trait::async_trait;
use bytes::Bytes;

/// Leases in RAM, gone with the process: for tests, and for several replicas in one process.
///
/// Clones have the same leases. It is a [`LeaseStore`](alluvium_core::LeaseStore), by way of [`LeaseCells`].
///
/// ```
/// use std::time::Duration;
/// use alluvium_core::{Acquired, LeaseStore};
/// use alluvium_memory::MemoryLeaseStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let leases = MemoryLeaseStore::new();
/// let first = leases.try_acquire("export", "node-1", Duration::from_secs(30)).await?;
/// let lease = first.lease().ok_or("nobody held it")?;
/// let second = leases.try_acquire("export", "node-2", Duration::from_secs(30)).await?;
/// assert!(matches!(second, Acquired::Held { by, .. } if by == "node-1"));
///
/// leases.complete(lease, "at 42", Duration::from_secs(60)).await?;
/// let third = leases.try_acquire("export", "node-2", Duration::from_secs(30)).await?;
/// assert!(matches!(&third, Acquired::Resting { .. }));
/// assert_eq!(third.last().map(|last| last.note.as_str()), Some("at 42"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct MemoryLeaseStore {
    clock: Arc<dyn Clock>,
    cells: Arc<Mutex<HashMap<String, Cell<u64>>>>,
}

impl MemoryLeaseStore {
    /// Without any leases, by the clock of the machine.
    pub fn new() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            cells: Arc::default(),
        }
    }

    /// The same leases, by another clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }
}

impl Default for MemoryLeaseStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryLeaseStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryLeaseStore").finish_non_exhaustive()
    }
}

#[async_trait]
impl LeaseCells for MemoryLeaseStore {
    /// How many contents there were.
    type Version = u64;

    fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }

    fn location(&self, name: &str) -> String {
        format!("the lease {name:?} in memory")
    }

    async fn read_cell(&self, name: &str) -> Result<Cell<u64>, LeaseError> {
        let cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(cells.get(name).cloned().unwrap_or(NEVER_WRITTEN))
    }

    async fn swap_cell(&self, name: &str, over: &u64, content: Bytes) -> Result<CellSwap<u64>, LeaseError> {
        let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        let cell = cells.entry(name.to_owned()).or_insert(NEVER_WRITTEN);
        if cell.version != *over {
            return Ok(CellSwap::Lost(cell.clone()));
        }
        *cell = Cell {
            content: Some(content),
            version: over.saturating_add(1),
        };
        Ok(CellSwap::Done)
    }
}

const NEVER_WRITTEN: Cell<u64> = Cell {
    content: None,
    version: 0,
};
