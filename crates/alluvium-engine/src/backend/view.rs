//! What is stored at one instant.

use std::sync::Arc;

use alluvium_core::{AssignmentVersion, BackendError, Epoch, KeyRange, Vnode};
use bytes::Bytes;

use super::layout::{self, Head, Partial, RecordError, Seal, Slot};
use super::report::{Report, key_location};
use crate::{Engine, EngineError, EngineSnapshot, Space};

/// Head, seals and records, standing still.
pub(super) struct View {
    report: Report,
    snapshot: Arc<dyn EngineSnapshot>,
    /// Theirs, if it was made.
    space: Option<Space>,
    pub(super) head: Head,
    /// A seal that was read before.
    known: Option<Arc<(Epoch, Seal)>>,
}

impl View {
    /// What is stored now. `known` gives the space if it was made, and a seal that was read before.
    pub(super) fn take(
        engine: &dyn Engine,
        known: impl FnOnce() -> (Option<Space>, Option<Arc<(Epoch, Seal)>>),
    ) -> Result<Self, BackendError> {
        let report = Report::of(engine);
        // Before the snapshot, which knows the space then, and the partials as they were sealed.
        let (space, known) = known();
        let snapshot = engine.snapshot();
        let mut view = Self {
            report,
            snapshot: snapshot.map_err(|error| report.failed("read", "", error))?,
            space,
            head: Head::default(),
            known,
        };
        if let Some(head) = view.get(layout::HEAD)? {
            view.head = layout::decode(&head).map_err(|error| report.damaged(layout::HEAD, error))?;
        }
        Ok(view)
    }

    /// The head, after a check that it is not what is missing.
    pub(super) fn checked_head(&self) -> Result<Head, BackendError> {
        if self.head.vnodes.is_none() && self.newest()?.is_some() {
            return Err(self.report.damaged(layout::HEAD, RecordError::NoHead));
        }
        Ok(self.head)
    }

    /// The newest epoch that has a partial.
    pub(super) fn newest(&self) -> Result<Option<Epoch>, BackendError> {
        self.first_epoch(&layout::records())
    }

    /// The newest epoch that is sealed.
    pub(super) fn newest_sealed(&self) -> Result<Option<Epoch>, BackendError> {
        let newest = self.first_epoch(&layout::seals())?;
        Ok(newest.filter(|epoch| !self.head.has_pruned(*epoch)))
    }

    fn first_epoch(&self, range: &KeyRange) -> Result<Option<Epoch>, BackendError> {
        let first = self.scan(range)?.next().transpose()?;
        first.map(|(key, _)| self.epoch_of(&key)).transpose()
    }

    /// The epoch of a seal's or record's key.
    pub(super) fn epoch_of(&self, key: &[u8]) -> Result<Epoch, BackendError> {
        layout::epoch_of(key).map_err(|error| self.report.damaged(key, error))
    }

    /// What was written of a vnode.
    pub(super) fn partial(&self, epoch: Epoch, vnode: Vnode) -> Result<Option<Partial>, BackendError> {
        let key = layout::record_key(epoch, vnode);
        let record = self.get(&key)?.map(|bytes| Partial::decode(&bytes));
        record
            .transpose()
            .map_err(|error| self.report.damaged(&key, error))
    }

    /// What there is of each partial that is to be written. Refuses to replace what was written with a higher version:
    /// only somebody who was replaced would.
    pub(super) fn replaced(
        &self,
        epoch: Epoch,
        version: AssignmentVersion,
        partials: &[(Vnode, Bytes)],
    ) -> Result<Vec<Option<Partial>>, BackendError> {
        let replaced = partials.iter().map(|(vnode, _)| {
            let there = self.partial(epoch, *vnode)?;
            match there.filter(|there| version != AssignmentVersion::OFF && version < there.version) {
                Some(newer) => Err(BackendError::StaleVersion {
                    caller: version,
                    authoritative: newer.version,
                }),
                None => Ok(there),
            }
        });
        replaced.collect()
    }

    /// What was written of every vnode, rising.
    pub(super) fn partials(
        &self,
        epoch: Epoch,
    ) -> Result<impl Iterator<Item = Result<(Vnode, Partial), BackendError>>, BackendError> {
        let pairs = self.scan(&layout::records_of(epoch))?;
        let report = self.report;
        Ok(pairs.map(move |pair| {
            let (key, value) = pair?;
            layout::vnode_of(&key)
                .and_then(|vnode| Ok((vnode, Partial::decode(&value)?)))
                .map_err(|error| report.damaged(&key, error))
        }))
    }

    /// The seal of an epoch.
    pub(super) fn seal(&self, epoch: Epoch) -> Result<Option<Arc<(Epoch, Seal)>>, BackendError> {
        if let Some(seal) = self.known.as_ref().filter(|seal| seal.0 == epoch) {
            return Ok(Some(Arc::clone(seal)));
        }
        let key = layout::seal_key(epoch);
        let seal = self.get(&key)?.map(|bytes| layout::decode(&bytes)).transpose();
        let seal = seal.map_err(|error| self.report.damaged(&key, error))?;
        Ok(seal.map(|seal| Arc::new((epoch, seal))))
    }

    /// The keys of seals and records of every epoch below this one.
    pub(super) fn keys_below(
        &self,
        floor: Epoch,
    ) -> Result<impl Iterator<Item = Result<Bytes, BackendError>>, BackendError> {
        let seals = self.scan(&layout::seals_below(floor))?;
        let records = self.scan(&layout::records_below(floor))?;
        Ok(seals.chain(records).map(|pair| pair.map(|(key, _)| key)))
    }

    /// The bytes of a partial in the space of its run.
    pub(super) fn bytes(
        &self,
        space: Space,
        epoch: Epoch,
        vnode: Vnode,
        slot: Slot,
    ) -> Result<Option<Bytes>, BackendError> {
        match self.snapshot.get(space, &layout::bytes_key(epoch, vnode, slot)) {
            Err(EngineError::NoSpace) => Ok(None),
            found => found.map_err(|error| {
                let what = format!("epoch {epoch}, vnode {vnode}");
                self.report.failed("read", &what, error)
            }),
        }
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, BackendError> {
        let Some(space) = self.space else { return Ok(None) };
        let found = self.snapshot.get(space, key);
        found.map_err(|error| self.report.failed("read", &key_location(key), error))
    }

    fn scan(
        &self,
        range: &KeyRange,
    ) -> Result<impl Iterator<Item = Result<(Bytes, Bytes), BackendError>> + use<>, BackendError> {
        let report = self.report;
        let failed = move |error| report.failed("read", &format!("space {}", layout::SPACE), error);
        let pairs = self.space.map(|space| self.snapshot.scan(space, range));
        let pairs = pairs.transpose().map_err(failed)?;
        Ok(pairs.into_iter().flatten().map(move |pair| pair.map_err(failed)))
    }
}
