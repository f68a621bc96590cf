//! Random operations on a log and on a map: afterwards every method tells the same of both.

use std::collections::BTreeMap;

use alluvium_core::{Change, DeleteReason, Listed, Operation, Scope, Sequence};
use bytes::Bytes;

use super::place::{Place, scope, with_log};
use crate::support::length;
use crate::{LogHarness, Random};

const KEYS: [&str; 7] = ["a", "a.x", "a.y", "b.x", "b.x.y", "c", "c.z"];
const SCOPES: [&[&str]; 5] = [&[">"], &["a.>"], &["*.x", "c"], &["b.x", "b.>"], &["none"]];
const SEED: u64 = 11;

/// What a message says: key and operation.
type Message = (&'static str, Operation);

/// The log as it has to be.
struct Model {
    history: usize,
    messages: BTreeMap<u64, Message>,
    last: u64,
}

impl Model {
    fn store(&mut self, key: &'static str, operation: Operation) {
        self.last += 1;
        self.messages.insert(self.last, (key, operation));
        let of_key = self.messages.iter().filter(|(_, message)| message.0 == key);
        let of_key: Vec<u64> = of_key.map(|(sequence, _)| *sequence).collect();
        for sequence in &of_key[..of_key.len().saturating_sub(self.history)] {
            self.messages.remove(sequence);
        }
    }

    fn first(&self) -> u64 {
        self.messages.keys().next().copied().unwrap_or(self.last + 1)
    }

    /// The messages in scope from a sequence on.
    fn from(&self, from: u64, scope: &Scope) -> Vec<(u64, Message)> {
        let wanted = self.messages.range(from..);
        let wanted = wanted.filter(|(_, message)| scope.matches(message.0.as_bytes()));
        wanted
            .map(|(sequence, message)| (*sequence, message.clone()))
            .collect()
    }

    /// The latest message of each key in scope.
    fn current(&self, scope: &Scope) -> Vec<(u64, Message)> {
        let mut latest = BTreeMap::new();
        for (sequence, message) in self.from(0, scope) {
            latest.insert(message.0, (sequence, message));
        }
        let mut latest: Vec<_> = latest.into_values().collect();
        latest.sort_by_key(|(sequence, _)| *sequence);
        latest
    }
}

/// Puts, removals and evictions.
pub fn o1_random_writes_leave_what_they_leave_in_a_map(harness: &dyn LogHarness) {
    random_writes(harness, false);
}

/// The same with deletes and purges.
pub fn o1_random_deletes_leave_what_they_leave_in_a_map(harness: &dyn LogHarness) {
    random_writes(harness, true);
}

fn random_writes(harness: &dyn LogHarness, markers: bool) {
    for run in 0..length(3, 30) {
        let mut random = Random::nth(SEED, run);
        let history = [1, 2, 5][random.index(3)];
        with_log(harness, history, async |place| {
            let mut model = Model {
                history: usize::try_from(history).unwrap(),
                messages: BTreeMap::new(),
                last: 0,
            };
            for _ in 0..6 {
                for _ in 0..random.below(25) {
                    write(place, &mut model, &mut random, markers).await;
                }
                compare(place, &model, &mut random).await;
            }
        });
    }
}

async fn write(place: &Place, model: &mut Model, random: &mut Random, markers: bool) {
    let key = KEYS[random.index(KEYS.len())];
    let stored = match random.below(100) {
        0..8 if markers => {
            let stored = place.owner.delete(key).await;
            model.store(key, Operation::Delete(DeleteReason::Deleted));
            stored
        }
        8..14 if markers => {
            let stored = place.owner.purge(key).await;
            model.messages.retain(|_, message| message.0 != key);
            model.store(key, Operation::Delete(DeleteReason::Purged));
            stored
        }
        14..24 => {
            let index = random.index(model.messages.len());
            if let Some(sequence) = model.messages.keys().nth(index).copied() {
                place.owner.remove(Sequence::new(sequence)).await;
                model.messages.remove(&sequence);
            }
            return;
        }
        24..26 => {
            let first = model.first() + random.below(4);
            let first = first.min(model.last + 1);
            place.owner.evict_before(Sequence::new(first)).await;
            model.messages = model.messages.split_off(&first);
            return;
        }
        _ => {
            let length = random.index(40);
            let value = Bytes::from(random.bytes(length));
            let stored = place.owner.put(key, value.clone()).await;
            model.store(key, Operation::Put(value));
            stored
        }
    };
    assert_eq!(stored.get(), model.last, "the sequence that was stored");
}

fn messages(changes: &[Change]) -> Vec<(u64, (&str, Operation))> {
    let message = |change: &Change| change.operation.clone();
    let told = changes.iter().map(|change| {
        let key = std::str::from_utf8(&change.key).unwrap();
        (change.sequence.get(), (key, message(change)))
    });
    told.collect()
}

async fn compare(place: &Place, model: &Model, random: &mut Random) {
    let bounds = place.bounds().await;
    let told = (bounds.first.get(), bounds.last.get(), bounds.messages);
    assert_eq!(
        told,
        (model.first(), model.last, model.messages.len() as u64),
        "bounds"
    );
    let from = random.below(model.last + 2);
    for filters in SCOPES {
        let scope = scope(filters);
        let (read, end) = place.read_scope(from, &scope).await.until_caught_up().await;
        assert_eq!(
            messages(&read),
            model.from(from, &scope),
            "{filters:?} read from {from}"
        );
        assert!(
            end <= model.last,
            "{filters:?} read from {from}: caught up at {end}"
        );
        let (listed, end) = place.list(&scope).await;
        assert_eq!(messages(&listed), model.current(&scope), "current of {filters:?}");
        assert_eq!(end, model.last, "current of {filters:?}");
        let without_values: Vec<Listed> = listed.into_iter().map(Listed::of).collect();
        let listed = place.list_without_values(&scope).await;
        assert_eq!(listed, (without_values, model.last), "list of {filters:?}");
        let mut keys: Vec<_> = model
            .current(&scope)
            .into_iter()
            .map(|(_, (key, _))| key)
            .collect();
        keys.sort_unstable();
        assert_eq!(place.keys(&scope).await, keys, "keys of {filters:?}");
    }
    for _ in 0..10 {
        let sequence = random.below(model.last + 2);
        let found = place.at(sequence).await;
        let found = found
            .as_ref()
            .map(|change| messages(std::slice::from_ref(change)));
        let expected = model
            .messages
            .get(&sequence)
            .map(|message| vec![(sequence, message.clone())]);
        assert_eq!(found, expected, "message_at {sequence}");
    }
}
