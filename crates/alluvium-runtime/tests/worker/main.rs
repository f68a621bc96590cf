//! `Worker` over a log in memory.

mod batches;
mod failures;
mod parking;
mod saves;
mod stopping;
mod support;
mod work;
