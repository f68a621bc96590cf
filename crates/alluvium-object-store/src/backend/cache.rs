//! What a handle remembers of epochs, so that it need not ask again. Nothing depends on it but the number of requests:
//! all of it is either immutable or this handle's own.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use alluvium_core::Epoch;

use super::names::PartialsName;
use super::record::{Index, Seal};

/// How many epochs are remembered.
const EPOCHS: usize = 16;

/// The newest object of a run of writes, and its index.
pub(super) type Newest = (PartialsName, Arc<Index>);

#[derive(Debug, Default)]
pub(super) struct Cache {
    /// The one used last at the end.
    epochs: VecDeque<(Epoch, Remembered)>,
    /// Epochs that a seal was seen of, in force or not.
    seals_seen: BTreeSet<Epoch>,
    floor: Option<Epoch>,
}

#[derive(Debug, Default)]
struct Remembered {
    /// The one in force.
    seal: Option<Arc<Seal>>,
    /// Runs of this handle's writes that nobody is adding to at the moment.
    own: Vec<Newest>,
    /// The newest objects of others.
    others: HashMap<PartialsName, Arc<Index>>,
}

impl Cache {
    /// The seal that is in force.
    pub(super) fn seal(&mut self, epoch: Epoch) -> Option<Arc<Seal>> {
        self.find(epoch)?.seal.clone()
    }

    /// Remembers the seal that is in force. What was written before it is of no interest any more.
    pub(super) fn sealed(&mut self, seal: &Arc<Seal>) {
        if let Some(remembered) = self.at(seal.epoch) {
            *remembered = Remembered {
                seal: Some(Arc::clone(seal)),
                ..Remembered::default()
            };
        }
    }

    /// Remembers that there are seals.
    pub(super) fn saw_seals(&mut self, epochs: impl IntoIterator<Item = Epoch>) {
        self.seals_seen.extend(epochs);
    }

    /// Whether a seal was seen, in force or not.
    pub(super) fn has_seen_seal(&self, epoch: Epoch) -> bool {
        self.seals_seen.contains(&epoch)
    }

    /// Takes out a run of own writes, to add to it. Whoever adds at the same time begins another one.
    pub(super) fn take_own(&mut self, epoch: Epoch) -> Option<Newest> {
        self.find(epoch)?.own.pop()
    }

    /// Puts a run of own writes back.
    pub(super) fn give_own(&mut self, epoch: Epoch, newest: Newest) {
        if let Some(remembered) = self.at(epoch).filter(|remembered| remembered.seal.is_none()) {
            remembered.own.push(newest);
        }
    }

    /// The index of an object.
    pub(super) fn index(&mut self, epoch: Epoch, name: &PartialsName) -> Option<Arc<Index>> {
        let remembered = self.find(epoch)?;
        let own = remembered.own.iter().find(|(own, _)| own == name);
        own.map(|(_, index)| index)
            .or_else(|| remembered.others.get(name))
            .cloned()
    }

    /// Remembers the indexes of the newest objects, and forgets those of older ones.
    pub(super) fn keep_indexes(&mut self, epoch: Epoch, newest: &[Newest]) {
        if let Some(remembered) = self.at(epoch).filter(|remembered| remembered.seal.is_none()) {
            let is_own = |name: &PartialsName| remembered.own.iter().any(|(own, _)| own == name);
            let others = newest.iter().filter(|(name, _)| !is_own(name));
            remembered.others = others.cloned().collect();
        }
    }

    /// Forgets what was pruned.
    pub(super) fn forget_below(&mut self, floor: Epoch) {
        self.epochs.retain(|(epoch, _)| *epoch >= floor);
        self.seals_seen = self.seals_seen.split_off(&floor);
        self.floor = self.floor.max(Some(floor));
    }

    fn find(&mut self, epoch: Epoch) -> Option<&mut Remembered> {
        let place = self.epochs.iter().position(|(other, _)| *other == epoch)?;
        let found = self.epochs.remove(place)?;
        self.epochs.push_back(found);
        self.epochs.back_mut().map(|(_, remembered)| remembered)
    }

    fn at(&mut self, epoch: Epoch) -> Option<&mut Remembered> {
        if self.floor.is_some_and(|floor| epoch < floor) {
            return None;
        }
        if self.find(epoch).is_none() {
            if self.epochs.len() >= EPOCHS {
                self.epochs.pop_front();
            }
            self.epochs.push_back((epoch, Remembered::default()));
        }
        self.epochs.back_mut().map(|(_, remembered)| remembered)
    }
}

#[cfg(test)]
mod tests {
    use alluvium_core::{AssignmentVersion, InstanceId};
    use uuid::Uuid;

    use super::*;

    fn epoch(number: u64) -> Epoch {
        Epoch::new(number).unwrap()
    }

    fn newest(attempt: u64) -> Newest {
        let name = PartialsName {
            attempt,
            instance: InstanceId::new("a").unwrap(),
            writer: Uuid::from_u128(1),
            index_bytes: 1,
        };
        (name, Arc::new(Index::new(Vec::new(), None)))
    }

    fn seal(number: u64) -> Arc<Seal> {
        let instance = InstanceId::new("a").unwrap();
        Arc::new(Seal::new(epoch(number), AssignmentVersion::OFF, instance, []))
    }

    #[test]
    fn a_run_of_writes_has_one_who_adds_to_it() {
        let mut cache = Cache::default();
        cache.give_own(epoch(1), newest(1));
        assert!(cache.index(epoch(1), &newest(1).0).is_some());
        assert!(cache.take_own(epoch(1)).is_some());
        assert!(cache.take_own(epoch(1)).is_none());
        assert!(cache.index(epoch(1), &newest(1).0).is_none());
    }

    #[test]
    fn a_seal_ends_what_was_before_it() {
        let mut cache = Cache::default();
        cache.give_own(epoch(1), newest(1));
        cache.sealed(&seal(1));
        assert!(cache.take_own(epoch(1)).is_none());
        cache.give_own(epoch(1), newest(2));
        assert!(cache.take_own(epoch(1)).is_none());
        assert!(cache.seal(epoch(1)).is_some());
    }

    #[test]
    fn the_epochs_that_were_used_last_are_remembered() {
        let mut cache = Cache::default();
        for number in 1..=EPOCHS as u64 {
            cache.sealed(&seal(number));
        }
        assert!(cache.seal(epoch(1)).is_some());
        cache.sealed(&seal(1000));
        assert!(cache.seal(epoch(1)).is_some(), "it was used");
        assert!(cache.seal(epoch(2)).is_none(), "it was not");
        assert_eq!(cache.epochs.len(), EPOCHS);
    }

    #[test]
    fn what_was_pruned_is_forgotten_and_stays_so() {
        let mut cache = Cache::default();
        cache.sealed(&seal(1));
        cache.saw_seals([epoch(1), epoch(2)]);
        cache.forget_below(epoch(2));
        cache.sealed(&seal(1));
        assert!(cache.seal(epoch(1)).is_none());
        assert!(!cache.has_seen_seal(epoch(1)));
        assert!(cache.has_seen_seal(epoch(2)));
    }
}
