//! The suite for [`LeaseStore`](alluvium_core::LeaseStore).
//!
//! Named as those of the [`engine`](crate::engine) suite are: by the number of the obligation.
//! [`lease_suite!`](crate::lease_suite) makes a `#[test]` of each.

mod ended;
mod model;
mod names;
mod one_holder;
mod place;
mod rising;
mod taken_over;

pub use ended::*;
pub use model::*;
pub use names::*;
pub use one_holder::*;
pub use rising::*;
pub use taken_over::*;
