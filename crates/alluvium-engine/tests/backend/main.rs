//! What an [`EngineBackend`] keeps in its engine. What it promises as a `StateBackend` is tested by the conformance
//! suite in the crate of each engine.

mod damage;
mod format;
mod prune;
mod support;
mod tables;
mod versions;
mod writes;
