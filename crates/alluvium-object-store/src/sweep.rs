//! Removing many objects: going on past what cannot be removed, and telling of it at the end.
//!
//! Ages are told by the store's clock: that of whoever prunes may be wrong. To ask for it, something is put and removed again,
//! by a dry run too.

use std::time::SystemTime;

use object_store::path::Path;
use uuid::Uuid;

use crate::store::{Store, StoreError};

/// What has been removed, and what could not be.
#[derive(Debug)]
pub(crate) struct Sweep<E> {
    store: Store,
    /// Whether it is only counted.
    dry_run: bool,
    swept: Swept,
    failed: u64,
    first: Option<E>,
}

/// What has been removed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Swept {
    pub(crate) objects: u64,
    pub(crate) bytes: u64,
}

/// Not everything has been removed.
#[derive(Debug)]
pub(crate) struct Incomplete<E> {
    pub(crate) failed: u64,
    pub(crate) found: u64,
    /// Why not, of the first.
    pub(crate) source: E,
}

impl<E: From<StoreError>> Sweep<E> {
    pub(crate) fn new(store: Store, dry_run: bool) -> Self {
        Self {
            store,
            dry_run,
            swept: Swept::default(),
            failed: 0,
            first: None,
        }
    }

    pub(crate) fn is_dry_run(&self) -> bool {
        self.dry_run
    }

    /// Removes objects of so many bytes together. Whether all of them are gone.
    pub(crate) async fn remove(&mut self, paths: Vec<Path>, bytes: u64) -> bool {
        let found = paths.len();
        if self.dry_run {
            self.swept.objects += found as u64;
            self.swept.bytes += bytes;
            return true;
        }
        let removed = self.store.remove(paths).await;
        self.swept.objects += removed.gone.len() as u64;
        if let Some(failure) = removed.failure {
            self.failed(found - removed.gone.len().min(found), failure.into());
            return false;
        }
        self.swept.bytes += bytes;
        true
    }

    /// So many objects could not be removed.
    pub(crate) fn failed(&mut self, objects: usize, error: E) {
        self.failed += objects.max(1) as u64;
        self.first.get_or_insert(error);
    }

    pub(crate) fn done(self) -> Result<Swept, Incomplete<E>> {
        match self.first {
            None => Ok(self.swept),
            Some(source) => Err(Incomplete {
                failed: self.failed,
                found: self.failed + self.swept.objects,
                source,
            }),
        }
    }
}

/// What time it is for the store: what it stamps on an object that is put now, at a path that is nothing else's.
pub(crate) async fn store_time(store: &Store, path: Path) -> Result<SystemTime, StoreError> {
    store.put(&path, Uuid::new_v4().to_string().into()).await?;
    let stamped = store.last_modified(&path).await?;
    if let Some(failure) = store.remove(vec![path]).await.failure {
        return Err(failure);
    }
    // Removed by another prune: then it is time to come back later.
    Ok(stamped.unwrap_or(SystemTime::UNIX_EPOCH))
}
