//! Transports on servers, for the conformance suite.

use std::sync::Arc;
use std::time::Duration;

use alluvium::Transport;
use alluvium_object_store::{ObjectStoreTransport, TransportOptions};
use object_store::ObjectStore;
use object_store::path::Path as Key;

/// The artifacts below a prefix, with a limit of time for requests.
pub fn transport_over(store: Arc<dyn ObjectStore>, prefix: Key, limit: Duration) -> Arc<dyn Transport> {
    let options = TransportOptions::default().request_timeout(limit);
    Arc::new(ObjectStoreTransport::new(store, prefix, options))
}
