//! Removing old epochs.

use alluvium_core::{BackendError, Epoch};

use super::handle::Handle;
use super::listing::Listing;

impl Handle {
    /// Raises the floor first: from then on nobody looks for what goes, in whatever order.
    pub(super) async fn prune(&self, epoch: Epoch) -> Result<u64, BackendError> {
        let floor = self.control.raise_floor(epoch).await?;
        self.cache().forget_below(floor);
        let listing = Listing::of(&self.store, &self.layout, &self.layout.epochs()).await?;
        self.saw_attempt(listing.last_attempt());
        listing.mention_foreign(&self.store);
        let old = || listing.epochs.range(..floor);
        let paths: Vec<_> = old()
            .flat_map(|(epoch, found)| found.paths(&self.layout, *epoch))
            .collect();
        let found = paths.len() as u64;
        let removed = self.store.remove(paths).await;
        match removed.failure {
            Some(source) => Err(BackendError::PruneIncomplete {
                failed: found - removed.gone.len() as u64,
                found,
                source: Box::new(source.into()),
            }),
            None => Ok(old().count() as u64),
        }
    }
}
