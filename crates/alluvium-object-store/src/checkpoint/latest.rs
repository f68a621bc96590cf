//! The pointer to the newest complete checkpoint.

use alluvium_core::{CheckpointError, CheckpointId, Epoch, ErrorKind};
use serde::{Deserialize, Serialize};

use super::ObjectStoreCheckpointer;
use crate::pointer::Swap;
use crate::store::Object;

/// The most bytes that `_latest` has.
pub(super) const MOST_BYTES: u64 = 4 << 10;
/// How often somebody else may have been there first.
const MOST_ROUNDS: u32 = 100;

/// What `_latest` holds. No two contents are the same, for no two checkpoints have one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LatestRecord {
    pub(super) id: CheckpointId,
    /// Of that checkpoint. It is never swapped for a lower one.
    pub(super) epoch: Epoch,
}

impl ObjectStoreCheckpointer {
    pub(super) async fn latest(&self) -> Result<Option<LatestRecord>, CheckpointError> {
        match self.latest.read().await? {
            Some(object) => self.record(&object).map(Some),
            None => Ok(None),
        }
    }

    pub(super) async fn swap_latest(&self, id: CheckpointId) -> Result<(), CheckpointError> {
        let manifest = self.read_manifest(id).await?;
        self.check_whole(&manifest).await?;
        let epoch = manifest.epoch;
        let content = serde_json::to_vec(&LatestRecord { id, epoch })
            .map_err(|error| CheckpointError::Invalid(error.to_string()))?;
        let mut there = self.latest.read_anything().await?;
        for _ in 0..MOST_ROUNDS {
            let newest = match &there {
                None => None,
                Some(object) => match self.record(object) {
                    Ok(record) => Some(record),
                    // It has to be known what it may have named.
                    Err(error) => {
                        tracing::warn!(location = self.latest.location(), %error, "_latest is replaced");
                        self.highest_listed(id).await?
                    }
                },
            };
            match newest {
                Some(newest)
                    if newest.id == id && there.as_ref().is_some_and(|there| there.bytes == content) =>
                {
                    return Ok(());
                }
                Some(newest) if newest.epoch >= epoch && newest.id != id => {
                    return Err(CheckpointError::Stale {
                        epoch,
                        latest: newest.epoch,
                        by: newest.id,
                    });
                }
                _ => {}
            }
            let over = there.as_ref().map(|object| object.version.clone());
            match self.latest.swap(over.as_ref(), content.clone().into()).await? {
                Swap::Done(_) => return Ok(()),
                Swap::Lost(now) => there = now,
            }
        }
        Err(CheckpointError::Storage {
            doing: "replace",
            location: self.latest.location(),
            kind: ErrorKind::Transient,
            source: "others have replaced it again and again".into(),
        })
    }

    /// The listed checkpoint of the highest epoch, but for this one.
    async fn highest_listed(&self, but: CheckpointId) -> Result<Option<LatestRecord>, CheckpointError> {
        let mut highest: Option<LatestRecord> = None;
        for id in self.list().await? {
            let epoch = match self.read_manifest(id).await {
                Ok(manifest) => manifest.epoch,
                Err(error) if matches!(error.kind(), ErrorKind::Transient | ErrorKind::Unavailable) => {
                    return Err(error);
                }
                Err(_) => continue,
            };
            if id != but && highest.is_none_or(|highest| highest.epoch < epoch) {
                highest = Some(LatestRecord { id, epoch });
            }
        }
        Ok(highest)
    }

    fn record(&self, object: &Object) -> Result<LatestRecord, CheckpointError> {
        serde_json::from_slice(&object.bytes).map_err(|error| CheckpointError::Corrupt {
            path: self.latest.location(),
            source: error.into(),
        })
    }
}
