//! What goes from a key, and what stays.
//!
//! The newest artifact stays, and the newest ones before it as far as they are to be kept. The others go one grace period after
//! they became too many, for whoever is reading one; a pack goes when nothing that stays needs it and it is older than the grace
//! period, for whoever has uploaded it and is about to name it. Whoever publishes builds on the newest artifact only, and on
//! nothing if that has changed: so nobody can come to need a pack that goes.
//!
//! Ages are told by the store's clock. When an artifact was published is told by when the one before it went into the
//! history.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, SystemTime};

use alluvium_core::artifact::{ArtifactManifest, ManifestId, PackId, PrunedArtifacts};
use alluvium_core::{ArtifactKey, RetentionPolicy, TransportError};
use object_store::ObjectMeta;

use super::ObjectStoreTransport;
use super::place::Place;
use crate::sweep::{self, Sweep};

/// An artifact that is not the newest any more.
struct Past {
    id: ManifestId,
    manifest: ArtifactManifest,
    object: ObjectMeta,
}

impl ObjectStoreTransport {
    pub(super) async fn sweep(
        &self,
        key: &ArtifactKey,
        policy: RetentionPolicy,
    ) -> Result<PrunedArtifacts, TransportError> {
        // The newest one before the listing, and once more after it: what was published in between stays too.
        let before = self.newest_manifest(key).await?;
        let mut past = self.past(key).await?;
        let packs = self.store().list(&self.place.packs(key)?).await?;
        let after = self.newest_manifest(key).await?;
        let now = sweep::store_time(self.store(), self.place.clock(key)?).await?;
        let has_passed =
            |since: SystemTime| now.duration_since(since).unwrap_or(Duration::ZERO) >= policy.grace;

        let newest: Vec<_> = before.into_iter().chain(after).collect();
        // Somebody is about to replace it, or has been too slow to.
        past.retain(|past| newest.iter().all(|(id, _)| *id != past.id));
        let mut sweep = Sweep::new(self.store().clone(), policy.dry_run);
        let mut pruned = PrunedArtifacts::default();
        let mut needed: HashSet<PackId> = newest.iter().flat_map(|(_, newest)| newest.packs()).collect();
        // The newest is one of those that are kept.
        let keep = policy.keep.get() as usize - usize::from(!newest.is_empty());
        let stay = past.len().saturating_sub(keep);
        for (index, artifact) in past.iter().enumerate() {
            // Since the one was published that made it one too many, this one was in the history.
            let since = past.get((index + keep).min(past.len() - 1));
            let goes =
                index < stay && since.is_some_and(|since| has_passed(since.object.last_modified.into()));
            let location = artifact.object.location.clone();
            if goes && sweep.remove(vec![location], artifact.object.size).await {
                pruned.manifests.push(artifact.id);
            } else {
                needed.extend(artifact.manifest.packs());
            }
        }
        let old = packs.into_iter().filter_map(|object| {
            let id = Place::pack_of(&object.location)?;
            (!needed.contains(&id) && has_passed(object.last_modified.into())).then_some((id, object))
        });
        let old: BTreeMap<PackId, ObjectMeta> = old.collect();
        for (id, object) in old {
            if sweep.remove(vec![object.location], object.size).await {
                pruned.packs.push(id);
            }
        }
        match sweep.done() {
            Ok(swept) => {
                (pruned.objects, pruned.bytes) = (swept.objects, swept.bytes);
                Ok(pruned)
            }
            Err(incomplete) => Err(TransportError::PruneIncomplete {
                failed: incomplete.failed,
                found: incomplete.found,
                source: Box::new(incomplete.source),
            }),
        }
    }

    /// The artifacts that are not the newest any more, in the order in which they were published.
    async fn past(&self, key: &ArtifactKey) -> Result<Vec<Past>, TransportError> {
        let mut past = Vec::new();
        for (id, object) in self.listed(key).await? {
            // None if it was pruned since by somebody else.
            let Some(manifest) = self.read_past(key, id).await? else {
                continue;
            };
            past.push(Past { id, manifest, object });
        }
        past.sort_by_key(|past| (past.manifest.cursor.log.created, past.id));
        Ok(past)
    }
}
