//! State on any object store.

mod local;
mod open;

pub use local::LocalStore;
pub use open::{OpenStoreError, StoreOptions, open_store};
