//! The engine against maps in memory, over whatever a run of calls may be.

use std::collections::BTreeMap;
use std::sync::Arc;

use alluvium_core::{Durability, KeyRange};
use alluvium_engine::{Engine, EngineError, EngineSnapshot, Space, WriteBatch};
use alluvium_fjall::{FjallEngine, FjallOptions};
use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

type Map = BTreeMap<Bytes, Bytes>;
type Content = Vec<(Space, Map)>;
type Writes = Vec<(u8, Bytes, Option<Bytes>)>;

const NAMES: [&str; 3] = ["a", "b", "c"];

#[derive(Clone, Debug)]
enum Step {
    Commit(Writes),
    Make(u8),
    Drop(u8),
    Ingest(u8, Map),
    FailedIngest(u8, Map),
    Snapshot,
    Reopen(bool),
}

fn key() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(prop_oneof![Just(0_u8), Just(b'k'), Just(255)], 1..4).prop_map(Bytes::from)
}

fn value() -> impl Strategy<Value = Bytes> {
    // Large enough at times for memtables of 1 MiB to be turned over.
    prop_oneof![
        6 => prop::collection::vec(any::<u8>(), 0..20).prop_map(Bytes::from),
        1 => (any::<u8>(), 100_000..400_000_usize).prop_map(|(byte, len)| Bytes::from(vec![byte; len])),
    ]
}

fn map() -> impl Strategy<Value = Map> {
    prop::collection::btree_map(key(), value(), 0..12)
}

fn step() -> impl Strategy<Value = Step> {
    let space = 0..3_u8;
    prop_oneof![
        8 => prop::collection::vec((space.clone(), key(), prop::option::weighted(0.7, value())), 0..10)
            .prop_map(Step::Commit),
        1 => space.clone().prop_map(Step::Make),
        1 => space.clone().prop_map(Step::Drop),
        1 => (space.clone(), map()).prop_map(|(space, map)| Step::Ingest(space, map)),
        1 => (space, map()).prop_map(|(space, map)| Step::FailedIngest(space, map)),
        2 => Just(Step::Snapshot),
        1 => any::<bool>().prop_map(Step::Reopen),
    ]
}

struct Run {
    dir: tempfile::TempDir,
    engine: FjallEngine,
    model: [Option<Map>; 3],
    /// Snapshots, with the spaces as they were then.
    snapshots: Vec<(Arc<dyn EngineSnapshot>, Content)>,
}

fn scan(snapshot: &dyn EngineSnapshot, space: Space, range: &KeyRange) -> Result<Map, EngineError> {
    snapshot.scan(space, range)?.collect()
}

impl Run {
    fn spaces(&self) -> Result<Content, EngineError> {
        let made = NAMES.iter().zip(&self.model);
        made.filter_map(|(name, map)| Some((name, map.clone()?)))
            .map(|(name, map)| Ok((self.engine.space(name)?, map)))
            .collect()
    }

    fn step(&mut self, step: Step) -> Result<(), Box<dyn std::error::Error>> {
        match step {
            Step::Commit(writes) => {
                // Of a key written more than once, the last counts: the batch names it once.
                let made = writes
                    .into_iter()
                    .filter(|(space, ..)| self.model[usize::from(*space)].is_some());
                let writes: BTreeMap<_, _> = made.map(|(space, key, value)| ((space, key), value)).collect();
                let mut batch = WriteBatch::default();
                for ((space, key), value) in writes.into_iter().rev() {
                    let handle = self.engine.space(NAMES[usize::from(space)])?;
                    let Some(map) = &mut self.model[usize::from(space)] else {
                        continue;
                    };
                    if let Some(value) = value {
                        map.insert(key.clone(), value.clone());
                        batch.put(handle, key, value);
                    } else {
                        map.remove(&key);
                        batch.remove(handle, key);
                    }
                }
                self.engine.commit(batch)?;
            }
            Step::Make(space) => {
                self.engine.space(NAMES[usize::from(space)])?;
                self.model[usize::from(space)].get_or_insert_default();
            }
            Step::Drop(space) => {
                self.engine.drop_space(NAMES[usize::from(space)])?;
                self.model[usize::from(space)] = None;
            }
            Step::Ingest(space, map) => {
                let mut pairs = map.clone().into_iter().map(Ok);
                let ingested = self.engine.ingest(NAMES[usize::from(space)], &mut pairs);
                match &mut self.model[usize::from(space)] {
                    Some(_) => assert!(matches!(ingested, Err(EngineError::Invalid(_)))),
                    none => {
                        ingested?;
                        *none = Some(map);
                    }
                }
            }
            Step::FailedIngest(space, map) => {
                let mut pairs = map.into_iter().map(Ok).chain([Err("the end".into())]);
                assert!(self.engine.ingest(NAMES[usize::from(space)], &mut pairs).is_err());
            }
            Step::Snapshot => {
                let spaces = self.spaces()?;
                self.snapshots.push((self.engine.snapshot()?, spaces));
            }
            Step::Reopen(fsync) => {
                self.snapshots.clear();
                self.engine.close()?;
                let durability = if fsync {
                    Durability::Fsync
                } else {
                    Durability::Buffered
                };
                let options = FjallOptions::default()
                    .memtable_bytes(1 << 20)
                    .durability(durability);
                self.engine = FjallEngine::open_existing(self.dir.path(), options)?;
            }
        }
        self.check()
    }

    fn check(&self) -> Result<(), Box<dyn std::error::Error>> {
        let mut names = self.engine.spaces()?;
        names.sort();
        let made = NAMES
            .iter()
            .zip(&self.model)
            .filter(|(_, map)| map.is_some())
            .map(|(name, _)| *name);
        assert_eq!(names, made.collect::<Vec<_>>());
        for (space, map) in self.spaces()? {
            for (key, value) in &map {
                assert_eq!(self.engine.get(space, key)?.as_ref(), Some(value));
            }
        }
        let now = (self.engine.snapshot()?, self.spaces()?);
        for (snapshot, spaces) in self.snapshots.iter().chain([&now]) {
            for (space, map) in spaces {
                assert!(scan(&**snapshot, *space, &KeyRange::all())? == *map);
                let some = KeyRange::of(&b"k"[..]..&b"k\xff"[..]);
                let expected: Map = map
                    .range(Bytes::from("k")..Bytes::from(&b"k\xff"[..]))
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect();
                assert!(scan(&**snapshot, *space, &some)? == expected);
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24,
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_run_of_calls_leaves_what_maps_would_hold(steps in prop::collection::vec(step(), 1..40)) {
        let dir = tempfile::tempdir()?;
        let engine = FjallEngine::open(dir.path(), FjallOptions::default().memtable_bytes(1 << 20))?;
        let mut run = Run { dir, engine, model: [Some(Map::new()), None, None], snapshots: Vec::new() };
        run.engine.space("a")?;
        for step in steps {
            if let Err(error) = run.step(step) {
                prop_assert!(false, "{error:?}");
            }
        }
    }
}
