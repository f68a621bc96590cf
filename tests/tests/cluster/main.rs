//! Replicas, workers, cursors and leases on a cluster of three servers whose nodes are killed, stopped and made to hand over.

mod bucket;
mod cursors;
mod faults;
mod follow;
mod followers;
mod lagging;
mod leases;
mod starts;
mod suite;
mod worker;
mod writer;
