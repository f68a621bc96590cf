//! Deleting and pruning: what nobody needs goes, and whoever may still be at work is left alone or told.
//!
//! A manifest goes before its files: a checkpoint without one is not there for anybody, so a reader never sees half of one,
//! and what a kill in between leaves is garbage like that of a killed writer.
//!
//! Garbage is what has no manifest. Its writer may be alive and slow, so a mark is put in the place of the manifest, on the
//! condition that nothing is there: then the writer cannot complete it any more, and is told. The mark stays for another grace
//! period. Should the writer come back even later it finds its files gone when it lists them.
//!
//! Ages are told by the store's clock.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use alluvium_core::checkpoint::{Manifest, Pruned, dependents, retained};
use alluvium_core::{CheckpointError, CheckpointId, ErrorKind, RetentionPolicy};
use object_store::path::Path;

use super::ObjectStoreCheckpointer;
use super::complete::Claim;
use super::place::Objects;
use crate::sweep::{self, Sweep};

/// Everything that is there.
pub(super) struct Inventory {
    /// The complete checkpoints; without a manifest those of which it cannot be read.
    pub(super) complete: BTreeMap<CheckpointId, Option<Manifest>>,
    /// Those whose place a prune has taken.
    abandoned: BTreeSet<CheckpointId>,
    objects: BTreeMap<CheckpointId, Objects>,
}

impl ObjectStoreCheckpointer {
    pub(super) async fn list(&self) -> Result<Vec<CheckpointId>, CheckpointError> {
        let listed = self.blobs.store().list(self.place.root()).await?;
        let mut found = Vec::new();
        for (id, objects) in self.place.sorted(listed) {
            if objects.manifest.is_some() && !self.is_abandoned(id, &objects).await? {
                found.push(id);
            }
        }
        Ok(found)
    }

    pub(super) async fn delete(&self, id: CheckpointId) -> Result<(), CheckpointError> {
        let mut inventory = self.inventory().await?;
        let Some(objects) = inventory.objects.remove(&id) else {
            return Ok(());
        };
        let in_use = |by: String| Err(CheckpointError::InUse { id, by });
        if inventory.complete.contains_key(&id) {
            let newest = match self.latest().await {
                Ok(latest) => latest.map(|latest| latest.id),
                Err(error) if error.kind() == ErrorKind::Corrupt => None,
                Err(error) => return Err(error),
            };
            let newest = newest.or_else(|| inventory.complete.keys().next_back().copied());
            match newest {
                Some(newest) if newest == id => return in_use("_latest".to_owned()),
                Some(newest) if newest < id => {
                    return in_use(format!("its writer: it is newer than _latest, which is {newest}"));
                }
                _ => {}
            }
            if let Some(dependent) = dependents(id, &inventory.complete).first() {
                return in_use(format!("checkpoint {dependent}"));
            }
        }
        let mut sweep = Sweep::new(self.blobs.store().clone(), false);
        if inventory.complete.contains_key(&id) {
            self.remove(id, &objects, &mut sweep).await;
        } else if !self.abandon(id, &objects, &mut sweep).await? {
            return in_use("its writer: it is complete by now".to_owned());
        }
        done(sweep, Pruned::default()).map(drop)
    }

    pub(super) async fn sweep(&self, policy: RetentionPolicy) -> Result<Pruned, CheckpointError> {
        let inventory = self.inventory().await?;
        let latest = match self.latest().await {
            Ok(latest) => latest.map(|latest| latest.id),
            Err(error) if error.kind() == ErrorKind::Corrupt => None,
            Err(error) => return Err(error),
        };
        let now = sweep::store_time(self.blobs.store(), self.place.clock()).await?;
        let has_passed =
            |since: SystemTime| now.duration_since(since).unwrap_or(Duration::ZERO) >= policy.grace;
        let mut sweep = Sweep::new(self.blobs.store().clone(), policy.dry_run);
        let mut pruned = Pruned::default();
        let removable = inventory.removable(latest, policy, has_passed);
        // The newest first: what needs another goes before it.
        for id in removable.into_iter().rev() {
            if let Some(objects) = inventory.objects.get(&id)
                && self.remove(id, objects, &mut sweep).await
            {
                pruned.checkpoints.push(id);
            }
        }
        pruned.checkpoints.reverse();
        for (id, objects) in &inventory.objects {
            let is_old = objects.newest().is_some_and(has_passed);
            if inventory.complete.contains_key(id) || !is_old {
                continue;
            }
            if inventory.abandoned.contains(id) && objects.files.is_empty() {
                // The mark alone, and for long enough.
                self.remove(*id, objects, &mut sweep).await;
                continue;
            }
            match self.abandon(*id, objects, &mut sweep).await {
                Ok(true) => pruned.abandoned.push(*id),
                Ok(false) => {}
                Err(error) => sweep.failed(objects.files.len(), error),
            }
        }
        done(sweep, pruned)
    }

    /// Takes the place of a manifest that is not there, and removes the files. Whether that is done: its writer may have come
    /// back, and be first.
    async fn abandon(
        &self,
        id: CheckpointId,
        objects: &Objects,
        sweep: &mut Sweep<CheckpointError>,
    ) -> Result<bool, CheckpointError> {
        if !sweep.is_dry_run() {
            match self.claim(id, Manifest::abandoned(id)).await? {
                Claim::Taken(there) if there[..] != Manifest::abandoned(id) => return Ok(false),
                Claim::Done | Claim::Taken(_) => {}
            }
        }
        let files = objects.files.keys().cloned().collect();
        let bytes = objects.files.values().map(|object| object.size).sum();
        Ok(sweep.remove(files, bytes).await)
    }

    /// Removes a checkpoint, its manifest first. Whether all of it is gone.
    async fn remove(&self, id: CheckpointId, objects: &Objects, sweep: &mut Sweep<CheckpointError>) -> bool {
        if let Some(manifest) = &objects.manifest
            && !sweep.remove(vec![self.place.manifest(id)], manifest.size).await
        {
            return false;
        }
        let files: Vec<Path> = objects.files.keys().cloned().collect();
        let bytes = objects.bytes() - objects.manifest.as_ref().map_or(0, |manifest| manifest.size);
        files.is_empty() || sweep.remove(files, bytes).await
    }

    async fn inventory(&self) -> Result<Inventory, CheckpointError> {
        let listed = self.blobs.store().list(self.place.root()).await?;
        let objects = self.place.sorted(listed);
        let mut complete = BTreeMap::new();
        let mut abandoned = BTreeSet::new();
        for (id, there) in &objects {
            if there.manifest.is_none() {
                continue;
            }
            match self.read_manifest(*id).await {
                Ok(manifest) => drop(complete.insert(*id, Some(manifest))),
                Err(CheckpointError::Abandoned { .. }) => drop(abandoned.insert(*id)),
                // Deleted since it was listed.
                Err(CheckpointError::NotFound { .. }) => {}
                Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Invalid) => {
                    tracing::warn!(%id, %error, "a manifest cannot be read: its checkpoint is kept");
                    complete.insert(*id, None);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Inventory {
            complete,
            abandoned,
            objects,
        })
    }

    /// Whether what is in the place of a manifest is the mark of a prune.
    async fn is_abandoned(&self, id: CheckpointId, objects: &Objects) -> Result<bool, CheckpointError> {
        let mark = Manifest::abandoned(id);
        // Of any other length it need not be read.
        if objects
            .manifest
            .as_ref()
            .is_none_or(|there| there.size != mark.len() as u64)
        {
            return Ok(false);
        }
        match self.read_manifest(id).await {
            Err(CheckpointError::Abandoned { .. } | CheckpointError::NotFound { .. }) => Ok(true),
            Err(error) if !matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Invalid) => Err(error),
            _ => Ok(false),
        }
    }
}

impl Inventory {
    /// The complete checkpoints that may go: not kept, needed by none that stays, and replaced for long enough.
    fn removable(
        &self,
        latest: Option<CheckpointId>,
        policy: RetentionPolicy,
        has_passed: impl Fn(SystemTime) -> bool,
    ) -> BTreeSet<CheckpointId> {
        let kept = retained(&self.complete, latest, policy.keep);
        let ids: Vec<CheckpointId> = self.complete.keys().copied().collect();
        let mut removable = BTreeSet::new();
        for (index, id) in ids.iter().enumerate() {
            // Since this one is there, it is one too many.
            let replacing = ids.get(index.saturating_add(policy.keep.get() as usize));
            let since = replacing.and_then(|id| self.objects.get(id)?.manifest.as_ref());
            if !kept.contains(id) && since.is_some_and(|manifest| has_passed(manifest.last_modified.into())) {
                removable.insert(*id);
            }
        }
        loop {
            let needed = removable.iter().copied().find(|id| {
                let dependents = dependents(*id, &self.complete);
                dependents.iter().any(|dependent| !removable.contains(dependent))
            });
            match needed {
                Some(needed) => drop(removable.remove(&needed)),
                None => return removable,
            }
        }
    }
}

fn done(sweep: Sweep<CheckpointError>, mut pruned: Pruned) -> Result<Pruned, CheckpointError> {
    match sweep.done() {
        Ok(swept) => {
            (pruned.objects, pruned.bytes) = (swept.objects, swept.bytes);
            Ok(pruned)
        }
        Err(incomplete) => Err(CheckpointError::PruneIncomplete {
            failed: incomplete.failed,
            found: incomplete.found,
            source: Box::new(incomplete.source),
        }),
    }
}
