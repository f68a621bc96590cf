//! The suite for [`StateBackend`](alluvium_core::StateBackend).
//!
//! Named as those of the [`engine`](crate::engine) suite are: by the number of the obligation, or `m_` for what single
//! methods promise. [`backend_suite!`](crate::backend_suite) makes a `#[test]` of each.

mod bad_input;
mod durable;
mod fence;
mod kills;
mod last_write;
mod methods;
mod model;
mod place;
mod prune;
mod seal;
mod shared;

pub use bad_input::*;
pub use durable::*;
pub use fence::*;
pub use kills::*;
pub use last_write::*;
pub use methods::*;
pub use model::*;
pub use prune::*;
pub use seal::*;
pub use shared::*;
