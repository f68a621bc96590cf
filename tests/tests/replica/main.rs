//! Replicas against real servers: how they follow, what they survive, what they take.
//!
//! One program for all of these, because each one links the engines and the client.

mod follow;
mod full_disk;
mod kill;
mod memory;
mod nats_py;
mod repair;
