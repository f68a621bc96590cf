//! State backends, checkpointers, leases and transports on real servers, opened as a user opens them: the conformance suites,
//! and stores that cannot be used.
//!
//! Ceph, which only the full length has, is in its own program; so are kills and zombies.

mod azure;
mod s3;
