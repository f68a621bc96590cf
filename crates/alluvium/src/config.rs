//! What state is opened by: where it is, and by whom and how it is used.

use alluvium_core::{BackendOptions, Durability, InstanceId, VnodeCount};
use serde::{Deserialize, Serialize};

use crate::options::Options;
use crate::{StateUrl, StateUrlError};

/// Where state is, and by whom and how it is used. Everything but the URL has a default.
///
/// Read it from any format that serde knows, or build it:
///
/// ```
/// use alluvium::{Durability, InstanceId, StateConfig, VnodeCount};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let read_by_serde: StateConfig = serde_json::from_str(r#"
/// {
///   "url": "s3://bucket/state",
///   "instance": "node-1",
///   "vnodes": 512,
///   "durability": "fsync",
///   "options": { "secret_access_key": "hunter2" }
/// }
/// # "#)?;
/// # let built =
/// StateConfig::new("s3://bucket/state")?
///     .instance(InstanceId::new("node-1")?)
///     .vnodes(VnodeCount::new(512)?)
///     .durability(Durability::Fsync)
///     .option("secret_access_key", "hunter2")
/// # ;
/// # assert_eq!(read_by_serde, built);
/// # assert!(!format!("{built:?}").contains("hunter2"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct StateConfig {
    /// Where the state is.
    pub url: StateUrl,
    /// The name of this participant. Without one, a backend that several processes share makes up a new name whenever
    /// it is opened; one that has a single owner calls its owner `local`.
    #[serde(default)]
    pub instance: Option<InstanceId>,
    /// How many vnodes there are; 256 by default. The state remembers it.
    #[serde(default)]
    pub vnodes: VnodeCount,
    /// What an engine's returned commit has survived; [`Durability::Buffered`] by default. Object stores, files
    /// included, are always as durable as they can be.
    #[serde(default)]
    pub durability: Durability,
    /// Whether there has to be state already, so that nothing is made; `false` by default. Directories only: a bucket
    /// has to exist anyway, and a prefix in it neither exists nor does not.
    #[serde(default)]
    pub existing: bool,
    /// Left out when a configuration is written, for it may hold credentials.
    #[serde(default, skip_serializing)]
    pub(crate) options: Options,
}

impl StateConfig {
    /// The configuration with every default, for state in this place.
    ///
    /// # Errors
    ///
    /// [`StateUrlError`] saying how the place is written.
    pub fn new(url: &str) -> Result<Self, StateUrlError> {
        Ok(url.parse::<StateUrl>()?.into())
    }

    /// The same configuration, for the participant of this name.
    #[must_use]
    pub fn instance(mut self, instance: InstanceId) -> Self {
        self.instance = Some(instance);
        self
    }

    /// The same configuration, over this many vnodes.
    #[must_use]
    pub fn vnodes(mut self, vnodes: VnodeCount) -> Self {
        self.vnodes = vnodes;
        self
    }

    /// The same configuration, with this durability.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// The same configuration, for state that has to exist already, or may not.
    #[must_use]
    pub fn existing(mut self, existing: bool) -> Self {
        self.existing = existing;
        self
    }

    /// The same configuration, with an option of the object store, such as a credential, a region or an endpoint. It
    /// counts before what the environment says. Its value is shown by nothing.
    #[must_use]
    pub fn option(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.set(name.into(), value.into());
        self
    }

    /// What of it the backend has to know.
    pub(crate) fn backend_options(&self) -> BackendOptions {
        let mut options = BackendOptions::default().vnodes(self.vnodes);
        options.instance.clone_from(&self.instance);
        options
    }
}

impl From<StateUrl> for StateConfig {
    fn from(url: StateUrl) -> Self {
        Self {
            url,
            instance: None,
            vnodes: VnodeCount::default(),
            durability: Durability::default(),
            existing: false,
            options: Options::default(),
        }
    }
}
