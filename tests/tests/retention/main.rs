//! Mirrors and archives of a bucket that forgets, in every way that a server has, on real servers.

mod kinds;
mod overrun;
mod pair;
mod repair;
