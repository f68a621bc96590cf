//! The load of a table from an artifact that is there, or on its way.

use std::iter;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use alluvium_core::{Binding, BoxError, Cursor, Sequence, Table, TableError};
use tokio::sync::oneshot;

use super::BootstrapError;
use super::directory::Directory;
use super::report::Meter;
use super::rows::{ArtifactRows, Part};

/// After so many rows it is told how far the load has come.
const TELL_EVERY: u64 = 16_384;

/// Where a load is put: on a thread that may be kept waiting.
pub(crate) type Place<'a> = dyn Fn(Load) -> Result<(), BootstrapError> + Send + Sync + 'a;

/// A load of a table. Gives the cursor that the table has then, if it did not fail.
pub(crate) type Load = Box<dyn FnOnce(&dyn Table) -> Option<Cursor> + Send>;

/// Everything that a load needs.
pub(super) struct Filling {
    /// Held until the load is over: nobody else may use it until then.
    pub(super) directory: Arc<Directory>,
    pub(super) parts: Vec<Part>,
    pub(super) binding: Binding,
    pub(super) cursor: Cursor,
    /// Whether the table that the artifact is of had seen that its log can evict.
    pub(super) has_evicted: bool,
    /// From where on that table has seen its log.
    pub(super) since: Option<Sequence>,
    /// Rows below it are left out.
    pub(super) first: Sequence,
    /// Told once everything has come and is still wanted.
    pub(super) confirmation: oneshot::Receiver<()>,
    pub(super) track_changes: bool,
    pub(super) stopped: Arc<AtomicBool>,
    pub(super) meter: Meter,
}

impl Filling {
    pub(super) fn fill(self, table: &dyn Table) -> Result<Cursor, BootstrapError> {
        table.bind(&self.binding)?;
        // Before there is anything that rests on it.
        if self.has_evicted && !table.has_evicted() {
            table.remember_eviction()?;
            table.sync()?;
        }
        // After a kill in the middle it claims no more than it has.
        if self.since > table.since() {
            table.remember_since(self.since)?;
        }
        let (is_new, tracked) = (table.cursor().is_none(), table.stats()?.changes_floor.is_some());
        let (cursor, since, track) = (self.cursor.clone(), self.since, self.track_changes);
        if track {
            table.track_changes(true)?;
        }
        let loaded = self.load(table);
        if loaded.is_err() && track && is_new && !tracked {
            // Whatever fills the table instead would pay for it.
            table.track_changes(false)?;
        }
        loaded?;
        if since != table.since() {
            table.remember_since(since)?;
        }
        Ok(cursor)
    }

    fn load(self, table: &dyn Table) -> Result<(), BootstrapError> {
        let mut count = 0;
        let rows = ArtifactRows::new(self.directory.path(), self.parts, self.binding.scope);
        let first = self.first;
        let rows = rows.filter(|row| row.as_ref().map_or(true, |(_, entry)| entry.sequence >= first));
        let rows = rows.map(|row| {
            count += 1;
            if count % TELL_EVERY == 0 {
                self.meter.set_rows(count);
            }
            if self.stopped.load(Ordering::Relaxed) {
                return Err(BootstrapError::Stopped.into());
            }
            row.map_err(BoxError::from)
        });
        // Whoever does not confirm tells why.
        let confirmed = || self.confirmation.blocking_recv();
        let refused = iter::once_with(confirmed).filter_map(Result::err);
        let mut rows = rows.chain(refused.map(|_| Err(BootstrapError::Stopped.into())));
        let loaded = table.load(&mut rows, &self.cursor);
        drop(rows);
        loaded.map_err(|error| match error {
            TableError::Rows(source) => match source.downcast::<BootstrapError>() {
                Ok(error) => *error,
                Err(source) => TableError::Rows(source).into(),
            },
            error => error.into(),
        })?;
        self.meter.set_rows(count);
        Ok(())
    }
}
