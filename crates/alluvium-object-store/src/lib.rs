//! State on any object store.
