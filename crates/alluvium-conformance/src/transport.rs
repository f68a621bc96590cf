//! The suite for [`Transport`](alluvium_core::Transport).
//!
//! Named as those of the [`engine`](crate::engine) suite are: by the number of the obligation, or `m_` for what single
//! methods promise. [`transport_suite!`](crate::transport_suite) makes a `#[test]` of each.
//!
//! Its segments are no Parquet: a transport does not look into them.

mod cost;
mod damaged;
mod faults;
mod history;
mod methods;
mod model;
mod names;
mod place;
mod pointer;
mod prune;
mod race;
mod streams;

pub use cost::*;
pub use damaged::*;
pub use faults::*;
pub use history::*;
pub use methods::*;
pub use model::*;
pub use names::*;
pub use pointer::*;
pub use prune::*;
pub use race::*;
pub use streams::*;
