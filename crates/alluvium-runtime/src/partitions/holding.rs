//! One partition of this process: from its lease to the end of its worker.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use alluvium_core::{AssignmentVersion, BoxError, Cursor, CursorStore, ErrorKind, Log, Scope};
use futures_core::future::BoxFuture;
use futures_util::FutureExt as _;
use tokio::sync::watch;
use tokio::time::sleep;

use super::claim::Claim;
use super::event::Events;
use super::gate::Gate;
use super::{HeldPartition, LossReason, PartitionError, PartitionEvent, PartitionsStatus};
use crate::error::panic_message;
use crate::pauses::Pauses;
use crate::{LogCursor, LogCursorBuilder, Worker, WorkerBuilder};

/// The pause before a worker is started again that was disturbed, or whose store did not answer: the first, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// A partition that was assigned to this process.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Assigned {
    /// Its number, from 0.
    pub partition: u32,
    /// The fencing token: higher than that of whoever had the partition before.
    pub version: AssignmentVersion,
    /// The messages that belong to it.
    pub scope: Scope,
}

/// Starts the worker of a partition.
pub(super) type StartWork =
    dyn Fn(Assigned, WorkerBuilder) -> BoxFuture<'static, Result<Worker, BoxError>> + Send + Sync;

/// What is done to a cursor before it is opened.
pub(super) type ChangeCursor = dyn Fn(LogCursorBuilder) -> LogCursorBuilder + Send + Sync;

/// What all partitions of a process have in common.
pub(super) struct Shared {
    pub(super) name: String,
    pub(super) log: Arc<dyn Log>,
    pub(super) cursors: Arc<dyn CursorStore>,
    pub(super) start: Box<StartWork>,
    pub(super) change_cursor: Option<Arc<ChangeCursor>>,
    pub(super) events: Events,
    pub(super) status: watch::Sender<PartitionsStatus>,
}

/// How the work on a partition ended.
pub(super) enum Ended {
    /// It was to be left, and is.
    Left(Option<Cursor>),
    /// Its handler wanted to stop.
    Stopped(Cursor),
    /// It is somebody else's, or may be.
    Lost(LossReason),
    Failed(Arc<PartitionError>),
}

/// A partition of this process.
pub(super) struct Holding {
    pub(super) shared: Arc<Shared>,
    pub(super) assigned: Assigned,
    pub(super) claim: Arc<Claim>,
    /// It is to be given back.
    pub(super) leave: watch::Receiver<bool>,
}

impl Holding {
    /// Works on the partition until it is lost, is to be left, or the work fails. When it returns nothing of it runs any more, and
    /// the lease is given back if it was not lost.
    pub(super) async fn run(self) -> Ended {
        let (version, partition) = (self.assigned.version, self.assigned.partition);
        self.shared
            .events
            .tell(&PartitionEvent::Acquired { partition, version });
        let ended = {
            let mut work = std::pin::pin!(self.work());
            tokio::select! {
                ended = &mut work => ended,
                // The worker sees for itself that the lease is gone, and is waited for.
                () = self.claim.keep() => {
                    self.show(|held| held.leaving = true);
                    work.await
                }
            }
        };
        if !matches!(ended, Ended::Lost(_)) {
            self.claim.give_back().await;
        }
        ended
    }

    async fn work(&self) -> Ended {
        let mut pauses = Pauses::new(PAUSES.0, PAUSES.1);
        loop {
            let started = tokio::select! {
                biased;
                reason = self.claim.gone() => return Ended::Lost(reason),
                () = self.told_to_leave() => return Ended::Left(None),
                started = self.start() => started,
            };
            let error = match started {
                Err(error) => error,
                Ok(worker) => match self.attend(worker).await {
                    Ok(ended) => return ended,
                    Err(error) => error,
                },
            };
            if self.claim.is_gone() {
                return Ended::Lost(self.claim.reason());
            }
            match error.kind() {
                // Whoever held the cursor acquired the lease before this one did: otherwise it is lost, which is told now.
                ErrorKind::Fenced => match self.claim.renew().await {
                    Ok(()) => self.shared.events.tell(&PartitionEvent::Disturbed {
                        partition: self.assigned.partition,
                        version: self.assigned.version,
                    }),
                    Err(_) if self.claim.is_gone() => return Ended::Lost(self.claim.reason()),
                    Err(error) => tracing::debug!(%error, "whether the lease is lost is not known"),
                },
                ErrorKind::Transient => {}
                _ => return Ended::Failed(Arc::new(error)),
            }
            tokio::select! {
                biased;
                reason = self.claim.gone() => return Ended::Lost(reason),
                () = self.told_to_leave() => return Ended::Left(None),
                () = sleep(pauses.next()) => {}
            }
        }
    }

    async fn start(&self) -> Result<Worker, PartitionError> {
        let Assigned {
            partition,
            version,
            scope,
        } = self.assigned.clone();
        let gate = Arc::new(Gate {
            cursors: Arc::clone(&self.shared.cursors),
            claim: Arc::clone(&self.claim),
        });
        let mut cursor = LogCursor::builder(Arc::clone(&self.shared.log), scope);
        if let Some(change) = &self.shared.change_cursor {
            cursor = change(cursor);
        }
        let cursor = cursor.held_in(gate, partition_name(&self.shared.name, partition));
        let builder = Worker::builder(cursor)
            .assignment(version)
            .halted_by(self.claim.watch_gone());
        let starting = async { (self.shared.start)(self.assigned.clone(), builder).await };
        match AssertUnwindSafe(starting).catch_unwind().await {
            Ok(Ok(worker)) => Ok(worker),
            Ok(Err(error)) => Err(PartitionError::Start(error)),
            Err(panic) => Err(PartitionError::Panicked(panic_message(panic.as_ref()))),
        }
    }

    /// Waits for the end of the worker, and has it come when the partition is to be left.
    async fn attend(&self, worker: Worker) -> Result<Ended, PartitionError> {
        let mut status = worker.watch_status();
        self.shared.events.tell(&PartitionEvent::Started {
            partition: self.assigned.partition,
            version: self.assigned.version,
            from: worker.status().committed,
        });
        self.show(|held| held.worker = Some(worker.watch_status()));
        let left = tokio::select! {
            // An error says that its task is gone: that is told by joining it.
            _ = status.wait_for(|status| status.state.is_over()) => false,
            () = self.told_to_leave() => true,
        };
        if left {
            self.show(|held| held.leaving = true);
            worker.stop();
        }
        let joined = worker.join().await;
        self.show(|held| held.worker = None);
        if self.claim.is_gone() {
            return Ok(Ended::Lost(self.claim.reason()));
        }
        match joined {
            Ok(cursor) if left => Ok(Ended::Left(Some(cursor))),
            Ok(cursor) => Ok(Ended::Stopped(cursor)),
            Err(error) => Err(PartitionError::Worker(error)),
        }
    }

    async fn told_to_leave(&self) {
        // An error says that nobody is left who could say so, which is to leave, too.
        let _ = self.leave.clone().wait_for(|leave| *leave).await;
    }

    /// Changes what the status tells of this partition.
    fn show(&self, change: impl FnOnce(&mut HeldPartition)) {
        self.shared.status.send_modify(|status| {
            let mut held = status.held.iter_mut();
            if let Some(held) = held.find(|held| held.partition == self.assigned.partition) {
                change(held);
            }
        });
    }
}

/// The name of a partition's lease, and of its cursor.
pub(super) fn partition_name(name: &str, partition: u32) -> String {
    format!("{name}/partition-{partition}")
}
