//! The cursor of a partition, which moves only while the lease is this process's.

use std::sync::Arc;

use alluvium_core::{Change, CursorRecord, CursorStore, CursorStoreError, HeldCursor, LeaseError};
use async_trait::async_trait;

use super::claim::Claim;

/// A cursor store in which a name is held by a lease: see the order of things in [`Partitions`](super::Partitions).
pub(super) struct Gate {
    pub(super) cursors: Arc<dyn CursorStore>,
    pub(super) claim: Arc<Claim>,
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl CursorStore for Gate {
    /// Holds the name, and then makes sure that the lease was still this process's when it did: whoever acquires the lease later
    /// holds the name later too, and fences this one.
    async fn hold(&self, name: &str) -> Result<Arc<dyn HeldCursor>, CursorStoreError> {
        if self.claim.is_gone() {
            return Err(fenced(name));
        }
        let held = self.cursors.hold(name).await?;
        match self.claim.renew().await {
            Ok(()) => Ok(Arc::new(Gated {
                held,
                claim: Arc::clone(&self.claim),
            })),
            Err(LeaseError::Lost { .. }) => Err(fenced(name)),
            Err(error) => Err(CursorStoreError::Storage {
                doing: "confirm the lease of the cursor",
                path: name.into(),
                kind: error.kind(),
                source: error.into(),
            }),
        }
    }

    async fn load(&self, name: &str) -> Result<Option<CursorRecord>, CursorStoreError> {
        self.cursors.load(name).await
    }

    async fn remove(&self, name: &str) -> Result<(), CursorStoreError> {
        self.cursors.remove(name).await
    }

    async fn list(&self) -> Result<Vec<String>, CursorStoreError> {
        self.cursors.list().await
    }
}

struct Gated {
    held: Arc<dyn HeldCursor>,
    claim: Arc<Claim>,
}

impl Gated {
    /// A lease that is over by this machine's clock is as good as lost: somebody else may be about to hold the name.
    fn check(&self) -> Result<(), CursorStoreError> {
        if self.claim.is_valid() {
            Ok(())
        } else {
            Err(fenced(self.held.name()))
        }
    }
}

fn fenced(name: &str) -> CursorStoreError {
    CursorStoreError::Fenced {
        name: name.to_owned(),
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl HeldCursor for Gated {
    fn name(&self) -> &str {
        self.held.name()
    }

    async fn load(&self) -> Result<Option<CursorRecord>, CursorStoreError> {
        self.held.load().await
    }

    async fn save(&self, record: &CursorRecord) -> Result<(), CursorStoreError> {
        self.check()?;
        self.held.save(record).await
    }

    async fn save_with(&self, record: &CursorRecord, rows: Arc<[Change]>) -> Result<(), CursorStoreError> {
        self.check()?;
        self.held.save_with(record, rows).await
    }
}
