//! `KvLog` against real servers: one module for each group of obligations of issue 2 and of the `Log` trait.

mod clean;
mod exact;
mod keys;
mod listing;
mod lost;
mod pressure;
mod start;
mod support;
