//! A participant of the checkpoint protocol, for the tests that stop it at every step: see
//! `alluvium_e2e::participant`, which starts it.

mod checkpoints;
mod fence;
mod gate;
mod parent;
mod race;
mod rounds;

use std::process::ExitCode;
use std::sync::Arc;

use alluvium::{BackendOptions, InstanceId, VnodeCount};
use alluvium_e2e::participant::{Orders, Part, program, state};
use alluvium_object_store::{
    ObjectStoreBackend, ObjectStoreCheckpointer, ObjectStoreOptions, StoreOptions, open_store,
};
use anyhow::Result;
use object_store::ObjectStore;
use object_store::path::Path;

use crate::gate::Gate;
use crate::parent::Parent;

fn main() -> ExitCode {
    program::run(run())
}

async fn run() -> Result<()> {
    let parent = Arc::new(Parent::default());
    let orders: Orders = program::orders()?;
    let shared = Shared::open(&orders)?;
    let gate = |shared: Shared| {
        let gate = Gate::new(Arc::clone(&shared.store), Arc::clone(&parent));
        shared.through(Arc::new(gate))
    };
    match orders.part {
        Part::Rounds {
            instance,
            version,
            first,
            last,
            asks,
        } => {
            let shared = if asks { gate(shared) } else { shared };
            rounds::run(&shared, instance, version, first..=last, &parent).await
        }
        Part::Fence { instance, version } => {
            fence::run(&gate(shared), instance, version, &parent).await;
            Ok(())
        }
        Part::Checkpoints { prunes, asks } => {
            let shared = if asks { gate(shared) } else { shared };
            checkpoints::run(&shared, prunes, &parent).await
        }
        Part::Race { instances, vnodes } => race::run(&shared, &instances, &vnodes, &parent).await,
    }
}

/// The store that is all this process shares with others.
struct Shared {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    vnodes: VnodeCount,
}

impl Shared {
    fn open(orders: &Orders) -> Result<Self> {
        let options: StoreOptions = orders.options.iter().collect();
        let (store, prefix) = open_store(&orders.url, &options)?;
        let vnodes = VnodeCount::new(orders.vnodes)?;
        Ok(Self {
            store,
            prefix,
            vnodes,
        })
    }

    /// The same, through a wrapper.
    fn through(self, store: Arc<dyn ObjectStore>) -> Self {
        Self { store, ..self }
    }

    /// A handle of the participant of this name.
    async fn backend(&self, instance: InstanceId) -> Result<ObjectStoreBackend, alluvium::BackendError> {
        let options = BackendOptions::default().instance(instance).vnodes(self.vnodes);
        let options = ObjectStoreOptions::from(options);
        ObjectStoreBackend::open(Arc::clone(&self.store), self.prefix.clone(), options).await
    }

    /// A handle for checkpoints.
    fn checkpointer(&self) -> ObjectStoreCheckpointer {
        ObjectStoreCheckpointer::new(Arc::clone(&self.store), self.prefix.clone(), state::options())
    }
}
