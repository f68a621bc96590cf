//! [`Partitions`]: several processes share a log, each with workers of its own for some of its partitions.
//!
//! The log is partitioned by subject, by the server: a mapping such as `orders.*` to
//! `orders.{{partition(16,1)}}.{{wildcard(1)}}` puts a number into the subject that depends on the key, so that all messages of one
//! key are in one partition, in order. Each partition has a lease and a cursor. There is no coordinator: whoever has the lease
//! works on the partition.
//!
//! # The order of things
//!
//! A process that wants a partition
//!
//! 1. acquires its **lease**, and with that an assignment version above that of everybody who had it before;
//! 2. **holds** its cursor, which keeps everybody out who held it before;
//! 3. **renews** the lease. If it was lost in the meantime, nothing was done and nothing is;
//! 4. **starts** a [`Worker`] from where the last commit was.
//!
//! It renews the lease at every third of its time. It stops the worker at once, and commits nothing, when a renewal says that the
//! lease was lost, or none succeeded within the time of the lease: counted from before the last successful one was asked for,
//! by a clock that nobody sets.
//!
//! Whoever acquires the lease after that holds the cursor after that: since a worker starts only when the lease was still there *after*
//! the cursor was held, every worker is fenced by the one that succeeds it. The other way round, one that was stopped between 1 and 2
//! and wakes up late holds a cursor that is worked on. It is told at 3, and the one it has disturbed renews its lease, holds the
//! cursor again and goes on from its last commit.
//!
//! A process that leaves a partition, because it stops or has more than its share, finishes and commits the delivery in hand
//! first, and abandons the lease then: whoever looks next acquires it.
//!
//! # What is guaranteed
//!
//! 1. **At least once.** Every message of every partition is given until its delivery is committed, as
//!    [`Worker`] says, whoever has the partition by then.
//! 2. **In order per key.** A key's messages are in one partition, and a partition's deliveries follow one another in the order of the
//!    log. After a takeover they go back to the last commit and follow one another from there.
//! 3. **One commits.** A process that was taken for dead, and is not, commits nothing any more: the cursor is held by its successor.
//!    Neither does one whose lease is over by its own clock, and whom nobody has succeeded yet.
//! 4. **A successor has a higher version.** [`Evidence::assignment`](alluvium_core::Evidence::assignment) of everything that a worker
//!    is given is the assignment version of its lease, as obligation 7 of [`LeaseStore`] says.
//!
//! What a process does at the moment it is taken for dead cannot be undone by a lease or a cursor: a handler that is stopped in the
//! middle of its work (SIGSTOP, a frozen virtual machine) goes on with it when it wakes up, perhaps while its successor works. Effects that
//! must not come from two are to be **refused where they are kept**, by the version:
//!
//! - a **stream of effects**, with one subject per partition: who starts on a partition reads the last message there, and publishes one with
//!   its own version that expects that one to be the last (`Nats-Expected-Last-Subject-Sequence`); every effect then expects the one
//!   before. What a predecessor publishes expects a message that is not the last any more, and is refused by the server;
//! - a **key-value bucket**: the value carries the version, and is written by its revision. Whoever reads a version above its own stops.
//!   This keeps effects on that key apart, and no others;
//! - the **table of a cursor store**: rows that are put with [`Delivery::put`](crate::Delivery::put) are one commit with the cursor, and
//!   are refused with it;
//! - a **state backend**: [`fence`](alluvium_core::StateBackend::fence) with the version before the worker starts.
//!
//! Clocks: a lease is taken over when it is over by the clock of whoever takes it. If clocks are apart, a partition is taken over that
//! much sooner or later; what is guaranteed does not depend on it, but for the version where a record was damaged or removed.
//! The clock of a machine that is suspended may stand still: that is a process that is stopped.
//!
//! # Fair shares
//!
//! Each process makes itself known by a lease of its own, in the first free one of a fixed number of slots, and counts those that are held.
//! By its rank among them it knows its share: of 16 partitions, three processes have 6, 5 and 5. Who has more leaves the rest, who
//! has less tries those that it does not have. A process that comes or goes is noticed at the next look, one that dies when
//! its slot is over, and its partitions are taken over when theirs are.
//!
//! What that asks of the lease store, per process: at each look (every sixth of the ttl, and sooner only for a lease that is about to be
//! over, no more often than ten times that) a read for each slot, and while it has less than its share one for each partition that it does not
//! have; at every third of the ttl a read and a write for each partition that it has, and for its slot. With a ttl of 10 s, 16 partitions
//! and 16 slots that is at most 14 requests a second for a process with a third of the partitions.
//!
//! # More or fewer partitions
//!
//! The number can be raised: first in every process, then in the mapping of the server. A key may then be in another partition than
//! before, and its newer messages can overtake older ones that are not handled yet, unless the log was worked off in between.

mod builder;
mod claim;
mod driver;
mod error;
mod event;
mod gate;
mod holding;
mod members;
mod scopes;
mod share;
mod status;

use std::fmt;
use std::sync::Arc;

use alluvium_core::lease::LeaseState;
use alluvium_core::{AssignmentVersion, CursorStore, LeaseError, LeaseStore, Log};
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use builder::PartitionsBuilder;
pub use error::{PartitionError, PartitionsError};
pub use event::{LossReason, PartitionEvent};
pub use holding::Assigned;
pub use scopes::PartitionScopes;
pub use status::{HeldPartition, PartitionRecord, PartitionsStatus};

use claim::Leases;
use holding::{Shared, partition_name};

use crate::task::joined;

/// The most partitions.
const MAX_PARTITIONS: u32 = 4_096;

/// This process's part in the work on a log that several processes share, partition by partition, until it is stopped or dropped.
///
/// Every process of the same name, with the same log, [scopes](PartitionScopes), lease store and cursor store, has about as many
/// partitions as every other, and a [`Worker`](crate::Worker) for each. What a process leaves behind is taken over by the others: at once if it was
/// stopped, within the ttl of the leases if it died. Each message is handled at least once and in order per key; one that was
/// taken for dead commits nothing, and its effects carry an older
/// [assignment version](alluvium_core::Evidence::assignment) than those of its successor, by which they can be refused.
///
/// How that comes about, what is guaranteed and what the handler has to do for it:
///
/// - To acquire, to hold the cursor, to confirm the lease, to work: in this order, so that whoever works is fenced by its successor.
/// - Leases are renewed at a third of their time. One that is lost, or not renewed in time, stops its worker at once.
/// - Effects are at least once. Those that must not come from two processes are to be refused where they are kept: by a stream of effects
///   with `Nats-Expected-Last-Subject-Sequence`, a bucket's revisions, the table that holds the cursor, or
///   [`StateBackend::fence`](alluvium_core::StateBackend::fence), each with the version.
/// - Who is alive is told by leases in a fixed number of slots: per look a read for each.
///
/// Dropping the handle stops it without waiting, as [`stop`](Partitions::stop) does.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use alluvium_memory::{MemoryCursorStore, MemoryLeaseStore, MemoryLog};
/// use alluvium_runtime::{Action, Delivery, PartitionScopes, Partitions};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let log = MemoryLog::new("ORDERS");
/// for order in 0..100 {
///     log.put(format!("orders.{}.{order}", order % 4), "2 lemons");
/// }
/// let (counted, mut count) = tokio::sync::mpsc::unbounded_channel();
/// let scopes = PartitionScopes::new("orders.{partition}.>", 4)?;
/// let (leases, cursors) = (MemoryLeaseStore::new(), MemoryCursorStore::new());
/// let partitions = Partitions::builder("counter", Arc::new(log), scopes, Arc::new(leases), Arc::new(cursors))
///     .held_by("node-1")
///     .ttl(Duration::from_secs(10))
///     .start(move |assigned, worker| {
///         let counted = counted.clone();
///         async move {
///             let handler = move |delivery: Delivery| {
///                 let counted = counted.clone();
///                 async move {
///                     counted.send((assigned.partition, delivery.len()))?;
///                     Ok(Action::Continue)
///                 }
///             };
///             Ok(worker.start(handler).await?)
///         }
///     })?;
///
/// let mut all = 0;
/// while all < 100 {
///     let (_partition, some) = count.recv().await.ok_or("the workers are gone")?;
///     all += some;
/// }
/// partitions.stop_and_join().await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "partitions that are dropped are left"]
pub struct Partitions {
    shared: Arc<Shared>,
    scopes: PartitionScopes,
    leases: Leases,
    status: watch::Receiver<PartitionsStatus>,
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<(), PartitionsError>>,
}

impl Partitions {
    /// The partitions of a log, shared under this name by all processes that have the same lease store and cursor store.
    ///
    /// The leases are `<name>/partition-<n>` and `<name>/process-<slot>`, the cursors `<name>/partition-<n>`, which is also the
    /// name of each worker in its evidence.
    pub fn builder(
        name: impl Into<String>,
        log: Arc<dyn Log>,
        scopes: PartitionScopes,
        leases: Arc<dyn LeaseStore>,
        cursors: Arc<dyn CursorStore>,
    ) -> PartitionsBuilder {
        PartitionsBuilder::new(name.into(), log, scopes, leases, cursors)
    }

    /// How this process does.
    pub fn status(&self) -> PartitionsStatus {
        self.status.borrow().clone()
    }

    /// How this process does, as it changes. What the workers do is not a change, but is told by
    /// [`HeldPartition::worker`].
    pub fn watch_status(&self) -> watch::Receiver<PartitionsStatus> {
        self.status.clone()
    }

    /// What the stores tell of all partitions, whoever has them: for people. A read of each lease and of each cursor.
    ///
    /// # Errors
    ///
    /// [`PartitionsError::Lease`], but for a lease that cannot be read: that is a free one; [`PartitionsError::Cursor`].
    pub async fn survey(&self) -> Result<Vec<PartitionRecord>, PartitionsError> {
        let mut records = Vec::new();
        for partition in 0..self.scopes.count() {
            let name = partition_name(&self.shared.name, partition);
            let record = match self.leases.read(&name).await {
                Ok(record) => record,
                Err(LeaseError::Corrupt { .. }) => None,
                Err(error) => return Err(PartitionsError::Lease(Arc::new(error))),
            };
            let cursor = self.shared.cursors.load(&name).await;
            let cursor = cursor.map_err(|error| PartitionsError::Cursor(Arc::new(error)))?;
            records.push(PartitionRecord {
                partition,
                version: record
                    .as_ref()
                    .map_or(AssignmentVersion::OFF, |record| record.assignment_version),
                held: record.and_then(|record| match record.state {
                    LeaseState::Held { by, until, .. } => Some((by, until)),
                    LeaseState::Free { .. } => None,
                }),
                position: cursor.map(|record| record.cursor),
            });
        }
        Ok(records)
    }

    /// Tells it to stop, without waiting until it has: every worker finishes and commits the delivery in hand, if that is done
    /// before its [deadline](crate::WorkerBuilder::shutdown_deadline), and its lease is given back then.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Waits until it was told to stop, by the handle or a handler, and has.
    ///
    /// # Errors
    ///
    /// [`PartitionsError::Lease`] if the lease store takes its leases for invalid; [`PartitionsError::Cancelled`].
    pub async fn join(mut self) -> Result<(), PartitionsError> {
        joined(&mut self.task, PartitionsError::Cancelled).await
    }

    /// Tells it to [stop](Self::stop), and [waits](Self::join) until it has.
    ///
    /// # Errors
    ///
    /// As [`join`](Self::join).
    pub async fn stop_and_join(self) -> Result<(), PartitionsError> {
        self.stop();
        self.join().await
    }
}

impl fmt::Debug for Partitions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Partitions")
            .field("name", &self.shared.name)
            .field("scopes", &self.scopes)
            .field("status", &*self.status.borrow())
            .finish_non_exhaustive()
    }
}

impl Drop for Partitions {
    fn drop(&mut self) {
        self.stop();
    }
}
