//! A table that follows its log.

mod account;
mod applier;
mod bootstrap;
mod builder;
mod decide;
mod driver;
mod forget;
mod heard;
mod listed;
mod mend;
mod missing;
mod newcomers;
mod piece;
mod queue;
mod reconcile;
mod repair;
mod restore;
mod retain;
mod status;
mod witness;

use std::sync::Arc;

use alluvium_core::{Batch, Entry, KeyRange, RowIter, Sequence, Table, TableError, TableSnapshot};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

pub use self::builder::ReplicaBuilder;
pub use self::status::{BootstrapStatus, ReconcileProgress, State, Status};
use crate::artifact::Request;
use crate::{ExportError, ReplicaError, Round};

/// A table that follows its log, in the background, until it is shut down or dropped.
///
/// The table may be read at any time, through here or directly. What it shows is the log's state at
/// [`Status::cursor`], which survives a kill at any instant: the next replica on the same table goes on from there.
///
/// Dropping the handle stops the replica without waiting for it; [`shutdown`](Replica::shutdown) waits.
#[derive(Debug)]
pub struct Replica {
    table: TableHandle,
    status: watch::Receiver<Status>,
    batches: broadcast::Sender<Arc<Batch>>,
    /// Tells the driver to stop; the driver's end is told by the status.
    stop: watch::Sender<bool>,
    /// Asks for rounds of exports, if there is a schedule.
    exports: Option<mpsc::Sender<Request>>,
}

/// A table in a struct that can be debugged.
#[derive(Clone)]
struct TableHandle(Arc<dyn Table>);

impl std::fmt::Debug for TableHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Table").field(&self.0.name()).finish()
    }
}

impl Replica {
    /// What the table holds for a key.
    ///
    /// # Errors
    ///
    /// Those of [`Table::get`].
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Entry>, TableError> {
        self.table.0.get(key.as_ref())
    }

    /// The rows in a range, in key order, as of now: later changes are not seen.
    ///
    /// # Errors
    ///
    /// Those of [`TableSnapshot::scan`].
    pub fn scan(&self, range: &KeyRange) -> Result<RowIter, TableError> {
        self.table.0.snapshot()?.scan(range)
    }

    /// A view that stands still, with the cursor it is exact at.
    ///
    /// # Errors
    ///
    /// Those of [`Table::snapshot`].
    pub fn snapshot(&self) -> Result<Arc<dyn TableSnapshot>, TableError> {
        self.table.0.snapshot()
    }

    /// The table itself.
    pub fn table(&self) -> &Arc<dyn Table> {
        &self.table.0
    }

    /// Waits until everything up to `sequence` is applied and can be read: after a put that was acknowledged with this
    /// sequence, a [`get`](Replica::get) sees it. A sequence that was never given out is waited for like any other.
    ///
    /// # Errors
    ///
    /// Why the replica stopped, if it does before.
    pub async fn wait_for(&self, sequence: Sequence) -> Result<(), ReplicaError> {
        self.wait_until(|status| status.position() >= sequence).await
    }

    /// Waits until the replica has once caught up with its log since it was started.
    ///
    /// # Errors
    ///
    /// Why the replica stopped, if it does before.
    pub async fn caught_up(&self) -> Result<(), ReplicaError> {
        self.wait_until(|status| status.caught_up.is_some()).await
    }

    async fn wait_until(&self, reached: impl Fn(&Status) -> bool) -> Result<(), ReplicaError> {
        let mut status = self.status.clone();
        // The sender lives as long as the driver; a driver that ends says why first.
        let status = status
            .wait_for(|status| reached(status) || status.state.is_over())
            .await;
        match status {
            Ok(status) if reached(&status) => Ok(()),
            Ok(status) => Err(status.error.clone().unwrap_or(ReplicaError::ShutDown)),
            Err(_) => Err(ReplicaError::ShutDown),
        }
    }

    /// The changes as they are applied, from the next batch on. A subscriber that is too slow is told how much it
    /// missed; it never slows the replica down.
    pub fn subscribe(&self) -> Subscription {
        Subscription {
            batches: self.batches.subscribe(),
        }
    }

    /// How the replica is doing.
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// How the replica is doing, as it changes.
    pub fn watch_status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Exports the table now, as the [schedule](ReplicaBuilder::export) that the replica was built with says, and returns when
    /// that is done. It waits for a round that runs, and is left to another node that is at one; it does not wait for a lease
    /// that rests, and goes without it then. Whoever stops waiting does not stop the round.
    ///
    /// # Errors
    ///
    /// [`ExportError::NotScheduled`] without a schedule, [`ExportError::Stopped`] if the replica stops before it is done, and
    /// those of [`Exporter::export`](crate::Exporter::export). The replica goes on.
    pub async fn export_now(&self) -> Result<Round, Arc<ExportError>> {
        let stopped = || Arc::new(ExportError::Stopped);
        let requests = self
            .exports
            .as_ref()
            .ok_or_else(|| Arc::new(ExportError::NotScheduled))?;
        let (request, done) = oneshot::channel();
        requests.send(request).await.map_err(|_| stopped())?;
        done.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Waits until the replica stops by itself, which it does only on an error, or is shut down from elsewhere.
    ///
    /// # Errors
    ///
    /// Why it stopped.
    pub async fn stopped(&self) -> Result<(), ReplicaError> {
        let mut status = self.status.clone();
        match status.wait_for(|status| status.state.is_over()).await {
            Ok(status) => status.error.clone().map_or(Ok(()), Err),
            Err(_) => Ok(()),
        }
    }

    /// Tells the replica to stop, without waiting until it has: see [`shutdown`](Replica::shutdown), which does.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Stops reading, applies what has been received, syncs the table, and returns when nothing of the replica runs any
    /// more. The table stays open.
    ///
    /// # Errors
    ///
    /// The error that had stopped the replica before, or one of the last commits.
    pub async fn shutdown(self) -> Result<(), ReplicaError> {
        self.stop();
        self.stopped().await
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Changes as they are applied.
#[derive(Debug)]
pub struct Subscription {
    batches: broadcast::Receiver<Arc<Batch>>,
}

/// Why there is no next batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubscriptionError {
    /// The subscriber was too slow: so many batches were dropped. The next call goes on with the oldest one still held;
    /// to be whole again, take a snapshot and go on after its cursor.
    #[error("{missed} batches were missed: take a snapshot and go on after its cursor")]
    Lagged {
        /// How many batches.
        missed: u64,
    },
    /// The replica has stopped.
    #[error("the replica has stopped")]
    Closed,
}

impl Subscription {
    /// The next batch, once it is applied.
    ///
    /// # Errors
    ///
    /// [`SubscriptionError::Lagged`] if batches were dropped in between, [`SubscriptionError::Closed`] at the end.
    pub async fn next(&mut self) -> Result<Arc<Batch>, SubscriptionError> {
        self.batches.recv().await.map_err(|error| match error {
            broadcast::error::RecvError::Lagged(missed) => SubscriptionError::Lagged { missed },
            broadcast::error::RecvError::Closed => SubscriptionError::Closed,
        })
    }
}
