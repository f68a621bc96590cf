//! A cursor store that cannot save.

use std::sync::Arc;

use alluvium_core::{Change, CursorRecord, CursorStore, CursorStoreError, ErrorKind, HeldCursor};
use alluvium_memory::MemoryCursorStore;
use async_trait::async_trait;
use tokio::sync::watch;

/// A store of which every save fails for a moment, before or after it was done.
pub(crate) struct Failing {
    store: MemoryCursorStore,
    done: bool,
    /// How many saves have failed.
    failures: Arc<watch::Sender<u64>>,
}

impl Failing {
    pub(crate) fn new(store: &MemoryCursorStore, done: bool) -> (Arc<Self>, watch::Receiver<u64>) {
        let (failures, watching) = watch::channel(0);
        let failing = Self {
            store: store.clone(),
            done,
            failures: Arc::new(failures),
        };
        (Arc::new(failing), watching)
    }
}

#[async_trait]
impl CursorStore for Failing {
    async fn hold(&self, name: &str) -> Result<Arc<dyn HeldCursor>, CursorStoreError> {
        Ok(Arc::new(FailingHeld {
            held: self.store.hold(name).await?,
            done: self.done,
            failures: Arc::clone(&self.failures),
        }))
    }

    async fn load(&self, name: &str) -> Result<Option<CursorRecord>, CursorStoreError> {
        self.store.load(name).await
    }

    async fn remove(&self, name: &str) -> Result<(), CursorStoreError> {
        self.store.remove(name).await
    }

    async fn list(&self) -> Result<Vec<String>, CursorStoreError> {
        self.store.list().await
    }
}

struct FailingHeld {
    held: Arc<dyn HeldCursor>,
    done: bool,
    failures: Arc<watch::Sender<u64>>,
}

#[async_trait]
impl HeldCursor for FailingHeld {
    fn name(&self) -> &str {
        self.held.name()
    }

    async fn load(&self) -> Result<Option<CursorRecord>, CursorStoreError> {
        self.held.load().await
    }

    async fn save(&self, record: &CursorRecord) -> Result<(), CursorStoreError> {
        self.save_with(record, Arc::default()).await
    }

    async fn save_with(&self, record: &CursorRecord, rows: Arc<[Change]>) -> Result<(), CursorStoreError> {
        if self.done {
            self.held.save_with(record, rows).await?;
        }
        self.failures.send_modify(|failures| *failures += 1);
        Err(CursorStoreError::Storage {
            doing: "write",
            path: "nowhere".into(),
            kind: ErrorKind::Transient,
            source: "the answer was lost".into(),
        })
    }
}
