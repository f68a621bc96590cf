//! Zombies on Ceph, and participants killed while they write to it.

use alluvium_e2e::{kill_suite, zombie_suite};

zombie_suite!(crate::ceph().await);
kill_suite!(crate::ceph().await);
