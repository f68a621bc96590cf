//! What the control object holds, and how it may change. Pure: who reads and swaps it is elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use alluvium_core::{AssignmentVersion, BackendError, BoxError, Epoch, VnodeCount};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::digest;

/// The format that is written. It covers names and frames too: every write is preceded by a look at this object.
const FORMAT: u16 = 1;

/// What holds for the whole state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::backend) struct Control {
    /// How often it was changed. Of two that were read, the one with the higher number is the newer one.
    pub(in crate::backend) revision: u64,
    /// Fixed by the first write of partials.
    vnodes: Option<VnodeCount>,
    /// The fence.
    fence: AssignmentVersion,
    /// The fence before, as long as it is undecided which seals under it are in force.
    raised_from: Option<AssignmentVersion>,
    /// The seals that are in force although they were made under an earlier fence: under which one.
    adopted: BTreeMap<Epoch, AssignmentVersion>,
    /// The first epoch that was not pruned.
    floor: Option<Epoch>,
}

impl Control {
    /// The fence that is stored.
    pub(in crate::backend) const fn fence(&self) -> AssignmentVersion {
        self.fence
    }

    /// Whether it is known which seals are in force.
    pub(in crate::backend) const fn is_decided(&self) -> bool {
        self.raised_from.is_none()
    }

    /// Under which fence the seal of an epoch was made that is in force, of those that there are.
    pub(in crate::backend) fn seal_of(
        &self,
        epoch: Epoch,
        seals: &BTreeSet<AssignmentVersion>,
    ) -> Option<AssignmentVersion> {
        let adopted = self.adopted.get(&epoch).copied();
        adopted.or_else(|| seals.contains(&self.fence).then_some(self.fence))
    }

    /// Whether a seal that there is is in force.
    pub(in crate::backend) fn is_in_force(&self, epoch: Epoch, fence: AssignmentVersion) -> bool {
        self.is_decided() && self.seal_of(epoch, &BTreeSet::from([fence])) == Some(fence)
    }

    /// The newest epoch of which the seal is known without looking for it.
    pub(in crate::backend) fn newest_adopted(&self) -> Option<Epoch> {
        self.adopted.last_key_value().map(|(epoch, _)| *epoch)
    }

    pub(in crate::backend) const fn floor(&self) -> Option<Epoch> {
        self.floor
    }

    pub(in crate::backend) fn has_pruned(&self, epoch: Epoch) -> bool {
        self.floor.is_some_and(|floor| epoch < floor)
    }

    /// Checks that an epoch was not pruned.
    pub(in crate::backend) fn check_floor(&self, epoch: Epoch) -> Result<(), BackendError> {
        match self.floor {
            Some(floor) if epoch < floor => Err(BackendError::Pruned { epoch, floor }),
            _ => Ok(()),
        }
    }

    /// Checks that the state is of this many vnodes.
    pub(in crate::backend) fn check_count(&self, count: VnodeCount) -> Result<(), BackendError> {
        match self.vnodes {
            Some(stored) if stored != count => Err(BackendError::Invalid(format!(
                "the state is of {stored} vnodes, not of {count}: open it with {stored}, or use another one"
            ))),
            _ => Ok(()),
        }
    }

    /// The same, of this many vnodes; none if that is settled.
    pub(in crate::backend) fn with_count(&self, count: VnodeCount) -> Option<Self> {
        let changed = || Self {
            vnodes: Some(count),
            ..self.next()
        };
        self.vnodes.is_none().then(changed)
    }

    /// The same with a higher fence, undecided; none if there is nothing to change.
    ///
    /// # Errors
    ///
    /// [`BackendError::StaleVersion`] if the fence is higher.
    pub(in crate::backend) fn with_fence(
        &self,
        version: AssignmentVersion,
    ) -> Result<Option<Self>, BackendError> {
        if version < self.fence {
            return Err(BackendError::StaleVersion {
                caller: version,
                authoritative: self.fence,
            });
        }
        let raised = || Self {
            fence: version,
            raised_from: Some(self.fence),
            ..self.next()
        };
        Ok((version > self.fence).then(raised))
    }

    /// The same, decided: of the seals that there are, those stay in force that were under the fence before.
    pub(in crate::backend) fn decided(
        &self,
        seals: impl IntoIterator<Item = (Epoch, AssignmentVersion)>,
    ) -> Self {
        let mut decided = Self {
            raised_from: None,
            ..self.next()
        };
        for (epoch, fence) in seals {
            if Some(fence) == self.raised_from && !self.has_pruned(epoch) {
                // One that was adopted before was there when this one was made, so this one is nobody's.
                decided.adopted.entry(epoch).or_insert(fence);
            }
        }
        decided
    }

    /// The same with everything below this epoch pruned; none if it was.
    pub(in crate::backend) fn with_floor(&self, floor: Epoch) -> Option<Self> {
        let raised = || Self {
            floor: Some(floor),
            adopted: self.adopted.range(floor..).map(|(e, f)| (*e, *f)).collect(),
            ..self.next()
        };
        self.floor.is_none_or(|old| old < floor).then(raised)
    }

    fn next(&self) -> Self {
        Self {
            revision: self.revision + 1,
            ..self.clone()
        }
    }
}

/// As it is stored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    format: u16,
    control: Control,
    /// Makes every content one that was never there before.
    nonce: Uuid,
    /// Of control and nonce.
    sha256: String,
}

/// Why the control object makes no sense.
#[derive(Debug, thiserror::Error)]
pub(in crate::backend) enum ControlError {
    #[error("it is none of ours")]
    NotOurs(#[source] BoxError),
    #[error(
        "it has format {found}, this Alluvium reads up to {FORMAT}: use the newer Alluvium that wrote it"
    )]
    Newer { found: u16 },
    #[error("its checksum does not match")]
    Checksum,
    #[error("it is gone, and what it is the control of is not")]
    Gone,
}

/// A new content of the control object: never twice the same.
pub(in crate::backend) fn encode(control: &Control) -> Result<Vec<u8>, ControlError> {
    let nonce = Uuid::new_v4();
    let stored = Stored {
        format: FORMAT,
        control: control.clone(),
        nonce,
        sha256: checksum(control, nonce)?,
    };
    serde_json::to_vec_pretty(&stored).map_err(|error| ControlError::NotOurs(error.into()))
}

pub(in crate::backend) fn decode(bytes: &[u8]) -> Result<Control, ControlError> {
    // The format first, alone: a newer record may not decode as this one.
    #[derive(Deserialize)]
    struct Formatted {
        format: u16,
    }
    let not_ours = |error: serde_json::Error| ControlError::NotOurs(error.into());
    let Formatted { format: found } = serde_json::from_slice(bytes).map_err(not_ours)?;
    if found > FORMAT {
        return Err(ControlError::Newer { found });
    }
    let stored: Stored = serde_json::from_slice(bytes).map_err(not_ours)?;
    if checksum(&stored.control, stored.nonce)? != stored.sha256 {
        return Err(ControlError::Checksum);
    }
    Ok(stored.control)
}

fn checksum(control: &Control, nonce: Uuid) -> Result<String, ControlError> {
    let text = serde_json::to_vec(&(control, nonce)).map_err(|error| ControlError::NotOurs(error.into()))?;
    Ok(digest::of(&text).to_string())
}

#[cfg(test)]
mod tests;
