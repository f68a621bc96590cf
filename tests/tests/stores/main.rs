//! The object-store servers themselves: before anything of ours is tested on them, they are shown to be good enough.
//!
//! Ceph, which only the full length has, is a program of its own.

mod azure;
mod s3;
