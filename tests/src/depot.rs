//! A place in a store for artifacts and leases, for this process and for nodes.

use std::collections::BTreeMap;
use std::sync::Arc;

use alluvium_object_store::{
    LeaseStoreOptions, ObjectStoreLeaseStore, ObjectStoreTransport, StoreOptions, TransportOptions,
    open_store,
};
use object_store::ObjectStore;
use object_store::path::Path;
use serde::{Deserialize, Serialize};

use crate::StoreServer;

/// Where artifacts and leases are.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Depot {
    url: String,
    options: BTreeMap<String, String>,
}

impl Depot {
    /// A place of this name in a server.
    pub fn new(server: &dyn StoreServer, name: &str) -> Self {
        Self {
            url: server.url(name),
            options: server.options().into_iter().collect(),
        }
    }

    /// The store, and the prefix in it that is this place.
    ///
    /// # Panics
    ///
    /// If it does not open.
    pub fn store(&self) -> (Arc<dyn ObjectStore>, Path) {
        let options: StoreOptions = self.options.iter().collect();
        open_store(&self.url, &options).expect("the store is opened")
    }

    /// The artifacts.
    ///
    /// # Panics
    ///
    /// If the store does not open.
    pub fn transport(&self) -> Arc<ObjectStoreTransport> {
        let (store, prefix) = self.store();
        let transport =
            ObjectStoreTransport::new(store, prefix.join("artifacts"), TransportOptions::default());
        Arc::new(transport)
    }

    /// The leases.
    ///
    /// # Panics
    ///
    /// If the store does not open.
    pub fn leases(&self) -> Arc<ObjectStoreLeaseStore> {
        let (store, prefix) = self.store();
        let leases = ObjectStoreLeaseStore::new(store, prefix.join("leases"), LeaseStoreOptions::default());
        Arc::new(leases)
    }
}
