//! Placeholder.
use alluvium_core::*;
/// x
pub struct EngineTable;
