//! `LogCursor` over a log in memory, with its position in memory or in a table.

mod commit;
#[path = "../common/failing.rs"]
mod failing;
mod gaps;
#[path = "../common/place.rs"]
mod place;
mod start;
mod support;
