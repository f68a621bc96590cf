//! The public test kit: one suite per trait.
#![allow(clippy::missing_panics_doc, reason = "a panic is how a test fails")]

mod content;
mod damage;
pub mod engine;
mod harness;
mod history;
mod process;
mod random;
mod suites;
mod support;
pub mod table;

pub use content::{Commits, Content, PlannedWrite, Reach};
pub use harness::{Capabilities, EngineHarness, TableHarness, Tables};
pub use history::{History, TableModel};
pub use process::ThisTest;
pub use random::Random;
use support::patience;
