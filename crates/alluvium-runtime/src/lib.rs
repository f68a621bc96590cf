//! What drives the traits: a [`Replica`] reads a [`Log`](alluvium_core::Log) into a
//! [`Table`](alluvium_core::Table) and keeps it there. A [`Recovery`] brings operators and sources back to a checkpoint of a
//! [`Checkpointer`](alluvium_core::Checkpointer). An [`Exporter`] makes an artifact of a table, for other machines, and a
//! [`Bootstrap`] fills a table from one, through a
//! [`Transport`](alluvium_core::Transport). A [`LogCursor`] gives the messages of a log at least once, and keeps how far the work on
//! them has come in a [`CursorStore`](alluvium_core::CursorStore). A [`Worker`] has a handler do that work, and survives its
//! failures; with [`Partitions`] several processes share a log, by leases of a [`LeaseStore`](alluvium_core::LeaseStore).
//!
//! This crate names no backend: whatever implements the traits can be put together here.
//!
//! # The path of a change
//!
//! ```text
//!  log.read ──▶ receiving task ──▶ bounded queue ──▶ applying thread ──▶ hook ──▶ table.apply
//!   (async)      takes what has       in bytes        takes what has               data and cursor
//!                arrived                              arrived                      in one commit
//! ```
//!
//! Receiving and applying overlap. A batch is whatever has arrived by the time the last commit returned: a message at
//! rest is applied at once, a flood makes large batches, and no timer waits in between. Reads go to the table and
//! meet no lock of this crate.

mod artifact;
mod error;
mod events;
mod log_cursor;
mod partitions;
mod pauses;
mod recovery;
mod replica;
mod task;
mod worker;

pub use artifact::{
    ArtifactDir, ArtifactRows, Bootstrap, BootstrapError, BootstrapProgress, Bootstrapped, ExportError,
    ExportOptions, ExportProgress, ExportReport, ExportSchedule, ExportStatus, Exported, Exporter, Fetched,
    Round, SkipReason, SkippedArtifact, fetch_artifact,
};
pub use error::ReplicaError;
pub use log_cursor::{
    Gap, GapReason, Gaps, LogCursor, LogCursorBuilder, LogCursorError, Missing, OnLoss, StartAt,
};
pub use partitions::{
    Assigned, HeldPartition, LossReason, PartitionError, PartitionEvent, PartitionRecord, PartitionScopes,
    Partitions, PartitionsBuilder, PartitionsError, PartitionsStatus,
};
pub use recovery::{
    LatestFound, MAX_COLLECTED_BYTES, Recovered, RecoveredFrom, Recovery, RecoveryError, RecoveryReport,
    Restorable, Restored, Seekable, Skipped, SourceMismatch,
};
pub use replica::{
    BootstrapStatus, ReconcileProgress, Replica, ReplicaBuilder, State, Status, Subscription,
    SubscriptionError,
};
pub use worker::{
    Action, DeadLetters, Delivery, Handler, HandlerError, Parked, RestartPolicy, Worker, WorkerBuilder,
    WorkerError, WorkerEvent, WorkerState, WorkerStatus,
};
