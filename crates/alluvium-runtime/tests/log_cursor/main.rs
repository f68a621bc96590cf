//! `LogCursor` over a log in memory, with its position in memory or in a table.

mod commit;
#[path = "../common/failing.rs"]
mod failing;
mod gaps;
mod start;
mod support;
