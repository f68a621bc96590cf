//! Opening state: the one place that knows every engine and every object store.
//!
//! What is decided without a feature being on or off is decided first, so that a wrong directory or option is the same
//! error in every build.

use std::path::Path;
use std::sync::Arc;

use alluvium_core::StateBackend;
use alluvium_engine::{Engine, EngineBackend, StateDir, StateDirError};
use tokio::runtime::Handle;

use crate::url::{EngineKind, Place};
use crate::{OpenError, StateConfig, features};

/// Opens state with every default of [`StateConfig`]: the one line to change for another storage.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # if cfg!(feature = "memory") {
/// let state = alluvium::open("memory:").await?; // or fjall:./state, rocksdb:./state, s3://bucket/prefix, …
/// let routes = state.open_table("routes").await?;
/// assert!(routes.cursor().is_none());
/// state.close().await?;
/// # }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As [`StateConfig::open`]; [`OpenError::Url`] saying how the place is written.
pub async fn open(url: &str) -> Result<Arc<dyn StateBackend>, OpenError> {
    StateConfig::new(url)?.open().await
}

/// Does something on a thread that may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, OpenError> {
    let runtime = Handle::try_current().map_err(|_| OpenError::NoRuntime)?;
    match runtime.spawn_blocking(work).await {
        Ok(done) => Ok(done),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(OpenError::NoRuntime),
    }
}

impl StateConfig {
    /// Opens the state, made if there is none yet (unless it has to be [`existing`](StateConfig::existing)). Has to be
    /// awaited in a tokio runtime; what blocks is kept off its tasks' threads.
    ///
    /// # Errors
    ///
    /// [`OpenError::FeatureOff`] naming the feature to turn on; [`OpenError::StateDir`] for a directory that is in use,
    /// of another engine, of another format or not a state directory; [`OpenError::Store`] for an object store that
    /// does not exist, refuses the login, or has no such option; storage errors.
    pub async fn open(&self) -> Result<Arc<dyn StateBackend>, OpenError> {
        if let Place::Store { service, url } = self.url.place() {
            return features::open_backend(self, *service, url).await;
        }
        let config = self.clone();
        blocking(move || {
            let engine = config.open_engine()?;
            let backend = EngineBackend::open(engine, config.backend_options())?;
            Ok::<Arc<dyn StateBackend>, OpenError>(Arc::new(backend))
        })
        .await?
    }

    /// Opens the engine alone, for tools that look below the tables. Blocks for as long as a journal takes to replay:
    /// not for a task of an async runtime.
    ///
    /// ```
    /// use alluvium::StateConfig;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # if cfg!(all(feature = "memory", feature = "fjall")) {
    /// # let dir = tempfile::tempdir()?;
    /// # let dir = dir.path().display();
    /// let engine = StateConfig::new(&format!("memory:{dir}"))?.open_engine()?;
    /// assert_eq!(engine.name(), "memory");
    /// engine.close()?;
    ///
    /// // A directory remembers its engine, so its name alone is enough; another engine is refused.
    /// assert_eq!(StateConfig::new(&dir.to_string())?.engine_name()?, "memory");
    /// assert!(StateConfig::new(&format!("fjall:{dir}"))?.open_engine().is_err());
    /// # }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`open`](StateConfig::open), and [`OpenError::NoEngine`] for an object store.
    pub fn open_engine(&self) -> Result<Arc<dyn Engine>, OpenError> {
        features::open_engine(self, self.engine()?)
    }

    /// The name of the engine that [`open_engine`](StateConfig::open_engine) would open, without opening it: that of
    /// the URL, else the one that the directory was made with, else `fjall`.
    ///
    /// # Errors
    ///
    /// What of [`open_engine`](StateConfig::open_engine)'s errors can be told without opening anything.
    pub fn engine_name(&self) -> Result<&'static str, OpenError> {
        Ok(self.engine()?.as_str())
    }

    /// Decides on the engine.
    fn engine(&self) -> Result<EngineKind, OpenError> {
        let kind = match self.url.place() {
            Place::Store { service, .. } => {
                return Err(OpenError::NoEngine {
                    scheme: service.scheme(),
                });
            }
            Place::Ram if self.existing => return Err(OpenError::NeverExists),
            Place::Ram => EngineKind::Memory,
            Place::Dir { engine, path } => self.engine_of_dir(*engine, path)?,
        };
        if let Some(name) = self.options.first_name() {
            return Err(OpenError::NoSuchOption {
                name: name.to_owned(),
            });
        }
        if kind.is_compiled_in() {
            Ok(kind)
        } else {
            Err(self.feature_off(kind.as_str()))
        }
    }

    fn engine_of_dir(&self, asked: Option<EngineKind>, path: &Path) -> Result<EngineKind, OpenError> {
        let stored = match StateDir::stored_engine(path) {
            Ok(stored) => stored,
            Err(StateDirError::Missing { .. }) if !self.existing => {
                return Ok(asked.unwrap_or(EngineKind::Fjall));
            }
            Err(error) => return Err(error.into()),
        };
        match (asked, EngineKind::named(&stored)) {
            (Some(asked), kind) if kind != Some(asked) => Err(StateDirError::OtherEngine {
                path: path.into(),
                stored,
                expected: asked.as_str().to_owned(),
            }
            .into()),
            (_, Some(kind)) => Ok(kind),
            (_, None) => Err(OpenError::UnknownEngine {
                path: path.into(),
                stored,
            }),
        }
    }

    pub(crate) fn feature_off(&self, feature: &'static str) -> OpenError {
        OpenError::FeatureOff {
            url: self.url.clone(),
            feature,
        }
    }
}
