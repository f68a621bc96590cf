//! `Worker` over a log in memory.

mod batches;
#[path = "../common/failing.rs"]
mod failing;
mod failures;
mod parking;
mod saves;
mod stopping;
mod support;
mod work;
