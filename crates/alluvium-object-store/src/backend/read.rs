//! Reading partials, and which epoch is complete.

use alluvium_core::{BackendError, Digest, Epoch, Vnode};
use bytes::Bytes;

use super::handle::{Handle, Look, corrupt};
use super::listing::Listing;
use super::names::PartialsName;
use super::record::Entry;
use crate::digest;

/// The bytes of a partial are not what was written.
#[derive(Debug, thiserror::Error)]
enum PartialError {
    #[error("vnode {vnode}: the bytes have SHA-256 {found}, not {expected}")]
    OtherBytes {
        vnode: Vnode,
        found: Digest,
        expected: Digest,
    },
    #[error("vnode {0}: the index is there, the bytes are not")]
    NoBytes(Vnode),
}

impl Handle {
    pub(super) async fn read(&self, vnode: Vnode, epoch: Epoch) -> Result<Option<Bytes>, BackendError> {
        let cached = self.cache().seal(epoch);
        let look = match cached {
            Some(seal) => Look::Sealed(seal),
            None => self.look(epoch).await?,
        };
        match look {
            Look::Nothing | Look::Pruned => Ok(None),
            Look::Sealed(seal) => {
                let Some((name, entry)) = seal.partial(vnode) else {
                    return Ok(None);
                };
                let bytes = self.bytes(epoch, name, entry).await?;
                if bytes.is_none() {
                    let path = self.layout.partials(epoch, name);
                    self.gone_or_pruned(epoch, &path).await?;
                }
                Ok(bytes)
            }
            Look::Open { known, found } => {
                let least = known.control.fence();
                let mut chosen = self.choose(epoch, &found, least, |other| other == vnode).await?;
                let Some((name, entry)) = chosen.remove(&vnode) else {
                    return Ok(None);
                };
                match self.bytes(epoch, &name, &entry).await? {
                    Some(bytes) => Ok(Some(bytes)),
                    None if self.was_pruned(epoch).await? => Ok(None),
                    None => {
                        let location = self.store.location(&self.layout.partials(epoch, &name));
                        Err(corrupt(location, PartialError::NoBytes(vnode)))
                    }
                }
            }
        }
    }

    /// The bytes of a partial, as they were written; none if their object is gone.
    async fn bytes(
        &self,
        epoch: Epoch,
        name: &PartialsName,
        entry: &Entry,
    ) -> Result<Option<Bytes>, BackendError> {
        let path = self.layout.partials(epoch, name);
        let Some(bytes) = self.store.get_range(&path, entry.range(name)).await? else {
            return Ok(None);
        };
        let found = digest::of_one(&bytes).await;
        if found == entry.digest {
            return Ok(Some(bytes));
        }
        let error = PartialError::OtherBytes {
            vnode: entry.vnode,
            found,
            expected: entry.digest,
        };
        Err(corrupt(self.store.location(&path), error))
    }

    pub(super) async fn latest_complete(&self) -> Result<Option<Epoch>, BackendError> {
        let listing = Listing::of(&self.store, &self.layout, &self.layout.epochs()).await?;
        self.saw_attempt(listing.last_attempt());
        self.cache().saw_seals(listing.seals().map(|(epoch, _)| epoch));
        // After the listing, as in a look at one epoch.
        let Some(known) = self.control.decided().await? else {
            return Ok(None);
        };
        let control = &known.control;
        let mut epochs = listing.epochs.iter().rev();
        let newest = epochs.find(|(epoch, found)| control.seal_of(**epoch, &found.seals).is_some());
        // One that was sealed and adopted after the listing is not in it.
        let newest = newest.map(|(epoch, _)| *epoch).max(control.newest_adopted());
        Ok(newest.filter(|epoch| !control.has_pruned(*epoch)))
    }
}
