//! Leases on servers, for the conformance suite.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use alluvium::{Clock, LeaseStoreOptions, ObjectStoreLeaseStore};
use object_store::path::Path as Key;

use crate::StoreServer;
use crate::checkpointer::open_objects;

/// The leases of a test: in a place on the server that is called as its directory is.
///
/// # Panics
///
/// If the store cannot be opened.
pub fn open_leases(server: &dyn StoreServer, dir: &Path, clock: Arc<dyn Clock>) -> ObjectStoreLeaseStore {
    let options = LeaseStoreOptions::default()
        .clock(clock)
        .request_timeout(Duration::from_secs(10));
    ObjectStoreLeaseStore::new(open_objects(server, dir), Key::from("leases"), options)
}
