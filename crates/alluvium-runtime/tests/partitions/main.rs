//! Processes that share the partitions of a log in memory, by a clock that runs as fast as nothing happens.

mod bad_input;
mod balance;
#[path = "../common/eventually.rs"]
mod eventually;
mod failures;
#[path = "../common/seen.rs"]
mod seen;
mod support;
mod takeover;
