//! Durable, portable state for programs that consume NATS JetStream.
//!
//! One dependency for everything: this crate re-exports the others behind features, and adds the one place where
//! storage is chosen, [`open`], [`open_checkpointer`] and [`open_transport`] with their [`StateConfig`].
//!
//! | feature | brings | default |
//! |---|---|---|
//! | `nats` | `KvLog`: a KV bucket as a [`Log`]; `StreamLog`: any stream as one; `KvLeaseStore`: leases in a bucket; `Publisher`: what handlers publish, once | yes |
//! | `fjall` | `fjall:DIR`, `FjallEngine`: an LSM tree in pure Rust | yes |
//! | `memory` | `memory:` and `memory:DIR`, `MemoryEngine`: an ordered map in RAM, with an optional log on disk | yes |
//! | `rocksdb` | `rocksdb:DIR`, `RocksDbEngine`: RocksDB, which takes a C++ compiler, libclang and patience | no |
//! | `object-store` | `file:///DIR`, `ObjectStoreBackend`: objects that several processes share; `ObjectStoreCheckpointer`: checkpoints; `ObjectStoreTransport`: artifacts | no |
//! | `s3`, `azure`, `gcs` | `s3://…`, `az://…`, `gs://…` | no |
//!
//! A replica is a table that follows its log (`KvLog::open(client, "routes")` is one):
//!
//! ```
//! use std::sync::Arc;
//! use alluvium::{Log, Replica};
//!
//! async fn routes(log: Arc<dyn Log>) -> Result<(), Box<dyn std::error::Error>> {
//!     let state = alluvium::open("fjall:./state").await?;
//!     let replica = Replica::builder(log, state.open_table("routes").await?).start().await?;
//!     replica.caught_up().await?; // then reads take microseconds, and the next start reads only what is new
//!     println!("{:?}", replica.get("api.eu")?);
//!     replica.shutdown().await?;
//!     state.close().await?;
//!     Ok(())
//! }
//! ```

mod artifacts;
mod checkpoints;
mod config;
mod error;
mod features;
mod open;
mod options;
mod url;

/// The example in the project's README is compiled like any other.
#[cfg(all(doctest, feature = "nats"))]
#[doc = include_str!("../../../README.md")]
struct Readme;

pub use alluvium_core::*;
pub use alluvium_engine::{
    Engine, EngineBackend, EngineError, EngineSnapshot, EngineStats, EngineTable, FileCursorStore, Space,
    StateDir, StateDirError, TableCursorStore, WriteBatch,
};
#[cfg(feature = "fjall")]
pub use alluvium_fjall::{FjallEngine, FjallOptions};
#[cfg(feature = "memory")]
pub use alluvium_memory::{MemoryCursorStore, MemoryEngine, MemoryLeaseStore, MemoryLog, MemoryOptions};
#[cfg(feature = "nats")]
pub use alluvium_nats::{
    Acknowledged, Effect, Effects, Flushed, KvCursorStore, KvCursorStoreBuilder, KvLeaseStore,
    KvLeaseStoreBuilder, KvLog, KvLogBuilder, LogBuilder, Publisher, PublisherBuilder, PublisherError,
    StreamLog, StreamLogBuilder,
};
#[cfg(feature = "object-store")]
pub use alluvium_object_store::{
    CheckpointerOptions, LeaseStoreOptions, LocalStore, ObjectStoreBackend, ObjectStoreCheckpointer,
    ObjectStoreLeaseStore, ObjectStoreOptions, ObjectStoreTransport, TransportOptions,
};
#[cfg(feature = "rocksdb")]
pub use alluvium_rocksdb::{RocksDbEngine, RocksDbOptions};
pub use alluvium_runtime::{
    Action, ArtifactDir, ArtifactRows, Assigned, Bootstrap, BootstrapError, BootstrapProgress,
    BootstrapStatus, Bootstrapped, DeadLetters, Delivery, ExportError, ExportOptions, ExportProgress,
    ExportReport, ExportSchedule, ExportStatus, Exported, Exporter, Fetched, Gap, GapReason, Gaps, Handler,
    HandlerError, HeldPartition, LatestFound, LogCursor, LogCursorBuilder, LogCursorError, LossReason,
    MAX_COLLECTED_BYTES, Missing, OnLoss, Parked, PartitionError, PartitionEvent, PartitionRecord,
    PartitionScopes, Partitions, PartitionsBuilder, PartitionsError, PartitionsStatus, ReconcileProgress,
    Recovered, RecoveredFrom, Recovery, RecoveryError, RecoveryReport, Replica, ReplicaBuilder, ReplicaError,
    RestartPolicy, Restorable, Restored, Round, Seekable, SkipReason, Skipped, SkippedArtifact,
    SourceMismatch, StartAt, State, Status, Subscription, SubscriptionError, Worker, WorkerBuilder,
    WorkerError, WorkerEvent, WorkerState, WorkerStatus, fetch_artifact,
};

pub use alluvium_segment as segment;
pub use artifacts::open_transport;
pub use checkpoints::open_checkpointer;
pub use config::StateConfig;
pub use error::OpenError;
pub use open::open;
pub use url::{StateUrl, StateUrlError};
