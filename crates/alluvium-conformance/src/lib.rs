//! The public test kit: one suite per trait, one named test per side of each obligation.
//!
//! A backend that passes the suite of a trait keeps what the trait promises, as far as tests can tell: atomicity and
//! durability under SIGKILL, snapshots that stand still, damage that is named. Whoever writes a backend shows how to
//! open it, and names the suite:
//!
//! ```
//! use std::{path::Path, sync::Arc};
//! use alluvium_conformance::EngineHarness;
//! use alluvium_engine::{Engine, EngineError};
//! use alluvium_memory::{MemoryEngine, MemoryOptions};
//!
//! #[derive(Default)]
//! struct Mine;
//!
//! impl EngineHarness for Mine {
//!     fn open(&self, dir: &Path) -> Result<Arc<dyn Engine>, EngineError> {
//!         Ok(Arc::new(MemoryEngine::open(dir, MemoryOptions::default())?))
//!     }
//! }
//!
//! alluvium_conformance::engine_suite!(Mine);
//! alluvium_conformance::table_suite!(Mine);
//! alluvium_conformance::backend_suite!(Mine);
//! # // What follows is no part of it: a doctest makes no tests, so that one is called by hand.
//! # fn main() { alluvium_conformance::engine::o2_a_returned_commit_survives_a_close(&Mine) }
//! ```
//!
//! That is the whole of a `tests/conformance.rs`. `cargo test` then runs `engine::o1_a_commit_is_whole_across_spaces`
//! and so on: the number is that of the obligation in the documentation of the trait, `m_` stands for what a single
//! method promises. A test is a plain function (see [`engine`], [`table`], [`backend`], [`checkpointer`], [`lease`] and
//! [`transport`]) that panics when the promise is broken.
//!
//! An engine brings its tables and its backend along. Who implements [`Table`](alluvium_core::Table) without an engine
//! shows how to open the storage, and a table in it:
//!
//! ```
//! use std::{path::Path, sync::Arc};
//! use alluvium_conformance::{TableHarness, Tables};
//! use alluvium_core::{Table, TableError};
//! # use alluvium_engine::{Engine as _, EngineTable};
//! # use alluvium_memory::MemoryEngine;
//! # // Stands for storage of tables that is no engine.
//! # struct Storage(Arc<MemoryEngine>);
//! # impl Storage {
//! #     fn open(_: &Path) -> Result<Self, TableError> { Ok(Self(Arc::new(MemoryEngine::in_memory()))) }
//! #     fn open_table(&self, name: &str) -> Result<EngineTable, TableError> {
//! #         EngineTable::open(Arc::clone(&self.0) as _, name)
//! #     }
//! #     fn shut(&self) -> Result<(), TableError> { self.0.close().unwrap(); Ok(()) }
//! # }
//!
//! #[derive(Default)]
//! struct Mine;
//!
//! impl TableHarness for Mine {
//!     fn open_tables(&self, dir: &Path) -> Result<Box<dyn Tables>, TableError> {
//!         Ok(Box::new(Storage::open(dir)?))
//!     }
//! }
//!
//! impl Tables for Storage {
//!     fn table(&self, name: &str) -> Result<Arc<dyn Table>, TableError> {
//!         Ok(Arc::new(self.open_table(name)?))
//!     }
//!
//!     fn close(&self) -> Result<(), TableError> {
//!         self.shut()
//!     }
//! }
//!
//! alluvium_conformance::table_suite!(Mine);
//! # fn main() { alluvium_conformance::table::o1_data_and_cursor_move_together(&Mine) }
//! ```
//!
//! And who implements [`StateBackend`](alluvium_core::StateBackend) itself:
//!
//! ```
//! use std::{path::Path, sync::Arc};
//! use alluvium_conformance::{BackendHarness, Capabilities};
//! use alluvium_core::{BackendError, BackendOptions, StateBackend};
//! # use alluvium_engine::EngineBackend;
//! # use alluvium_memory::MemoryEngine;
//! # // Stands for a backend that is no engine.
//! # struct Backend;
//! # impl Backend {
//! #     async fn open(_: &Path, options: BackendOptions) -> Result<EngineBackend, BackendError> {
//! #         EngineBackend::open(Arc::new(MemoryEngine::in_memory()), options)
//! #     }
//! # }
//!
//! type Opened = Result<Arc<dyn StateBackend>, BackendError>;
//!
//! #[derive(Default)]
//! struct Mine;
//!
//! #[async_trait::async_trait]
//! impl BackendHarness for Mine {
//!     async fn open_backend(&self, dir: &Path, options: BackendOptions) -> Opened {
//!         Ok(Arc::new(Backend::open(dir, options).await?))
//!     }
//!
//!     fn backend_capabilities(&self) -> Capabilities {
//!         Capabilities::shared()
//!     }
//! }
//!
//! alluvium_conformance::backend_suite!(Mine, shared);
//! # fn main() { alluvium_conformance::backend::o1_a_partial_is_readable_when_the_write_returns(&Mine) }
//! ```
//!
//! And who implements [`Checkpointer`](alluvium_core::Checkpointer):
//!
//! ```
//! use std::{path::Path, sync::Arc};
//! use alluvium_conformance::CheckpointerHarness;
//! use alluvium_core::{CheckpointError, Checkpointer};
//! use alluvium_object_store::LocalStore;
//! use object_store::{ObjectStore, path::Path as Key};
//! # // Stands for a checkpointer of somebody else.
//! # struct Mine(Arc<dyn ObjectStore>, Key);
//! # impl Mine {
//! #     fn over(self) -> alluvium_object_store::ObjectStoreCheckpointer {
//! #         let options = alluvium_object_store::CheckpointerOptions::default();
//! #         alluvium_object_store::ObjectStoreCheckpointer::new(self.0, self.1, options)
//! #     }
//! # }
//!
//! #[derive(Default)]
//! struct Harness;
//!
//! #[async_trait::async_trait]
//! impl CheckpointerHarness for Harness {
//!     async fn open_store(&self, dir: &Path) -> Arc<dyn ObjectStore> {
//!         Arc::new(LocalStore::open(dir).unwrap())
//!     }
//!
//!     async fn open_checkpointer(
//!         &self,
//!         store: Arc<dyn ObjectStore>,
//!         prefix: Key,
//!     ) -> Result<Arc<dyn Checkpointer>, CheckpointError> {
//!         Ok(Arc::new(Mine(store, prefix).over()))
//!     }
//! }
//!
//! alluvium_conformance::checkpointer_suite!(Harness);
//! # fn main() { alluvium_conformance::checkpointer::m_a_new_place_is_empty(&Harness) }
//! ```
//!
//! And who implements [`Transport`](alluvium_core::Transport):
//!
//! ```
//! use std::{path::Path, sync::Arc, time::Duration};
//! use alluvium_conformance::TransportHarness;
//! use alluvium_core::{Transport, TransportError};
//! use alluvium_object_store::LocalStore;
//! use object_store::{ObjectStore, path::Path as Key};
//! # // Stands for a transport of somebody else.
//! # struct Mine(Arc<dyn ObjectStore>, Key, Duration);
//! # impl Mine {
//! #     fn over(self) -> alluvium_object_store::ObjectStoreTransport {
//! #         let options = alluvium_object_store::TransportOptions::default().request_timeout(self.2);
//! #         alluvium_object_store::ObjectStoreTransport::new(self.0, self.1, options)
//! #     }
//! # }
//!
//! #[derive(Default)]
//! struct Harness;
//!
//! #[async_trait::async_trait]
//! impl TransportHarness for Harness {
//!     async fn open_store(&self, dir: &Path) -> Arc<dyn ObjectStore> {
//!         Arc::new(LocalStore::open(dir).unwrap())
//!     }
//!
//!     async fn open_transport(
//!         &self,
//!         store: Arc<dyn ObjectStore>,
//!         prefix: Key,
//!         request_timeout: Duration,
//!     ) -> Result<Arc<dyn Transport>, TransportError> {
//!         Ok(Arc::new(Mine(store, prefix, request_timeout).over()))
//!     }
//! }
//!
//! alluvium_conformance::transport_suite!(Harness);
//! # fn main() { alluvium_conformance::transport::m_a_new_place_is_empty(&Harness) }
//! ```
//!
//! In the sources of this crate, `tests/third-party` is such an engine and such a backend in full, written against
//! nothing but the published crates.
//!
//! And who implements [`LeaseStore`](alluvium_core::LeaseStore), or [`LeaseCells`](alluvium_core::lease::LeaseCells), which
//! makes one:
//!
//! ```
//! use std::{path::Path, sync::Arc};
//! use alluvium_conformance::{LeaseHarness, overwrite_cell};
//! use alluvium_core::{Clock, LeaseError, LeaseStore, SystemClock};
//! use alluvium_object_store::{LeaseStoreOptions, LocalStore};
//! # // Stands for leases of somebody else.
//! # use alluvium_object_store::ObjectStoreLeaseStore as Mine;
//!
//! #[derive(Default)]
//! struct Harness;
//!
//! fn open(dir: &Path, clock: Arc<dyn Clock>) -> Mine {
//!     let store = Arc::new(LocalStore::open(dir).unwrap());
//!     Mine::new(store, "leases".into(), LeaseStoreOptions::default().clock(clock))
//! }
//!
//! #[async_trait::async_trait]
//! impl LeaseHarness for Harness {
//!     async fn open_leases(&self, dir: &Path, clock: Arc<dyn Clock>) -> Result<Arc<dyn LeaseStore>, LeaseError> {
//!         Ok(Arc::new(open(dir, clock)))
//!     }
//!
//!     async fn overwrite_record(&self, dir: &Path, name: &str, bytes: bytes::Bytes) {
//!         overwrite_cell(&open(dir, Arc::new(SystemClock)), name, bytes).await;
//!     }
//! }
//!
//! alluvium_conformance::lease_suite!(Harness);
//! # fn main() { alluvium_conformance::lease::o1_a_renewed_lease_lasts_longer(&Harness) }
//! ```
//!
//! And who implements [`CursorStore`](alluvium_core::CursorStore):
//!
//! ```
//! use std::{path::Path, sync::Arc};
//! use alluvium_conformance::CursorStoreHarness;
//! use alluvium_core::{CursorStore, CursorStoreError, cursor_store::cursor_key};
//! # // Stands for cursors of somebody else.
//! # use alluvium_engine::FileCursorStore as Mine;
//!
//! #[derive(Default)]
//! struct Harness;
//!
//! #[async_trait::async_trait]
//! impl CursorStoreHarness for Harness {
//!     async fn open_cursors(&self, dir: &Path) -> Result<Arc<dyn CursorStore>, CursorStoreError> {
//!         Ok(Arc::new(Mine::open(dir)?))
//!     }
//!
//!     async fn overwrite_record(&self, dir: &Path, name: &str, bytes: bytes::Bytes) {
//!         let key = cursor_key(name, '%').unwrap();
//!         std::fs::write(dir.join(format!("cursors/{key}.ckpt")), bytes).unwrap();
//!     }
//! }
//!
//! alluvium_conformance::cursor_store_suite!(Harness);
//! # fn main() { alluvium_conformance::cursor_store::o1_a_saved_record_comes_back(&Harness) }
//! ```
//!
//! And who implements [`Log`](alluvium_core::Log) says, too, what is done to a log by those who write to it and run it:
//!
//! ```
//! use std::sync::Arc;
//! use alluvium_conformance::{LogHarness, LogOwner};
//! use alluvium_core::{Log, LogError, Sequence};
//! # // Stands for a log of somebody else.
//! # use alluvium_memory::MemoryLog as Mine;
//!
//! #[derive(Default)]
//! struct Harness;
//!
//! #[async_trait::async_trait]
//! impl LogHarness for Harness {
//!     async fn make_log(&self, history: u64) -> Box<dyn LogOwner> {
//!         Box::new(Owner(Mine::with_history("log", history)))
//!     }
//! }
//!
//! struct Owner(Mine);
//!
//! #[async_trait::async_trait]
//! impl LogOwner for Owner {
//!     async fn open(&self) -> Result<Arc<dyn Log>, LogError> {
//!         Ok(Arc::new(self.0.clone()))
//!     }
//!
//!     async fn put(&self, key: &str, value: bytes::Bytes) -> Sequence {
//!         self.0.put(key.to_owned(), value)
//!     }
//!
//!     async fn remove(&self, sequence: Sequence) {
//!         assert!(self.0.remove(sequence));
//!     }
//!
//!     async fn evict_before(&self, first: Sequence) {
//!         self.0.evict_before(first);
//!     }
//!
//!     async fn destroy(&self) {
//!         self.0.destroy();
//!     }
//!
//!     async fn recreate(&self) {
//!         self.0.replace();
//!     }
//!
//!     // What the word `markers` is about.
//!     async fn delete(&self, key: &str) -> Sequence {
//!         self.0.delete(key.to_owned())
//!     }
//!
//!     async fn purge(&self, key: &str) -> Sequence {
//!         self.0.purge(key.to_owned())
//!     }
//! }
//!
//! alluvium_conformance::log_suite!(Harness, markers);
//! # fn main() { alluvium_conformance::log::o1_deletes_come_in_order_with_puts(&Harness) }
//! ```
//!
//! # What a backend can do
//!
//! Where backends may differ, the suite takes it as a word: `engine_suite!(Mine, volatile)` for an engine that keeps
//! nothing. The tests that make no sense for it do not exist then. None is skipped, and none passes because what it
//! needs is absent: an engine that is given to the wrong form of the suite fails. Its [`Capabilities`] say the same to the
//! tests that exist for several forms.
//!
//! # What the kit does to it
//!
//! - **Reopen**: closes it and opens it again, or drops it without a close.
//! - **Kill**: a test runs itself again as a child process, which reports every call that has returned, and kills it
//!   with SIGKILL at random moments of which the seeds are fixed.
//! - **Damage**: turns over bytes of, cuts off and removes every file of a closed directory in turn.
//! - **Fail**: a [`FaultyStore`] under a backend or a checkpointer fails, hangs, loses an answer or dies at any one call. A
//!   [`FaultyLog`] does it to whatever reads a log: it fails, hangs or ends at any one call or item.
//! - **Compare**: the deterministic [`Commits`] and [`History`], and the models [`Content`] and [`TableModel`], say what
//!   has to be there. They are public for tests of one's own.
//!
//! With `ALLUVIUM_E2E=full` in the environment everything random is done many times more.
//!
//! Needs a Unix system: SIGKILL is part of the contract.

#![allow(clippy::missing_panics_doc, reason = "a panic is how a test fails")]

pub mod backend;
pub mod checkpointer;
mod clock;
mod content;
pub mod cursor_store;
mod damage;
mod denied;
pub mod engine;
mod faulty;
mod faulty_log;
mod harness;
mod history;
pub mod lease;
pub mod log;
mod process;
mod random;
mod segments;
mod suites;
mod support;
pub mod table;
pub mod transport;

pub use clock::ManualClock;
pub use content::{Commits, Content, PlannedWrite, Reach};
pub use faulty::{Call, Fault, FaultyStore};
pub use faulty_log::{FaultyLog, LogFault};
pub use harness::{
    BackendHarness, Capabilities, CheckpointerHarness, CursorStoreHarness, EngineHarness, LeaseHarness,
    LogHarness, LogOwner, TableHarness, Tables, TransportHarness, overwrite_cell,
};
pub use history::{History, TableModel};
pub use process::ThisTest;
pub use random::Random;
pub use segments::opaque_segment;
