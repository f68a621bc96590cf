//! A name that is held in a directory of cursors.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use alluvium_core::{CursorRecord, CursorStoreError, HeldCursor};
use async_trait::async_trait;

use super::file::{Locked, Place};
use super::{blocking, unpoisoned};

pub(super) struct HeldFile(Arc<Inner>);

struct Inner {
    place: Place,
    holder: [u8; 16],
    /// The number of the next save.
    next: AtomicU64,
    /// The number of the last save that was done: one that nobody waits for any more may come late.
    done: Mutex<u64>,
}

impl HeldFile {
    pub(super) fn new(place: Place, holder: [u8; 16]) -> Self {
        Self(Arc::new(Inner {
            place,
            holder,
            next: AtomicU64::new(1),
            done: Mutex::new(0),
        }))
    }

    async fn blocking<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Inner) -> Result<T, CursorStoreError> + Send + 'static,
    ) -> Result<T, CursorStoreError> {
        let inner = Arc::clone(&self.0);
        let path: &Path = &self.0.place.record;
        blocking(doing, path, move || work(&inner)).await
    }
}

impl Inner {
    /// The lock, if the name is still held.
    fn lock(&self) -> Result<Locked, CursorStoreError> {
        if let Some(mut locked) = self.place.lock_again()?
            && locked.holder()? == self.holder
        {
            return Ok(locked);
        }
        Err(CursorStoreError::Fenced {
            name: self.place.name.clone(),
        })
    }
}

#[async_trait]
impl HeldCursor for HeldFile {
    fn name(&self) -> &str {
        &self.0.place.name
    }

    async fn load(&self) -> Result<Option<CursorRecord>, CursorStoreError> {
        self.blocking("read", |inner| {
            let _locked = inner.lock()?;
            inner.place.read()
        })
        .await
    }

    async fn save(&self, record: &CursorRecord) -> Result<(), CursorStoreError> {
        let bytes = record.encode();
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        self.blocking("write", move |inner| {
            let mut done = unpoisoned(&inner.done);
            let _locked = inner.lock()?;
            if number < *done {
                // A later one has replaced this one already.
                return Ok(());
            }
            inner.place.write(&bytes)?;
            *done = number;
            Ok(())
        })
        .await
    }
}
