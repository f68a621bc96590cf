//! `alluvium checkpoints` on stores in files that the library has written: whole, damaged, and none at all.

#[path = "../common/mod.rs"]
mod common;
mod damage;
mod list;
mod remove;
mod shelf;
mod show;
mod usage;
