//! What commands run on.

use tokio::runtime::{Builder, Runtime};

use crate::error::Failure;

/// A runtime of as many threads as there are processors.
pub(crate) fn start() -> Result<Runtime, Failure> {
    Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::Start)
}
