//! What there is in a directory of the backend, by name.

use std::collections::{BTreeMap, BTreeSet};

use alluvium_core::{AssignmentVersion, BackendError, Epoch};
use object_store::path::Path;

use super::names::{EpochObject, Layout, PartialsName, SealName};
use crate::store::Store;

/// Everything of ours that a LIST has found.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) epochs: BTreeMap<Epoch, Found>,
    /// How many objects were none of ours, and the first of them.
    foreign: (u64, Option<Path>),
}

/// What there is of an epoch.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The objects with partials, and how long they are.
    pub(super) partials: BTreeMap<PartialsName, u64>,
    /// The fences that seals were made under, in force or not.
    pub(super) seals: BTreeSet<AssignmentVersion>,
}

impl Listing {
    pub(super) async fn of(store: &Store, layout: &Layout, directory: &Path) -> Result<Self, BackendError> {
        let mut listing = Self::default();
        for object in store.list(directory).await? {
            match layout.parse(&object.location) {
                Some((epoch, EpochObject::Partials(name))) => {
                    let found = listing.epochs.entry(epoch).or_default();
                    found.partials.insert(name, object.size);
                }
                Some((epoch, EpochObject::Seal(SealName { fence }))) => {
                    listing.epochs.entry(epoch).or_default().seals.insert(fence);
                }
                None => {
                    listing.foreign.0 += 1;
                    listing.foreign.1.get_or_insert(object.location);
                }
            }
        }
        Ok(listing)
    }

    pub(super) async fn of_epoch(
        store: &Store,
        layout: &Layout,
        epoch: Epoch,
    ) -> Result<Found, BackendError> {
        let mut listing = Self::of(store, layout, &layout.epoch(epoch)).await?;
        Ok(listing.epochs.remove(&epoch).unwrap_or_default())
    }

    /// Every seal, in force or not.
    pub(super) fn seals(&self) -> impl Iterator<Item = (Epoch, AssignmentVersion)> {
        let epochs = self.epochs.iter();
        epochs.flat_map(|(epoch, found)| found.seals.iter().map(|fence| (*epoch, *fence)))
    }

    /// The highest attempt that anybody has made.
    pub(super) fn last_attempt(&self) -> u64 {
        let attempts = self.epochs.values().map(Found::last_attempt);
        attempts.max().unwrap_or_default()
    }

    /// Says that there are objects that nobody here knows, so that whoever wonders about them finds it in the log.
    pub(super) fn mention_foreign(&self, store: &Store) {
        if let (count, Some(first)) = &self.foreign {
            let first = store.location(first);
            tracing::warn!(count, first, "objects that are none of ours are left alone");
        }
    }
}

impl Found {
    /// The newest object of each writer.
    pub(super) fn newest(&self) -> impl Iterator<Item = &PartialsName> {
        // Names are sorted by attempt.
        let mut newest = BTreeMap::new();
        for name in self.partials.keys() {
            newest.insert((&name.instance, name.writer), name);
        }
        newest.into_values()
    }

    pub(super) fn last_attempt(&self) -> u64 {
        self.partials.last_key_value().map_or(0, |(name, _)| name.attempt)
    }

    /// Whether an object is there, up to this byte.
    pub(super) fn reaches(&self, name: &PartialsName, end: u64) -> bool {
        self.partials.get(name).is_some_and(|size| *size >= end)
    }

    /// How many objects there are.
    pub(super) fn paths<'a>(&'a self, layout: &'a Layout, epoch: Epoch) -> impl Iterator<Item = Path> + 'a {
        let partials = self.partials.keys().map(move |name| layout.partials(epoch, name));
        let seals = self.seals.iter();
        partials.chain(seals.map(move |fence| layout.seal(epoch, SealName { fence: *fence })))
    }
}
