//! Opening checkpoints: object stores have them, whichever state lies beside them.

use std::sync::Arc;

use alluvium_core::Checkpointer;

use crate::url::Place;
use crate::{OpenError, StateConfig, features};

/// Opens the checkpoints below a prefix of an object store, with every default.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # if cfg!(feature = "object-store") {
/// # let dir = tempfile::tempdir()?;
/// # let url = format!("file://{}/checkpoints", dir.path().display());
/// let checkpointer = alluvium::open_checkpointer(&url).await?; // file:///DIR, s3://bucket/prefix, …
/// assert_eq!(checkpointer.read_latest().await?, None);
/// # }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As [`StateConfig::open_checkpointer`]; [`OpenError::Url`] saying how the place is written.
pub async fn open_checkpointer(url: &str) -> Result<Arc<dyn Checkpointer>, OpenError> {
    StateConfig::new(url)?.open_checkpointer().await
}

impl StateConfig {
    /// Opens the checkpoints in this place, with the same options that state there would be opened with. State and
    /// checkpoints each want a prefix of their own. Has to be awaited in a tokio runtime; makes a directory that is not
    /// there, unless it has to be [`existing`](StateConfig::existing), and sends no request to a service.
    ///
    /// # Errors
    ///
    /// [`OpenError::NoCheckpoints`] for a URL of an engine, [`OpenError::FeatureOff`] naming the feature to turn on;
    /// [`OpenError::Store`] for an object store that cannot be used as configured, [`OpenError::NoDirectory`] for a
    /// directory that has to exist and does not, [`OpenError::StateDir`] for one that is an engine's.
    pub async fn open_checkpointer(&self) -> Result<Arc<dyn Checkpointer>, OpenError> {
        match self.url.place() {
            Place::Store { service, url } => features::open_checkpointer(self, *service, url).await,
            Place::Ram | Place::Dir { .. } => Err(OpenError::NoCheckpoints {
                url: self.url.clone(),
            }),
        }
    }
}
