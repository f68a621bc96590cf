//! State on any object store.

mod local;

pub use local::LocalStore;
