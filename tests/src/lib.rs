//! The harness of the end-to-end tests: real servers, real processes, and the truth to compare with.
//!
//! Nothing here imitates anything. What a test needs and does not find is a failure that says what to do, never a
//! test that passes.

pub mod azurite;
pub mod backend;
pub mod backup;
pub mod bucket;
pub mod ceph;
pub mod checkpointer;
pub mod checkpoints;
pub mod command;
pub mod depot;
pub mod engine;
pub mod feed;
pub mod files;
pub mod guardian;
pub mod kills;
pub mod lease;
pub mod nats_cluster;
pub mod nats_server;
pub mod node;
pub mod participant;
pub mod proxy;
pub mod s3_server;
pub mod sharer;
pub mod small_disk;
pub mod state;
pub mod store;
pub mod transport;
pub mod unusable;
pub mod wait;
pub mod worker;
pub mod zombies;

pub use azurite::Azurite;
pub use backend::open_backend;
pub use backup::Backup;
pub use ceph::Ceph;
pub use depot::Depot;
pub use files::Files;
pub use lease::open_leases;
pub use nats_cluster::NatsCluster;
pub use nats_server::NatsServer;
pub use proxy::Proxy;
pub use s3_server::S3Server;
pub use small_disk::SmallDisk;
pub use store::{RemoteStore, StoreServer};

use anyhow::Context as _;

/// Whether tests run at the lengths and counts that they were written for, as `cargo xtask e2e --full` does, instead of
/// their short form.
pub fn full() -> bool {
    std::env::var("ALLUVIUM_E2E").is_ok_and(|length| length == "full")
}

/// The most memory that this process has had resident at any time, in MiB, as the kernel keeps it.
///
/// # Errors
///
/// On anything but Linux.
pub fn peak_rss_mb() -> anyhow::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status").context("memory is measured on Linux only")?;
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .context("no VmHWM in /proc/self/status")?;
    let kib: f64 = line
        .split_whitespace()
        .nth(1)
        .context("VmHWM has no value")?
        .parse()?;
    Ok(kib / 1_024.0)
}
