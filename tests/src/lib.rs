//! The harness of the end-to-end tests: real servers, real processes, and the truth to compare with.
//!
//! Nothing here imitates anything. What a test needs and does not find is a failure that says what to do, never a
//! test that passes.

pub mod bucket;
pub mod nats_server;
pub mod state;
pub mod wait;

pub use nats_server::NatsServer;
