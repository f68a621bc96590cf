//! What a stranger has written: an engine and a backend in ordered maps, the least that keeps each promise.
//!
//! With the feature `broken` each has one mistake, so that it can be seen that the suites find it here as well.

mod backend;
mod engine;

pub use backend::MapBackend;
pub use engine::MapEngine;
