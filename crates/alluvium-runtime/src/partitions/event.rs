//! What happens to partitions beside the work on them.

use std::sync::Arc;

use alluvium_core::{AssignmentVersion, Cursor, LeaseError};

use super::PartitionError;
use crate::error::Chain;
use crate::events::Listener;

/// Why a partition was lost.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum LossReason {
    /// Somebody else has the lease.
    TakenOver {
        /// Who, if that is known.
        by: Option<String>,
    },
    /// The lease could not be renewed before it was over.
    NotRenewed {
        /// Why not, if there was an answer.
        error: Option<Arc<LeaseError>>,
    },
}

/// What happens to partitions beside the work on them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum PartitionEvent {
    /// This process counted the live ones anew, and its share is another.
    Shared {
        /// How many processes are alive.
        processes: u32,
        /// How many partitions this one is to have.
        share: u32,
    },
    /// The lease of a partition was acquired.
    Acquired {
        /// Which.
        partition: u32,
        /// By which assignment.
        version: AssignmentVersion,
    },
    /// The cursor of a partition is held, the lease was confirmed after that, and its worker works.
    Started {
        /// Which.
        partition: u32,
        /// By which assignment.
        version: AssignmentVersion,
        /// From where it goes on.
        from: Cursor,
    },
    /// Somebody held the cursor of a partition while the lease was this process's: one that was late, and does not start. The
    /// worker is started again.
    Disturbed {
        /// Which.
        partition: u32,
        /// By which assignment.
        version: AssignmentVersion,
    },
    /// A partition was given back, with its work committed, because it is above the share, or this process stops.
    Left {
        /// Which.
        partition: u32,
        /// By which assignment.
        version: AssignmentVersion,
        /// Up to where the work is done; nothing if its worker had not started.
        at: Option<Cursor>,
    },
    /// A partition was lost. Its worker was stopped at once, and what it had in hand is not committed.
    Lost {
        /// Which.
        partition: u32,
        /// By which assignment.
        version: AssignmentVersion,
        /// Why.
        reason: LossReason,
    },
    /// The work on a partition failed, and it was given back.
    Failed {
        /// Which.
        partition: u32,
        /// By which assignment.
        version: AssignmentVersion,
        /// Why.
        error: Arc<PartitionError>,
    },
    /// The leases could not be looked at. Everything stays as it is until the next look.
    LookFailed(Arc<LeaseError>),
}

/// Whoever is told of events: the log of the program, and what the partitions were built with.
#[derive(Clone)]
pub(super) struct Events {
    pub(super) name: String,
    pub(super) listener: Listener<PartitionEvent>,
}

impl Events {
    pub(super) fn tell(&self, event: &PartitionEvent) {
        self.log(event);
        self.listener.tell(&self.name, event);
    }

    fn log(&self, event: &PartitionEvent) {
        let name = self.name.as_str();
        match event {
            PartitionEvent::Shared { processes, share } => {
                tracing::info!(name, processes, share, "the share changed");
            }
            PartitionEvent::Acquired { partition, version } => {
                tracing::info!(name, partition, %version, "a partition was acquired");
            }
            PartitionEvent::Started {
                partition,
                version,
                from,
            } => {
                tracing::info!(name, partition, %version, %from, "a partition is worked on");
            }
            PartitionEvent::Disturbed { partition, version } => {
                tracing::warn!(name, partition, %version, "the cursor was held by one who came late");
            }
            PartitionEvent::Left {
                partition, version, ..
            } => {
                tracing::info!(name, partition, %version, "a partition was given back");
            }
            PartitionEvent::Lost {
                partition,
                version,
                reason,
            } => {
                tracing::warn!(name, partition, %version, ?reason, "a partition was lost");
            }
            PartitionEvent::Failed {
                partition,
                version,
                error,
            } => {
                tracing::error!(name, partition, %version, error = %Chain(error), "a partition failed");
            }
            PartitionEvent::LookFailed(error) => {
                tracing::warn!(name, error = %Chain(error), "the leases of the partitions were not read");
            }
        }
    }
}
