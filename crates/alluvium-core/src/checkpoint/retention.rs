//! Which checkpoints are kept: the decision, without any of the removing.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use super::{Chain, CheckpointId, Manifest};

/// Which of the complete checkpoints stay: the newest `keep` up to the one that `_latest` names, the newest `keep` of those after it,
/// which may be about to be announced, and what these need. `None` for one whose manifest cannot be read: it stays, does not
/// count, and nothing is known of what it needs.
///
/// Where `_latest` names none of them, the newest counts as named.
pub fn retained(
    checkpoints: &BTreeMap<CheckpointId, Option<Manifest>>,
    latest: Option<CheckpointId>,
    keep: NonZeroU32,
) -> BTreeSet<CheckpointId> {
    let readable = || {
        checkpoints
            .iter()
            .filter_map(|(id, manifest)| Some((*id, manifest.as_ref()?)))
    };
    let newest = latest
        .filter(|latest| checkpoints.contains_key(latest))
        .or_else(|| checkpoints.keys().next_back().copied());
    let unreadable = checkpoints
        .iter()
        .filter(|(_, manifest)| manifest.is_none())
        .map(|(id, _)| *id);
    let keep = keep.get() as usize;
    let announced = readable().map(|(id, _)| id).filter(|id| Some(*id) <= newest);
    let newer = readable().map(|(id, _)| id).filter(|id| Some(*id) > newest);
    let mut retained: BTreeSet<CheckpointId> = announced
        .rev()
        .take(keep)
        .chain(newer.rev().take(keep))
        .chain(unreadable)
        .collect();
    let roots: Vec<_> = retained.iter().copied().collect();
    for id in roots {
        if let Some(Some(manifest)) = checkpoints.get(&id) {
            retained.extend(ancestors(manifest, checkpoints));
        }
    }
    retained
}

/// The checkpoints that need this one, which must not be removed before they are.
pub fn dependents(
    id: CheckpointId,
    checkpoints: &BTreeMap<CheckpointId, Option<Manifest>>,
) -> Vec<CheckpointId> {
    let readable = checkpoints
        .iter()
        .filter_map(|(other, manifest)| Some((*other, manifest.as_ref()?)));
    let needing =
        readable.filter(|(other, manifest)| *other != id && ancestors(manifest, checkpoints).contains(&id));
    needing.map(|(other, _)| other).collect()
}

/// What a checkpoint needs beside itself, as far as there are manifests that tell.
fn ancestors(
    manifest: &Manifest,
    checkpoints: &BTreeMap<CheckpointId, Option<Manifest>>,
) -> BTreeSet<CheckpointId> {
    let mut chain = Chain::new(manifest);
    let mut found = BTreeSet::new();
    while let Some(needed) = chain.needs() {
        // Even if it cannot be read: somebody may bring it back.
        found.insert(needed);
        match checkpoints.get(&needed) {
            Some(Some(parent)) if chain.add(parent).is_ok() => {}
            _ => break,
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::{FileKind, PartitionFile};
    use crate::{Digest, Epoch};

    fn id(number: u64) -> CheckpointId {
        CheckpointId::after(None, number, [0; 10])
    }

    /// Checkpoints of these numbers: `true` is a full one, `false` builds on the one before.
    fn checkpoints(full: &[(u64, bool)]) -> BTreeMap<CheckpointId, Option<Manifest>> {
        let manifest = |(number, full): &(u64, bool)| {
            let kind = if *full {
                FileKind::Snapshot
            } else {
                FileKind::Delta
            };
            let digest = Digest::from_bytes([0; 32]);
            let file = PartitionFile::new(id(*number), "op", 0, kind, 1, digest).unwrap();
            let manifest = Manifest::new(id(*number), Epoch::new(*number).unwrap(), 0)
                .parent(id(*number - 1))
                .operator("op", vec![file]);
            (id(*number), Some(manifest))
        };
        full.iter().map(manifest).collect()
    }

    fn kept(
        checkpoints: &BTreeMap<CheckpointId, Option<Manifest>>,
        latest: Option<u64>,
        keep: u32,
    ) -> Vec<u64> {
        let keep = NonZeroU32::new(keep).unwrap();
        let kept = retained(checkpoints, latest.map(id), keep);
        kept.into_iter().map(CheckpointId::millis).collect()
    }

    #[test]
    fn the_newest_stay_with_what_they_need() {
        let all = checkpoints(&[
            (1, true),
            (2, false),
            (3, true),
            (4, false),
            (5, false),
            (6, true),
        ]);
        assert_eq!(kept(&all, Some(6), 1), [6]);
        assert_eq!(kept(&all, Some(6), 2), [3, 4, 5, 6]);
        assert_eq!(kept(&all, Some(6), 5), [1, 2, 3, 4, 5, 6]);
        // What was not announced yet stays, and does not count; but of many that never were, not all.
        assert_eq!(kept(&all, Some(5), 1), [3, 4, 5, 6]);
        assert_eq!(kept(&all, Some(1), 1), [1, 6]);
        assert_eq!(kept(&all, Some(2), 1), [1, 2, 6]);
        // A pointer to nothing.
        assert_eq!(kept(&all, Some(9), 1), [6]);
        assert_eq!(kept(&all, None, 1), [6]);
    }

    #[test]
    fn what_cannot_be_read_stays_and_does_not_count() {
        let mut all = checkpoints(&[(1, true), (2, true), (3, true), (4, false)]);
        all.insert(id(3), None);
        assert_eq!(kept(&all, Some(4), 2), [2, 3, 4]);
    }

    #[test]
    fn who_needs_a_checkpoint_is_told() {
        let all = checkpoints(&[(1, true), (2, false), (3, false), (4, true)]);
        assert_eq!(dependents(id(1), &all), [id(2), id(3)]);
        assert_eq!(dependents(id(3), &all), []);
        assert_eq!(dependents(id(4), &all), []);
    }
}
