//! The suite for [`Log`](alluvium_core::Log).
//!
//! Named as those of the [`engine`](crate::engine) suite are: by the number of the obligation.
//! [`log_suite!`](crate::log_suite) makes a `#[test]` of each.

mod backpressure;
mod beginning;
mod bounds;
mod clean;
mod connection;
mod gone;
mod headers;
mod holdings;
mod keys;
mod listing;
mod lost_tail;
mod markers;
mod message;
mod model;
mod order;
mod place;
mod scope;

pub use backpressure::*;
pub use beginning::*;
pub use bounds::*;
pub use clean::*;
pub use connection::*;
pub use gone::*;
pub use headers::*;
pub use holdings::*;
pub use keys::*;
pub use listing::*;
pub use lost_tail::*;
pub use markers::*;
pub use message::*;
pub use model::*;
pub use order::*;
pub use place::FILTERS;
pub use scope::*;
