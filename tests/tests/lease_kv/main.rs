//! `KvLeaseStore` against real servers: the conformance suite, answers that are lost, and buckets that cannot be used.

mod lost;
mod suite;
mod support;
mod unusable;
