//! The conformance suite for state backends on real servers, opened as a user opens them.
//!
//! Ceph, which only the full length has, is in its own program; so are kills and zombies.

mod azure;
mod s3;

use std::path::Path;
use std::sync::Arc;

use alluvium::{BackendError, BackendOptions, OpenError, StateBackend, StateConfig};
use alluvium_e2e::StoreServer;

/// Opens the backend of a test: in a place on the server that is called as its directory is.
async fn open(
    server: &dyn StoreServer,
    dir: &Path,
    options: BackendOptions,
) -> Result<Arc<dyn StateBackend>, BackendError> {
    let name = dir.parent().and_then(Path::file_name).unwrap();
    let mut config = StateConfig::new(&server.url(&name.to_string_lossy())).unwrap();
    config.instance = options.instance;
    config.vnodes = options.vnodes;
    for (name, value) in server.options() {
        config = config.option(name, value);
    }
    match config.open().await {
        Ok(backend) => Ok(backend),
        Err(OpenError::Backend(error)) => Err(error),
        Err(other) => panic!("the store is not opened: {other:?}"),
    }
}
