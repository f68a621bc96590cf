//! State on any object store: S3, Azure, GCS, files, memory.
//!
//! [`open_store`] opens a store from a URL, [`LocalStore`] is one over a directory, and [`ObjectStoreBackend`] is a
//! [`StateBackend`](alluvium_core::StateBackend) on any of them, or on any other
//! [`ObjectStore`](object_store::ObjectStore) that has create-only and compare-and-swap. What is stored, and how the
//! fence holds against a zombie that stops between any two requests, is described in `backend.rs`.
//! [`ObjectStoreCheckpointer`] keeps checkpoints there: `checkpoint.rs`; [`ObjectStoreTransport`] artifacts: `transport.rs`;
//! [`ObjectStoreLeaseStore`] leases: `lease.rs`.

mod backend;
mod blob;
mod checkpoint;
mod digest;
mod lease;
mod local;
mod open;
mod pointer;
mod store;
mod sweep;
#[cfg(test)]
mod testing;
mod transport;

pub use backend::{ObjectStoreBackend, ObjectStoreOptions};
pub use checkpoint::{CheckpointerOptions, ObjectStoreCheckpointer};
pub use lease::{LeaseStoreOptions, ObjectStoreLeaseStore};
pub use local::LocalStore;
pub use open::{OpenStoreError, StoreOptions, open_store};
pub use transport::{ObjectStoreTransport, TransportOptions};
