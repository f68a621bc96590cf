//! State backends on real servers, opened as a user opens them: the conformance suite, and stores that cannot be used.
//!
//! Ceph, which only the full length has, is in its own program; so are kills and zombies.

mod azure;
mod s3;
