//! A place in a store, which is all that this process and participants share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use alluvium::{InstanceId, StateBackend, StateConfig, Vnode, VnodeCount};
use alluvium_object_store::{StoreOptions, open_store};
use object_store::ObjectStore;
use object_store::path::Path;

use super::{Orders, Part, Participant};
use crate::StoreServer;

/// How many vnodes there are: enough for several of them to be in one partial, few enough to read them all again and
/// again.
const VNODES: u32 = 8;

/// A place where nothing is yet, and the program that is to share it.
#[derive(Debug)]
pub struct Place {
    url: String,
    options: Vec<(String, String)>,
    program: &'static str,
    vnodes: VnodeCount,
}

impl Place {
    /// A place of its own in a server, for participants of this program.
    ///
    /// # Panics
    ///
    /// Never.
    pub fn new(server: &dyn StoreServer, program: &'static str) -> Self {
        static PLACES: AtomicU32 = AtomicU32::new(0);
        let prefix = format!("place-{}", PLACES.fetch_add(1, Ordering::Relaxed));
        Self {
            url: server.url(&prefix),
            options: server.options(),
            program,
            vnodes: VnodeCount::new(VNODES).expect("a count within its range"),
        }
    }

    /// Every vnode.
    pub fn vnodes(&self) -> Vec<Vnode> {
        self.vnodes.vnodes().collect()
    }

    /// A handle in this process, for an instance of this name.
    ///
    /// # Panics
    ///
    /// If it does not open.
    pub async fn open(&self, instance: &str) -> Arc<dyn StateBackend> {
        let instance = InstanceId::new(instance).expect("a plain name");
        let config = StateConfig::new(&self.url)
            .expect("a URL")
            .instance(instance)
            .vnodes(self.vnodes);
        self.options
            .iter()
            .fold(config, |config, (name, value)| config.option(name, value))
            .open()
            .await
            .expect("the store is opened")
    }

    /// The store, and the prefix in it that is this place.
    ///
    /// # Panics
    ///
    /// If it does not open.
    pub fn store(&self) -> (Arc<dyn ObjectStore>, Path) {
        let options: StoreOptions = self.options.iter().cloned().collect();
        open_store(&self.url, &options).expect("the store is opened")
    }

    /// A process that shares it.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub async fn participant(&self, part: Part) -> Participant {
        let orders = Orders {
            url: self.url.clone(),
            options: self.options.iter().cloned().collect(),
            vnodes: self.vnodes.get(),
            part,
        };
        Participant::start(self.program, &orders).await
    }
}
