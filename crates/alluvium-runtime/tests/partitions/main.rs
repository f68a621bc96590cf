//! Processes that share the partitions of a log in memory, by a clock that runs as fast as nothing happens.

mod bad_input;
mod balance;
mod failures;
mod support;
mod takeover;
