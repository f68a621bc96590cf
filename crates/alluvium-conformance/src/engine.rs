//! The suite for [`Engine`](alluvium_engine::Engine).
//!
//! A test is a function that panics where the engine does not keep its word; its name begins with the number of the
//! obligation it is about, as the trait counts them (`o3_…`), or with `m_` for what single methods promise.
//! [`engine_suite!`](crate::engine_suite) makes a `#[test]` of each.

mod atomic;
mod damage;
mod dropped;
mod durable;
mod ingest;
mod kills;
mod methods;
mod model;
mod ordered;
mod owner;
mod readers;
mod snapshots;

pub use atomic::*;
pub use damage::*;
pub use dropped::*;
pub use durable::*;
pub use ingest::*;
pub use methods::*;
pub use model::*;
pub use ordered::*;
pub use owner::*;
pub use readers::*;
pub use snapshots::*;
