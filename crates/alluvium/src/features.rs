//! What is compiled in, and how it is opened: beside the re-exports the only file that asks for features.

use std::sync::Arc;

use alluvium_core::{Checkpointer, LeaseStore, StateBackend, Transport};
use alluvium_engine::Engine;
#[cfg(feature = "object-store")]
use alluvium_engine::{StateDir, StateDirError};
#[cfg(feature = "object-store")]
use alluvium_object_store::StoreOptions;
#[cfg(feature = "object-store")]
use object_store::{ObjectStore, path::Path as ObjectPath};

use crate::url::{EngineKind, Service};
use crate::{OpenError, StateConfig};

impl EngineKind {
    /// Whether the feature is on that is named as the engine.
    pub(crate) const fn is_compiled_in(self) -> bool {
        match self {
            Self::Memory => cfg!(feature = "memory"),
            Self::Fjall => cfg!(feature = "fjall"),
            Self::RocksDb => cfg!(feature = "rocksdb"),
        }
    }
}

impl Service {
    /// The feature that brings it.
    pub(crate) const fn feature(self) -> &'static str {
        match self {
            Self::File => "object-store",
            Self::S3 => "s3",
            Self::Azure => "azure",
            Self::Gcs => "gcs",
        }
    }

    /// Whether that feature is on.
    pub(crate) const fn is_compiled_in(self) -> bool {
        match self {
            Self::File => cfg!(feature = "object-store"),
            Self::S3 => cfg!(feature = "s3"),
            Self::Azure => cfg!(feature = "azure"),
            Self::Gcs => cfg!(feature = "gcs"),
        }
    }
}

/// Opens an engine, in the directory of the configuration if it names one.
pub(crate) fn open_engine(config: &StateConfig, kind: EngineKind) -> Result<Arc<dyn Engine>, OpenError> {
    match (kind, config.url.dir()) {
        #[cfg(feature = "memory")]
        (EngineKind::Memory, None) => Ok(Arc::new(alluvium_memory::MemoryEngine::in_memory())),
        #[cfg(feature = "memory")]
        (EngineKind::Memory, Some(path)) => {
            let options = alluvium_memory::MemoryOptions::default().durability(config.durability);
            Ok(Arc::new(if config.existing {
                alluvium_memory::MemoryEngine::open_existing(path, options)?
            } else {
                alluvium_memory::MemoryEngine::open(path, options)?
            }))
        }
        #[cfg(feature = "fjall")]
        (EngineKind::Fjall, Some(path)) => {
            let options = alluvium_fjall::FjallOptions::default().durability(config.durability);
            Ok(Arc::new(if config.existing {
                alluvium_fjall::FjallEngine::open_existing(path, options)?
            } else {
                alluvium_fjall::FjallEngine::open(path, options)?
            }))
        }
        #[cfg(feature = "rocksdb")]
        (EngineKind::RocksDb, Some(path)) => {
            let options = alluvium_rocksdb::RocksDbOptions::default().durability(config.durability);
            Ok(Arc::new(if config.existing {
                alluvium_rocksdb::RocksDbEngine::open_existing(path, options)?
            } else {
                alluvium_rocksdb::RocksDbEngine::open(path, options)?
            }))
        }
        _ => Err(config.feature_off(kind.as_str())),
    }
}

/// Opens the backend on an object store.
#[cfg(feature = "object-store")]
pub(crate) async fn open_backend(
    config: &StateConfig,
    service: Service,
    url: &str,
) -> Result<Arc<dyn StateBackend>, OpenError> {
    let existing = config.existing;
    let missing = move |error: StateDirError| if existing { Err(error.into()) } else { Ok(()) };
    let (store, prefix) = open_store(config, service, url, missing).await?;
    let options = config.backend_options().into();
    let backend = alluvium_object_store::ObjectStoreBackend::open(store, prefix, options).await?;
    Ok(Arc::new(backend))
}

/// Opens the checkpointer on an object store.
#[cfg(feature = "object-store")]
pub(crate) async fn open_checkpointer(
    config: &StateConfig,
    service: Service,
    url: &str,
) -> Result<Arc<dyn Checkpointer>, OpenError> {
    use alluvium_object_store::{CheckpointerOptions, ObjectStoreCheckpointer};

    let (store, prefix) = open_prefix(config, service, url).await?;
    let checkpointer = ObjectStoreCheckpointer::new(store, prefix, CheckpointerOptions::default());
    Ok(Arc::new(checkpointer))
}

/// Opens the transport on an object store.
#[cfg(feature = "object-store")]
pub(crate) async fn open_transport(
    config: &StateConfig,
    service: Service,
    url: &str,
) -> Result<Arc<dyn Transport>, OpenError> {
    use alluvium_object_store::{ObjectStoreTransport, TransportOptions};

    let (store, prefix) = open_prefix(config, service, url).await?;
    let transport = ObjectStoreTransport::new(store, prefix, TransportOptions::default());
    Ok(Arc::new(transport))
}

/// Opens the leases on an object store.
#[cfg(feature = "object-store")]
pub(crate) async fn open_leases(
    config: &StateConfig,
    service: Service,
    url: &str,
) -> Result<Arc<dyn LeaseStore>, OpenError> {
    use alluvium_object_store::{LeaseStoreOptions, ObjectStoreLeaseStore};

    let (store, prefix) = open_prefix(config, service, url).await?;
    let leases = ObjectStoreLeaseStore::new(store, prefix, LeaseStoreOptions::default());
    Ok(Arc::new(leases))
}

/// Opens an object store for what need not be there yet, as long as its directory is where that is asked for.
#[cfg(feature = "object-store")]
async fn open_prefix(
    config: &StateConfig,
    service: Service,
    url: &str,
) -> Result<(Arc<dyn ObjectStore>, ObjectPath), OpenError> {
    let existing = config.existing;
    let missing = move |error: StateDirError| match error {
        StateDirError::Missing { path } if existing && !path.is_dir() => Err(OpenError::NoDirectory { path }),
        _ => Ok(()),
    };
    open_store(config, service, url, missing).await
}

/// Opens an object store. Of a directory where nothing is, `missing` decides.
#[cfg(feature = "object-store")]
async fn open_store(
    config: &StateConfig,
    service: Service,
    url: &str,
    missing: impl FnOnce(StateDirError) -> Result<(), OpenError> + Send + 'static,
) -> Result<(Arc<dyn ObjectStore>, ObjectPath), OpenError> {
    if !service.is_compiled_in() {
        return Err(config.feature_off(service.feature()));
    }
    let text = url.to_owned();
    let options: StoreOptions = config.options.exposed().collect();
    crate::open::blocking(move || {
        check_directory(&text, missing)?;
        Ok::<_, OpenError>(alluvium_object_store::open_store(&text, &options))
    })
    .await??
    .map_err(|error| OpenError::Store {
        url: config.url.clone(),
        kind: error.kind(),
        source: error.into(),
    })
}

/// Checks a directory before objects are put into it: that of an engine is none.
#[cfg(feature = "object-store")]
fn check_directory(
    url: &str,
    missing: impl FnOnce(StateDirError) -> Result<(), OpenError>,
) -> Result<(), OpenError> {
    // Of other URLs there is no path, and what is wrong with this one its own reader says better.
    let path = url::Url::parse(url)
        .ok()
        .filter(|url| url.scheme() == Service::File.scheme());
    let Some(path) = path.and_then(|url| url.to_file_path().ok()) else {
        return Ok(());
    };
    match StateDir::stored_engine(&path) {
        Ok(stored) => Err(StateDirError::OtherEngine {
            path,
            stored,
            expected: Service::File.scheme().to_owned(),
        }
        .into()),
        Err(error @ StateDirError::Missing { .. }) => missing(error),
        Err(_) => Ok(()),
    }
}

/// Says what would open it.
#[cfg(not(feature = "object-store"))]
#[allow(clippy::unused_async, reason = "it is called as its twin is")]
pub(crate) async fn open_backend(
    config: &StateConfig,
    service: Service,
    _url: &str,
) -> Result<Arc<dyn StateBackend>, OpenError> {
    debug_assert!(!service.is_compiled_in());
    Err(config.feature_off(service.feature()))
}

/// Says what would open it.
#[cfg(not(feature = "object-store"))]
#[allow(clippy::unused_async, reason = "it is called as its twin is")]
pub(crate) async fn open_checkpointer(
    config: &StateConfig,
    service: Service,
    _url: &str,
) -> Result<Arc<dyn Checkpointer>, OpenError> {
    debug_assert!(!service.is_compiled_in());
    Err(config.feature_off(service.feature()))
}

/// Says what would open it.
#[cfg(not(feature = "object-store"))]
#[allow(clippy::unused_async, reason = "it is called as its twin is")]
pub(crate) async fn open_transport(
    config: &StateConfig,
    service: Service,
    _url: &str,
) -> Result<Arc<dyn Transport>, OpenError> {
    debug_assert!(!service.is_compiled_in());
    Err(config.feature_off(service.feature()))
}

/// Says what would open it.
#[cfg(not(feature = "object-store"))]
#[allow(clippy::unused_async, reason = "it is called as its twin is")]
pub(crate) async fn open_leases(
    config: &StateConfig,
    service: Service,
    _url: &str,
) -> Result<Arc<dyn LeaseStore>, OpenError> {
    debug_assert!(!service.is_compiled_in());
    Err(config.feature_off(service.feature()))
}
