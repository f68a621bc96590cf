//! The suite for [`CursorStore`](alluvium_core::CursorStore).
//!
//! Named as those of the [`engine`](crate::engine) suite are: by the number of the obligation.
//! [`cursor_store_suite!`](crate::cursor_store_suite) makes a `#[test]` of each.

mod durable;
mod holder;
mod kills;
mod names;
mod place;
mod records;
mod rows;

pub use durable::*;
pub use holder::*;
pub use kills::*;
pub use names::*;
pub use records::*;
pub use rows::*;
