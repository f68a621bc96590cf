//! One [`StateBackend`] over any [`Engine`].

use std::sync::Arc;

use alluvium_core::{
    AssignmentVersion, BackendError, BackendOptions, Epoch, InstanceId, StateBackend, Table, Vnode,
    VnodeCount,
};
use async_trait::async_trait;
use bytes::Bytes;

use crate::Engine;

/// A [`StateBackend`] in the spaces of an [`Engine`].
pub struct EngineBackend {
    engine: Arc<dyn Engine>,
    instance: InstanceId,
    vnodes: VnodeCount,
}

impl EngineBackend {
    /// Opens the backend that lives in an engine. Reads from the disk: not for an async runtime.
    ///
    /// # Errors
    ///
    /// [`BackendError::Corrupt`]; storage errors.
    pub fn open(engine: Arc<dyn Engine>, options: BackendOptions) -> Result<Self, BackendError> {
        let instance = match options.instance {
            Some(instance) => instance,
            None => InstanceId::new("local")?,
        };
        Ok(Self {
            engine,
            instance,
            vnodes: options.vnodes,
        })
    }

    fn unsupported(&self) -> BackendError {
        BackendError::Unsupported {
            what: "partials yet",
            backend: self.engine.name(),
        }
    }
}

#[async_trait]
impl StateBackend for EngineBackend {
    fn instance(&self) -> &InstanceId {
        &self.instance
    }

    fn vnode_count(&self) -> VnodeCount {
        self.vnodes
    }

    async fn write_partials(
        &self,
        _: Epoch,
        _: AssignmentVersion,
        _: Vec<(Vnode, Bytes)>,
    ) -> Result<(), BackendError> {
        Err(self.unsupported())
    }

    async fn read_partial(&self, _: Vnode, _: Epoch) -> Result<Option<Bytes>, BackendError> {
        Err(self.unsupported())
    }

    async fn epoch_complete(&self, _: Epoch, _: &[Vnode]) -> Result<bool, BackendError> {
        Err(self.unsupported())
    }

    async fn prune_before(&self, _: Epoch) -> Result<u64, BackendError> {
        Err(self.unsupported())
    }

    fn set_authoritative_version(&self, _: AssignmentVersion) {}

    fn authoritative_version(&self) -> AssignmentVersion {
        AssignmentVersion::OFF
    }

    async fn fence(&self, _: AssignmentVersion) -> Result<(), BackendError> {
        Err(self.unsupported())
    }

    async fn latest_complete(&self) -> Result<Option<Epoch>, BackendError> {
        Err(self.unsupported())
    }

    async fn open_table(&self, _: &str) -> Result<Arc<dyn Table>, BackendError> {
        Err(self.unsupported())
    }

    async fn close(&self) -> Result<(), BackendError> {
        Err(self.unsupported())
    }
}
