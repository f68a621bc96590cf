//! `alluvium tail` and `alluvium cursors` on a real server: what is given, how far it has come, and moving that.

mod cursors;
mod desk;
mod exec;
mod places;
mod tail;
mod unusable;
