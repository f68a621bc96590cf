//! State on any object store.

mod backend;
mod local;
mod open;
mod pointer;
mod store;
#[cfg(test)]
mod testing;

pub use backend::{ObjectStoreBackend, ObjectStoreOptions};
pub use local::LocalStore;
pub use open::{OpenStoreError, StoreOptions, open_store};
