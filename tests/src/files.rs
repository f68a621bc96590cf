//! A directory as a store: what a server is to other stores.

use crate::StoreServer;
use crate::guardian::Directory;

/// A directory that several processes share. Dropping it removes it and what was stored.
#[derive(Debug)]
pub struct Files(Directory);

impl Files {
    /// An empty one.
    ///
    /// # Panics
    ///
    /// Without room for a temporary directory.
    pub fn start() -> Self {
        Self(Directory::create("alluvium-files-").expect("a temporary directory"))
    }
}

impl StoreServer for Files {
    fn url(&self, prefix: &str) -> String {
        format!("file://{}/{prefix}", self.0.path().display())
    }

    fn options(&self) -> Vec<(String, String)> {
        Vec::new()
    }
}
