//! Everything on Ceph. `cargo xtask e2e --full` runs this, and no shorter run does: it is no part of a plain
//! `cargo test`, so that no test that did not run can count as one that passed.

mod backend;
mod store;
mod zombies;

use alluvium_e2e::Ceph;
use tokio::sync::OnceCell;

/// One for all of these. It ends with this process.
async fn ceph() -> &'static Ceph {
    static CEPH: OnceCell<Ceph> = OnceCell::const_new();
    CEPH.get_or_init(Ceph::start).await
}
