//! Tables on their way between nodes: real servers, real stores, real processes, and a truth to compare with.
//!
//! One program for all of these, because each one links the engines and the client.

mod duck;
mod fleet;
mod full_disk;
mod kill;
mod pairs;
