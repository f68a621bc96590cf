//! Obligations 1 to 6 at once: random operations against a model.

use std::collections::BTreeMap;
use std::sync::Arc;

use alluvium_engine::{EngineError, EngineSnapshot, Space, WriteBatch};
use bytes::Bytes;
use proptest::prelude::*;

use crate::content::{difference, pairs};
use crate::support::{OpenEngine, error_of, length, property};
use crate::{Content, EngineHarness};

const NAMES: [&str; 3] = ["a", "b", "a.b"];

/// A key by number, so that keys meet again.
fn key(number: u8) -> Bytes {
    let keys: [&[u8]; 8] = [b"\0", b"\0\0", b"k", b"k\0", b"kk", b"\xff", b"\xff\xff", b"\x7f"];
    Bytes::from_static(keys[usize::from(number) % keys.len()])
}

#[derive(Clone, Debug)]
enum Step {
    /// Space, key, value.
    Commit(Vec<(usize, u8, Option<Vec<u8>>)>),
    Ingest(usize, Vec<(u8, Vec<u8>)>),
    FailingIngest(usize),
    Make(usize),
    Drop(usize),
    Snapshot,
    Sync,
    Reopen,
    DropAndReopen,
}

fn step(persistent: bool) -> impl Strategy<Value = Step> {
    let value = || prop_oneof![3 => prop::collection::vec(any::<u8>(), 0..6), 1 => Just(vec![7; 3_000])];
    let space = || 0..NAMES.len();
    let writes = prop::collection::vec((space(), 0..8_u8, prop::option::weighted(0.7, value())), 0..8);
    let pairs = prop::collection::vec((0..8_u8, value()), 0..8);
    let reopens = u32::from(persistent);
    prop_oneof![
        12 => writes.prop_map(Step::Commit),
        3 => (space(), pairs).prop_map(|(space, pairs)| Step::Ingest(space, pairs)),
        1 => space().prop_map(Step::FailingIngest),
        2 => space().prop_map(Step::Make),
        2 => space().prop_map(Step::Drop),
        2 => Just(Step::Snapshot),
        1 => Just(Step::Sync),
        reopens => Just(Step::Reopen),
        reopens => Just(Step::DropAndReopen),
    ]
}

/// What a snapshot is to hold.
type Held = Vec<(Space, BTreeMap<Bytes, Bytes>)>;

/// An engine, the model of it, and the snapshots that were taken with what they are to hold.
struct Run<'h> {
    engine: OpenEngine<'h>,
    model: Content,
    snapshots: Vec<(Arc<dyn EngineSnapshot>, Held)>,
}

impl Run<'_> {
    fn take(&mut self, step: Step) {
        match step {
            Step::Commit(writes) => self.commit(writes),
            Step::Ingest(space, pairs) => self.ingest(NAMES[space], pairs),
            Step::FailingIngest(space) => {
                let mut failing = [Ok((key(0), key(0))), Err("no more".into())].into_iter();
                let error = error_of(self.engine.ingest(NAMES[space], &mut failing));
                let exists = self.model.0.contains_key(NAMES[space]);
                match error {
                    EngineError::Invalid(_) if exists => {}
                    // Whether it looks for the space before it reads the pairs is the engine's affair.
                    EngineError::Pairs(_) => {}
                    other => panic!("not the error that it should be: {other:?}"),
                }
            }
            Step::Make(space) => {
                self.engine.space(NAMES[space]).unwrap();
                self.model.0.entry(NAMES[space].to_owned()).or_default();
            }
            Step::Drop(space) => {
                self.engine.drop_space(NAMES[space]).unwrap();
                self.model.0.remove(NAMES[space]);
            }
            Step::Snapshot => {
                let snapshot = self.engine.snapshot().unwrap();
                let held = self.model.0.iter();
                let held = held.map(|(name, pairs)| (self.engine.space(name).unwrap(), pairs.clone()));
                self.snapshots.push((snapshot, held.collect()));
            }
            Step::Sync => self.engine.sync().unwrap(),
            Step::Reopen => {
                self.check_snapshots();
                self.engine.reopen();
            }
            Step::DropAndReopen => {
                self.check_snapshots();
                self.engine.drop_and_reopen();
            }
        }
        let found = Content::of(&*self.engine).unwrap();
        assert_eq!(found.difference(&self.model), None);
    }

    fn commit(&mut self, writes: Vec<(usize, u8, Option<Vec<u8>>)>) {
        // Each key of a space once.
        let writes: BTreeMap<_, _> = writes
            .into_iter()
            .map(|(space, number, value)| ((space, key(number)), value.map(Bytes::from)))
            .collect();
        let mut batch = WriteBatch::default();
        for ((space, key), value) in writes {
            let handle = self.engine.space(NAMES[space]).unwrap();
            let pairs = self.model.0.entry(NAMES[space].to_owned()).or_default();
            if let Some(value) = value {
                batch.put(handle, key.clone(), value.clone());
                pairs.insert(key, value);
            } else {
                batch.remove(handle, key.clone());
                pairs.remove(&key);
            }
        }
        self.engine.commit(batch).unwrap();
    }

    fn ingest(&mut self, name: &str, pairs: Vec<(u8, Vec<u8>)>) {
        let pairs: BTreeMap<_, _> = pairs
            .into_iter()
            .map(|(number, value)| (key(number), Bytes::from(value)))
            .collect();
        let outcome = self.engine.ingest(name, &mut pairs.clone().into_iter().map(Ok));
        if self.model.0.contains_key(name) {
            assert!(matches!(outcome, Err(EngineError::Invalid(_))), "{outcome:?}");
        } else {
            outcome.unwrap();
            self.model.0.insert(name.to_owned(), pairs);
        }
    }

    /// Compares all snapshots with what they held when they were taken, and lets go of them.
    fn check_snapshots(&mut self) {
        for (snapshot, held) in self.snapshots.drain(..) {
            for (space, expected) in held {
                let found = pairs(snapshot.as_ref(), space).unwrap();
                assert_eq!(difference(&found, &expected), None, "in a snapshot");
            }
        }
    }
}

/// Whatever is done to the engine, it and its snapshots hold what a map would.
pub fn o1_o2_o3_o4_o5_o6_random_operations_leave_what_they_leave_in_a_map(harness: &dyn EngineHarness) {
    let steps = prop::collection::vec(step(harness.capabilities().persistent), 1..30);
    property(length(8, 400), &steps, |steps| {
        let mut run = Run {
            engine: OpenEngine::new(harness),
            model: Content::default(),
            snapshots: Vec::new(),
        };
        for step in steps {
            run.take(step);
        }
        run.check_snapshots();
    });
}
