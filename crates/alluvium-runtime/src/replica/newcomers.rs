//! How many keys a log has more than it had: what its own count of keys has to be, if nothing has vanished from it.
//!
//! A change brings the log a key more if the log held no message of that key before. That is certain where the table has a
//! row of it, or where its last message is known to be a marker. Where it is not, the change is taken to have brought one:
//! the count is then too high, never too low, and at worst a log is listed in vain.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{DefaultHasher, Hasher as _};

use alluvium_core::{Change, Holdings, Sequence, Table, TableError};
use bytes::Bytes;

/// Changes of one batch that are looked at: a flood is not held up.
const MOST_AT_ONCE: usize = 4_096;
/// Newcomers that are known.
const MOST: usize = 65_536;
/// Markers that are known.
pub(super) const MOST_MARKERS: usize = 65_536;

/// The places of changes that may have brought a key more.
#[derive(Default)]
pub(super) struct Newcomers {
    places: VecDeque<Sequence>,
    /// All of them after this one are known.
    since: Sequence,
    /// Keys, as hashes, whose last message is a marker, and where that is.
    markers: HashMap<u64, Sequence>,
}

/// A key among the markers.
fn hash(key: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(key);
    hasher.finish()
}

impl Newcomers {
    /// Those after this position.
    pub(super) fn after(position: Sequence) -> Self {
        Self {
            since: position,
            ..Self::default()
        }
    }

    /// Looks at changes that are about to be committed.
    pub(super) fn note(&mut self, table: &dyn Table, changes: &[Change]) -> Result<(), TableError> {
        let Some(last) = changes.last() else { return Ok(()) };
        if changes.len() > MOST_AT_ONCE {
            *self = Self::after(last.sequence);
            return Ok(());
        }
        let mut met = HashSet::with_capacity(changes.len());
        for change in changes {
            let marker = hash(&change.key);
            let is_known = !met.insert(change.key.as_ref())
                || self.markers.contains_key(&marker)
                || table.get(&change.key)?.is_some();
            if !is_known {
                self.places.push_back(change.sequence);
                if self.places.len() > MOST {
                    self.since = self.places.pop_front().unwrap_or(self.since);
                }
            }
            if change.value().is_some() {
                self.markers.remove(&marker);
            } else if self.markers.len() < MOST_MARKERS {
                self.markers.insert(marker, change.sequence);
            }
        }
        Ok(())
    }

    /// Takes these for all the markers that the log held up to a sequence, but for those whose keys were put again since.
    pub(super) fn learn(
        &mut self,
        table: &dyn Table,
        listed: Vec<(Bytes, Sequence)>,
        complete: Sequence,
    ) -> Result<(), TableError> {
        self.markers.retain(|_, sequence| *sequence > complete);
        for (key, sequence) in listed {
            if table.get(&key)?.is_none() {
                self.markers.entry(hash(&key)).or_insert(sequence);
            }
        }
        Ok(())
    }

    /// Forgets the markers that the log does not hold any more.
    pub(super) fn keep(&mut self, holdings: &Holdings) {
        let last = holdings.bounds().last;
        self.markers
            .retain(|_, sequence| *sequence > last || holdings.holds(*sequence));
    }

    /// How many came after one sequence and up to another, if that is known.
    pub(super) fn between(&self, after: Sequence, upto: Sequence) -> Option<u64> {
        let within = |place: &&Sequence| **place > after && **place <= upto;
        (after >= self.since).then(|| self.places.iter().filter(within).count() as u64)
    }

    /// Forgets the markers below the first message of the log; how many those were.
    pub(super) fn evict_before(&mut self, first: Sequence) -> u64 {
        let before = self.markers.len();
        self.markers.retain(|_, sequence| *sequence >= first);
        (before - self.markers.len()) as u64
    }
}
