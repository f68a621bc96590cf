//! Which files restore a checkpoint: for each partition the last snapshot and the deltas after it.

use std::collections::BTreeMap;

use super::{CheckpointError, CheckpointId, Manifest, PartitionFile, manifest_path};
use crate::Epoch;

/// Finds the files that restore a checkpoint, manifest by manifest: as long as it [needs](Chain::needs) another one, load that
/// and [add](Chain::add) it.
///
/// Each partition has a chain of its own, from its last snapshot on. So a chain ends where every partition has had one.
///
/// ```
/// use alluvium_core::checkpoint::{Chain, FileKind, Manifest, PartitionFile};
/// use alluvium_core::{CheckpointId, Digest, Epoch};
///
/// let digest = Digest::from_bytes([0; 32]);
/// let base = CheckpointId::after(None, 1, [0; 10]);
/// let next = CheckpointId::after(Some(base), 2, [0; 10]);
/// let snapshot = PartitionFile::new(base, "count", 0, FileKind::Snapshot, 9, digest)?;
/// let delta = PartitionFile::new(next, "count", 0, FileKind::Delta, 1, digest)?;
/// let base = Manifest::new(base, Epoch::new(1)?, 0).operator("count", vec![snapshot]);
/// let next = Manifest::new(next, Epoch::new(2)?, 0).parent(base.id).operator("count", vec![delta]);
///
/// let mut chain = Chain::new(&next);
/// assert_eq!(chain.needs(), Some(base.id));
/// chain.add(&base)?;
/// assert_eq!(chain.needs(), None);
/// assert_eq!(chain.files("count", 0).len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Chain {
    /// Of each operator and partition: its files, the newest first.
    files: BTreeMap<(String, u32), Vec<PartitionFile>>,
    /// Every checkpoint of the chain, the newest first.
    checkpoints: Vec<CheckpointId>,
    /// The epoch of the last of them.
    epoch: Epoch,
    /// The checkpoint to look in next, if any partition has no snapshot yet.
    needs: Option<CheckpointId>,
}

impl Chain {
    /// The chain that restores this checkpoint, as far as its own manifest tells.
    pub fn new(newest: &Manifest) -> Self {
        let mut chain = Self {
            files: BTreeMap::new(),
            checkpoints: vec![newest.id],
            epoch: newest.epoch,
            needs: None,
        };
        for (operator, state) in &newest.operators {
            for file in &state.partitions {
                let place = (operator.clone(), file.partition);
                chain.files.insert(place, vec![file.clone()]);
            }
        }
        chain.needs = newest.parent_id.filter(|_| !chain.is_whole());
        chain
    }

    /// The checkpoint whose manifest has to be added; `None` once every partition has its snapshot.
    pub fn needs(&self) -> Option<CheckpointId> {
        self.needs
    }

    /// Adds the manifest that is needed.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Corrupt`] if it does not have the partition that a delta builds on, or is not older than what
    /// builds on it; [`CheckpointError::Invalid`] for a manifest that is not the one needed.
    pub fn add(&mut self, manifest: &Manifest) -> Result<(), CheckpointError> {
        if self.needs != Some(manifest.id) {
            return Err(CheckpointError::Invalid(format!(
                "checkpoint {} is not what the chain needs: add the one that it names",
                manifest.id
            )));
        }
        let corrupt = |what: String| CheckpointError::Corrupt {
            path: manifest_path(manifest.id),
            source: what.into(),
        };
        // Falling epochs end every walk, whatever the manifests name.
        if manifest.epoch >= self.epoch {
            return Err(corrupt(format!(
                "it is of epoch {}, and what builds on it of epoch {}",
                manifest.epoch, self.epoch
            )));
        }
        for ((operator, partition), files) in &mut self.files {
            if files.last().is_none_or(|file| !file.is_delta) {
                continue;
            }
            let state = manifest.operators.get(operator);
            let file =
                state.and_then(|state| state.partitions.iter().find(|file| file.partition == *partition));
            let Some(file) = file else {
                return Err(corrupt(format!(
                    "it has no partition {partition} of operator {operator:?}, which a delta builds on"
                )));
            };
            files.push(file.clone());
        }
        self.checkpoints.push(manifest.id);
        self.epoch = manifest.epoch;
        self.needs = None;
        if !self.is_whole() {
            self.needs = manifest.parent_id;
        }
        Ok(())
    }

    /// The files of a partition in the order in which they are applied: its snapshot, then its deltas. Empty if there
    /// is no such partition.
    pub fn files(&self, operator: &str, partition: u32) -> Vec<&PartitionFile> {
        let files = self.files.get(&(operator.to_owned(), partition));
        files.into_iter().flatten().rev().collect()
    }

    /// The files of one of its checkpoints that it needs.
    pub fn files_of(&self, id: CheckpointId) -> impl Iterator<Item = &PartitionFile> {
        let directory = format!("{id}/");
        let files = self.files.values().flatten();
        files.filter(move |file| file.path.starts_with(&directory))
    }

    /// Every checkpoint of the chain, the newest first.
    pub fn checkpoints(&self) -> &[CheckpointId] {
        &self.checkpoints
    }

    /// Bytes of the deltas and of the snapshots that they build on.
    pub fn sizes(&self) -> ChainSizes {
        let mut sizes = ChainSizes::default();
        for file in self.files.values().flatten() {
            let sum = if file.is_delta {
                &mut sizes.deltas
            } else {
                &mut sizes.base
            };
            *sum = sum.saturating_add(file.size);
        }
        sizes
    }

    fn is_whole(&self) -> bool {
        let mut files = self.files.values();
        files.all(|files| files.last().is_some_and(|file| !file.is_delta))
    }
}

/// How much of a chain is deltas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChainSizes {
    /// Bytes of the snapshots.
    pub base: u64,
    /// Bytes of the deltas after them.
    pub deltas: u64,
}

impl ChainSizes {
    /// Whether the next checkpoint should be full: the deltas are more than so many hundredths of the base.
    ///
    /// ```
    /// use alluvium_core::checkpoint::ChainSizes;
    ///
    /// let sizes = ChainSizes { base: 1_000, deltas: 500 };
    /// assert!(!sizes.is_outgrown(50));
    /// assert!(sizes.is_outgrown(49));
    /// ```
    pub fn is_outgrown(self, percent: u32) -> bool {
        u128::from(self.deltas) * 100 > u128::from(self.base) * u128::from(percent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Digest;
    use crate::checkpoint::FileKind;

    fn id(number: u64) -> CheckpointId {
        CheckpointId::after(None, number, [0; 10])
    }

    /// The checkpoint of this number, on the one before, with these partitions of one operator.
    fn manifest(number: u64, kinds: &[FileKind]) -> Manifest {
        let file = |(partition, kind): (u32, &FileKind)| {
            PartitionFile::new(
                id(number),
                "op",
                partition,
                *kind,
                number,
                Digest::from_bytes([0; 32]),
            )
            .unwrap()
        };
        let files = (0..).zip(kinds).map(file).collect();
        Manifest::new(id(number), Epoch::new(number).unwrap(), 0)
            .parent(id(number - 1))
            .operator("op", files)
    }

    #[test]
    fn each_partition_goes_back_to_its_own_snapshot() {
        use FileKind::{Delta, Snapshot};
        let mut chain = Chain::new(&manifest(4, &[Delta, Snapshot, Delta]));
        chain.add(&manifest(3, &[Delta, Delta, Snapshot])).unwrap();
        assert_eq!(chain.needs(), Some(id(2)));
        chain.add(&manifest(2, &[Snapshot, Delta, Delta])).unwrap();
        assert_eq!(chain.needs(), None);
        let numbers = |partition| -> Vec<u64> {
            chain
                .files("op", partition)
                .iter()
                .map(|file| file.size)
                .collect()
        };
        assert_eq!(numbers(0), [2, 3, 4]);
        assert_eq!(numbers(1), [4]);
        assert_eq!(numbers(2), [3, 4]);
        assert_eq!(numbers(3), [0; 0]);
        assert_eq!(chain.checkpoints(), [id(4), id(3), id(2)]);
        assert_eq!(chain.sizes(), ChainSizes { base: 9, deltas: 11 });
    }

    #[test]
    fn a_full_checkpoint_needs_no_other() {
        assert_eq!(Chain::new(&manifest(4, &[FileKind::Snapshot])).needs(), None);
        assert_eq!(Chain::new(&manifest(4, &[])).needs(), None);
    }

    #[test]
    fn a_chain_that_leads_nowhere_is_damage() {
        let newest = manifest(4, &[FileKind::Delta, FileKind::Delta]);
        let mut chain = Chain::new(&newest);
        let error = chain.add(&manifest(3, &[FileKind::Snapshot])).unwrap_err();
        assert!(matches!(error, CheckpointError::Corrupt { .. }), "{error}");

        let mut later = manifest(3, &[FileKind::Snapshot, FileKind::Snapshot]);
        later.epoch = newest.epoch;
        let error = Chain::new(&newest).add(&later).unwrap_err();
        assert!(matches!(error, CheckpointError::Corrupt { .. }), "{error}");

        let error = Chain::new(&newest).add(&manifest(2, &[])).unwrap_err();
        assert!(matches!(error, CheckpointError::Invalid(_)), "{error}");
    }
}
