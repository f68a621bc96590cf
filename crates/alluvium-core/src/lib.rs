//! The words of Alluvium as types, and what every part promises the others as traits.
//!
//! A NATS JetStream stream or KV bucket is a [`Log`]: an ordered, retained sequence of messages, each of
//! which makes one [`Change`] to one key. A [`Table`] is the state that a log leaves behind, together with
//! the [`Cursor`] that it is exact at. What to do with a table and a log that meet again is decided by
//! [`plan`], a pure function.
//!
//! A [`StateBackend`] is where it all lives: tables, and the partials that stateful operators persist per [`Vnode`]
//! and [`Epoch`], sealed once and fenced by [`AssignmentVersion`]. A [`Checkpointer`] keeps what operators and their sources
//! start from again: a [manifest](checkpoint::Manifest) and the snapshots and deltas that it names. Of a fleet, one does what
//! a [`LeaseStore`] has given it the [`Lease`] for. A [`CursorStore`] keeps the cursors of consumers that have no table.
//!
//! This crate does no I/O, starts no task and needs no runtime. The crates above it implement the traits
//! ([`alluvium-engine`] tables, [`alluvium-nats`] logs) or drive them ([`alluvium-runtime`]); none of them
//! needs to know another.
//!
//! [`alluvium-engine`]: https://docs.rs/alluvium-engine
//! [`alluvium-nats`]: https://docs.rs/alluvium-nats
//! [`alluvium-runtime`]: https://docs.rs/alluvium-runtime

pub mod artifact;
mod assignment;
mod backend;
mod change;
pub mod checkpoint;
mod checksum;
mod chunks;
mod clock;
mod cursor;
pub mod cursor_store;
mod digest;
mod durability;
mod epoch;
mod error;
mod evidence;
mod headers;
mod holdings;
pub mod lease;
mod listing;
mod log;
mod mode;
mod name;
mod plan;
mod position;
mod range;
mod retention;
mod scope;
mod table;
mod vnode;

pub use artifact::{ArtifactKey, Transport, TransportError};
pub use assignment::{AssignmentVersion, InstanceId};
pub use backend::{
    BackendError, BackendOptions, MAX_WRITE_BYTES, StateBackend, check_partials, check_vnodes,
};
pub use change::{Batch, Change, DeleteReason, Operation};
pub use checkpoint::{ByteStream, CheckpointError, CheckpointId, Checkpointer};
pub use chunks::{ChunkIter, Chunks};
pub use clock::{Clock, SystemClock};
pub use cursor::{Cursor, CursorRecord, RecordError};
pub use cursor_store::{CursorStore, CursorStoreError, HeldCursor};
pub use digest::{Digest, DigestError};
pub use durability::Durability;
pub use epoch::Epoch;
pub use error::{BoxError, ErrorKind};
pub use evidence::Evidence;
pub use headers::Headers;
pub use holdings::Holdings;
pub use lease::{Acquired, Lease, LeaseError, LeaseRecord, LeaseStore};
pub use listing::{ListEvent, ListStream, Listed, Survey};
pub use log::{Bounds, KeyStream, Log, LogError, LogEvent, LogIdentity, LogStream, Retention};
pub use mode::Mode;
pub use plan::{
    Hindrance, NewestArtifact, Plan, PlanInput, ReconcileReason, RefuseReason, RestoreReason, plan,
    unlisted_is_deleted,
};
pub use position::{Sequence, Timestamp};
pub use range::KeyRange;
pub use retention::RetentionPolicy;
pub use scope::{Filter, Scope, ScopeError};
pub use table::{Binding, ChangesSince, Entry, Row, RowIter, Table, TableError, TableSnapshot, TableStats};
pub use vnode::{Vnode, VnodeCount};
