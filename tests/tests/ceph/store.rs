//! Ceph itself.

use alluvium_e2e::store_suite;

store_suite!(crate::ceph().await);
