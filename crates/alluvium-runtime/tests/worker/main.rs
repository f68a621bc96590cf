//! `Worker` over a log in memory.

mod batches;
#[path = "../common/failing.rs"]
mod failing;
mod failures;
mod parking;
#[path = "../common/place.rs"]
mod place;
mod saves;
#[path = "../common/seen.rs"]
mod seen;
mod stopping;
mod support;
mod work;
