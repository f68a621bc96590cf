//! What a backend on an object store is opened with.

use std::time::Duration;

use alluvium_core::{BackendOptions, InstanceId, VnodeCount};

/// What an [`ObjectStoreBackend`](super::ObjectStoreBackend) is opened with. Everything has a default.
///
/// ```
/// use std::time::Duration;
/// use alluvium_core::{BackendOptions, InstanceId};
/// use alluvium_object_store::ObjectStoreOptions;
///
/// # fn main() -> Result<(), alluvium_core::BackendError> {
/// let by_whom = BackendOptions::default().instance(InstanceId::new("node-1")?);
/// let options = ObjectStoreOptions::from(by_whom).request_timeout(Duration::from_secs(10));
/// # drop(options);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObjectStoreOptions {
    /// By whom it is opened, and over how many vnodes. Without a name, each handle makes up one of its own.
    pub backend: BackendOptions,
    /// How long a request may take until it is given up: 30 s by default, and on top of that the time that its bytes need
    /// at 1 MiB/s. What the client of the service repeats by itself is one request here, so a shorter time than its own
    /// cuts that off.
    pub request_timeout: Duration,
}

impl ObjectStoreOptions {
    /// The same options, for the participant of this name.
    #[must_use]
    pub fn instance(mut self, instance: InstanceId) -> Self {
        self.backend = self.backend.instance(instance);
        self
    }

    /// The same options, over this many vnodes.
    #[must_use]
    pub fn vnodes(mut self, vnodes: VnodeCount) -> Self {
        self.backend = self.backend.vnodes(vnodes);
        self
    }

    /// The same options, with this time limit for requests.
    #[must_use]
    pub fn request_timeout(mut self, limit: Duration) -> Self {
        self.request_timeout = limit;
        self
    }
}

impl Default for ObjectStoreOptions {
    fn default() -> Self {
        BackendOptions::default().into()
    }
}

impl From<BackendOptions> for ObjectStoreOptions {
    fn from(backend: BackendOptions) -> Self {
        Self {
            backend,
            request_timeout: Duration::from_secs(30),
        }
    }
}
