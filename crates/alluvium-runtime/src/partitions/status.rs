//! How a process does with its partitions, and what the stores tell of all of them.

use std::sync::Arc;

use alluvium_core::{AssignmentVersion, Cursor, LeaseError, Timestamp};
use tokio::sync::watch;

use crate::WorkerStatus;

/// How a process does with its partitions.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PartitionsStatus {
    /// The slot by which this process makes itself known to the others; nothing as long as it has none.
    pub slot: Option<u32>,
    /// How many processes were alive at the last look.
    pub processes: u32,
    /// How many partitions this process is to have.
    pub share: u32,
    /// Those that it has, by number.
    pub held: Vec<HeldPartition>,
    /// How many looks there were that succeeded.
    pub looks: u64,
    /// Why the last look failed.
    pub error: Option<Arc<LeaseError>>,
}

/// A partition that this process has.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HeldPartition {
    /// Which.
    pub partition: u32,
    /// By which assignment.
    pub version: AssignmentVersion,
    /// It is about to be given back, or was lost and its worker ends.
    pub leaving: bool,
    pub(super) worker: Option<watch::Receiver<WorkerStatus>>,
}

impl HeldPartition {
    /// How its worker is doing, its position among it; nothing before it has started.
    pub fn worker(&self) -> Option<WorkerStatus> {
        self.worker.as_ref().map(|worker| worker.borrow().clone())
    }
}

/// What the stores tell of a partition, whoever has it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionRecord {
    /// Which.
    pub partition: u32,
    /// Who has it, and until when if the lease is not renewed; nothing if it is free.
    pub held: Option<(String, Timestamp)>,
    /// The last assignment version that there was.
    pub version: AssignmentVersion,
    /// Up to where the work is done; nothing if it was never begun.
    pub position: Option<Cursor>,
}
