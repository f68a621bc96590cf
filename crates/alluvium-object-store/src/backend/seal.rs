//! Sealing an epoch.

use std::sync::Arc;

use alluvium_core::{AssignmentVersion, BackendError, Epoch, Vnode};

use super::control::{Control, ROUNDS};
use super::frame::{self, MOST_BYTES};
use super::handle::Handle;
use super::names::SealName;
use super::record::Seal;
use crate::pointer::{Pointer, Swap};

/// What came of one try.
enum Tried {
    Answer(bool),
    /// Somebody else has changed what it was based on.
    Again,
}

impl Handle {
    /// `vnodes` are sorted, and each is there once.
    pub(super) async fn seal_if_complete(
        &self,
        epoch: Epoch,
        vnodes: &[Vnode],
    ) -> Result<bool, BackendError> {
        for _ in 0..ROUNDS {
            if let Tried::Answer(answer) = self.try_to_seal(epoch, vnodes).await? {
                return Ok(answer);
            }
        }
        Err(self.control.contended())
    }

    async fn try_to_seal(&self, epoch: Epoch, vnodes: &[Vnode]) -> Result<Tried, BackendError> {
        let cached = self.cache().seal(epoch);
        if let Some(seal) = cached {
            if let Some(known) = self.control.decided().await? {
                self.check_caller(&known.control, epoch)?;
            }
            return self.answer(&seal, vnodes);
        }
        let Some(mut known) = self.control.known_decided().await? else {
            return Ok(Tried::Answer(false)); // Nobody has written anything anywhere.
        };
        let mut least = self.check_caller(&known.control, epoch)?;
        let found = self.list(epoch).await?;
        if known.control.seal_of(epoch, &found.seals).is_some() || !found.seals.is_empty() {
            // Whether it is in force, only a control object tells that was read after the seal was seen.
            known = self.control.decided().await?.ok_or_else(|| self.control.gone())?;
            least = self.check_caller(&known.control, epoch)?;
            if let Some(fence) = known.control.seal_of(epoch, &found.seals) {
                return match self.load_seal(epoch, fence).await? {
                    Some(seal) => self.answer(&seal, vnodes),
                    None => Ok(Tried::Again), // Pruned meanwhile.
                };
            }
        }
        let is_wanted = |vnode| vnodes.binary_search(&vnode).is_ok();
        let partials = self.choose(epoch, &found, least, is_wanted).await?;
        if partials.len() < vnodes.len() {
            // That something is missing, only somebody of today is told.
            let now = self.control.decided().await?.ok_or_else(|| self.control.gone())?;
            self.check_caller(&now.control, epoch)?;
            let unchanged = now.control.revision == known.control.revision;
            return Ok(if unchanged {
                Tried::Answer(false)
            } else {
                Tried::Again
            });
        }
        let fence = known.control.fence();
        let seal = Seal::new(epoch, fence, self.instance.clone(), partials.into_values());
        if !self.put_seal(&seal).await? {
            return Ok(Tried::Again); // The next look finds whose it is.
        }
        // The fence may have been raised since it was looked at: then it is decided by now, or here, whether this seal
        // was there before.
        let now = self.control.decided().await?.ok_or_else(|| self.control.gone())?;
        if now.control.is_in_force(epoch, fence) && !now.control.has_pruned(epoch) {
            self.cache().saw_seals([epoch]);
            self.cache().sealed(&Arc::new(seal));
            return Ok(Tried::Answer(true));
        }
        self.check_caller(&now.control, epoch)?;
        Ok(Tried::Again)
    }

    /// Checks that the caller may seal. Gives the version below which no partial counts.
    fn check_caller(&self, control: &Control, epoch: Epoch) -> Result<AssignmentVersion, BackendError> {
        control.check_count(self.vnodes)?;
        let least = self.control.versions.check_seal(control.fence())?;
        control.check_floor(epoch)?;
        Ok(least)
    }

    /// Whether the seal is put; not if there is one.
    async fn put_seal(&self, seal: &Seal) -> Result<bool, BackendError> {
        let content = frame::encode(seal).map_err(|error| BackendError::Invalid(error.to_string()))?;
        let path = self.layout.seal(seal.epoch, SealName { fence: seal.fence });
        let object = Pointer::new(self.store.clone(), path, MOST_BYTES);
        match object.swap(None, content.into()).await? {
            Swap::Done(_) => Ok(true),
            Swap::Lost(_) => Ok(false),
        }
    }

    /// What somebody is told of a sealed epoch.
    fn answer(&self, seal: &Seal, vnodes: &[Vnode]) -> Result<Tried, BackendError> {
        if seal.instance != self.instance {
            return Err(BackendError::SplitBrainCommit {
                epoch: seal.epoch,
                committer: seal.instance.clone(),
                self_id: self.instance.clone(),
            });
        }
        match vnodes.iter().find(|vnode| seal.partial(**vnode).is_none()) {
            Some(vnode) => Err(BackendError::Sealed {
                epoch: seal.epoch,
                vnode: *vnode,
            }),
            None => Ok(Tried::Answer(true)),
        }
    }
}
