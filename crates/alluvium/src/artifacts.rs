//! Opening artifacts: object stores have them, whichever state lies beside them.

use std::sync::Arc;

use alluvium_core::{LeaseStore, Transport};

use crate::url::Place;
use crate::{OpenError, StateConfig, features};

/// Opens the artifacts below a prefix of an object store, with every default.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # if cfg!(feature = "object-store") {
/// # let dir = tempfile::tempdir()?;
/// # let url = format!("file://{}/artifacts", dir.path().display());
/// let transport = alluvium::open_transport(&url).await?; // file:///DIR, s3://bucket/prefix, …
/// assert!(transport.manifest(&"routes".parse()?).await?.is_none());
/// # }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As [`StateConfig::open_transport`]; [`OpenError::Url`] saying how the place is written.
pub async fn open_transport(url: &str) -> Result<Arc<dyn Transport>, OpenError> {
    StateConfig::new(url)?.open_transport().await
}

impl StateConfig {
    /// Opens the artifacts in this place, with the same options that state there would be opened with. State, checkpoints and
    /// artifacts each want a prefix of their own. Has to be awaited in a tokio runtime; makes a directory that is not there, unless
    /// it has to be [`existing`](StateConfig::existing), and sends no request to a service.
    ///
    /// # Errors
    ///
    /// [`OpenError::NoArtifacts`] for a URL of an engine, [`OpenError::FeatureOff`] naming the feature to turn on;
    /// [`OpenError::Store`] for an object store that cannot be used as configured, [`OpenError::NoDirectory`] for a
    /// directory that has to exist and does not, [`OpenError::StateDir`] for one that is an engine's.
    pub async fn open_transport(&self) -> Result<Arc<dyn Transport>, OpenError> {
        match self.url.place() {
            Place::Store { service, url } => features::open_transport(self, *service, url).await,
            Place::Ram | Place::Dir { .. } => Err(OpenError::NoArtifacts {
                url: self.url.clone(),
            }),
        }
    }

    /// Opens the leases in this place, by which a fleet shares the work of exporting: they may lie beside the artifacts. All as
    /// with [`open_transport`](StateConfig::open_transport).
    ///
    /// # Errors
    ///
    /// As [`open_transport`](StateConfig::open_transport).
    pub async fn open_leases(&self) -> Result<Arc<dyn LeaseStore>, OpenError> {
        match self.url.place() {
            Place::Store { service, url } => features::open_leases(self, *service, url).await,
            Place::Ram | Place::Dir { .. } => Err(OpenError::NoArtifacts {
                url: self.url.clone(),
            }),
        }
    }
}
