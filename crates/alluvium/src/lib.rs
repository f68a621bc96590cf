//! Durable, portable state for programs that consume NATS JetStream.
//!
//! This crate re-exports the others behind features, so that one dependency is enough; it adds only
//! [`open_engine`], which picks an engine by name.
//!
//! | feature | brings | default |
//! |---|---|---|
//! | `nats` | [`KvLog`]: a KV bucket as a [`Log`] | yes |
//! | `fjall` | [`FjallEngine`]: an LSM tree in pure Rust | yes |
//! | `memory` | [`MemoryEngine`]: an ordered map in RAM, with an optional log on disk | yes |
//!
//! A replica is a table that follows its log:
//!
//! ```
//! use std::sync::Arc;
//! use alluvium::{Durability, EngineKind, EngineTable, KvLog, Replica, open_engine};
//!
//! async fn routes(client: async_nats::Client) -> Result<Replica, Box<dyn std::error::Error>> {
//!     let log = Arc::new(KvLog::open(client, "routes").await?);
//!     let engine = open_engine("./state".as_ref(), EngineKind::Fjall, Durability::Buffered)?;
//!     let table = Arc::new(EngineTable::open(engine, "routes")?);
//!     let replica = Replica::builder(log, table).start().await?;
//!     replica.caught_up().await?; // then reads take microseconds, and the next start reads only what is new
//!     println!("{:?}", replica.get("api.eu")?);
//!     Ok(replica)
//! }
//! ```

mod open;

/// The example in the project's README is compiled like any other.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

pub use alluvium_core::*;
pub use alluvium_engine::{
    Engine, EngineError, EngineSnapshot, EngineStats, EngineTable, Space, StateDir, StateDirError, WriteBatch,
};
#[cfg(feature = "fjall")]
pub use alluvium_fjall::{FjallEngine, FjallOptions};
#[cfg(feature = "memory")]
pub use alluvium_memory::{MemoryEngine, MemoryOptions};
#[cfg(feature = "nats")]
pub use alluvium_nats::{KvLog, KvLogBuilder};
pub use alluvium_runtime::{
    Replica, ReplicaBuilder, ReplicaError, State, Status, Subscription, SubscriptionError,
};

pub use open::{EngineKind, open_engine, open_existing_engine};
