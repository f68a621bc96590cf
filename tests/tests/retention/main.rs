//! Mirrors and archives of a bucket that forgets, in every way that a server has, and of one that is not any more what it was,
//! on real servers.

mod follower;
mod history;
mod kind;
mod kinds;
mod overrun;
mod pair;
mod put_back;
mod recreated;
mod repair;
mod scene;
mod tail;
mod written;
