//! The suite for [`Checkpointer`](alluvium_core::Checkpointer).
//!
//! Named as those of the [`engine`](crate::engine) suite are: by the number of the obligation, or `m_` for what single
//! methods promise. [`checkpointer_suite!`](crate::checkpointer_suite) makes a `#[test]` of each.

mod checked;
mod complete;
mod damaged;
mod faults;
mod latest;
mod methods;
mod model;
mod names;
mod needed;
mod place;
mod prune;
mod race;
mod streams;

pub use checked::*;
pub use complete::*;
pub use damaged::*;
pub use faults::*;
pub use latest::*;
pub use methods::*;
pub use model::*;
pub use names::*;
pub use needed::*;
pub use prune::*;
pub use race::*;
pub use streams::*;
