//! State backends on servers, opened as a user opens them, for the conformance suite.

use std::path::Path;
use std::sync::Arc;

use alluvium::{BackendError, BackendOptions, OpenError, StateBackend, StateConfig};

use crate::StoreServer;

/// Opens the backend of a test: in a place on the server that is called as its directory is.
///
/// # Errors
///
/// What the backend says.
///
/// # Panics
///
/// If it does not come as far as the backend.
pub async fn open_backend(
    server: &dyn StoreServer,
    dir: &Path,
    options: BackendOptions,
) -> Result<Arc<dyn StateBackend>, BackendError> {
    let name = dir
        .parent()
        .and_then(Path::file_name)
        .expect("the directory of a test is in one of its own");
    let mut config = StateConfig::new(&server.url(&name.to_string_lossy())).expect("a URL");
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
