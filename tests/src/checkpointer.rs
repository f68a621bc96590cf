//! Checkpointers on servers, and the objects below them, for the conformance suite.

use std::path::Path;
use std::sync::Arc;

use alluvium::Checkpointer;
use alluvium_object_store::{CheckpointerOptions, ObjectStoreCheckpointer, StoreOptions, open_store};
use object_store::ObjectStore;
use object_store::path::Path as Key;
use object_store::prefix::PrefixStore;

use crate::StoreServer;

/// The store of a test: a place on the server that is called as its directory is, opened as Alluvium opens it.
///
/// # Panics
///
/// If it cannot be opened.
pub fn open_objects(server: &dyn StoreServer, dir: &Path) -> Arc<dyn ObjectStore> {
    let name = dir
        .parent()
        .and_then(Path::file_name)
        .expect("the directory of a test is in one of its own");
    let mut options = StoreOptions::default().environment(false);
    for (name, value) in server.options() {
        options = options.set(name, value);
    }
    let (store, prefix) =
        open_store(&server.url(&name.to_string_lossy()), &options).expect("the store is opened");
    Arc::new(PrefixStore::new(store, prefix))
}

/// The checkpoints below a prefix, with every default.
pub fn checkpointer_over(store: Arc<dyn ObjectStore>, prefix: Key) -> Arc<dyn Checkpointer> {
    let options = CheckpointerOptions::default();
    Arc::new(ObjectStoreCheckpointer::new(store, prefix, options))
}
