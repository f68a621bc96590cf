//! Whatever is done to it in whatever order, the engine holds what a plain map would hold.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Bound;
use std::sync::Arc;

use alluvium_core::{BoxError, KeyRange};
use alluvium_engine::{Engine, EngineError, EngineSnapshot, Pair, Space, WriteBatch};
use alluvium_memory::{MemoryEngine, MemoryOptions};
use proptest::prelude::*;

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;
type Content = BTreeMap<String, Rows>;

/// Space, key, and value unless it removes the key.
type RandomWrite = (u8, Vec<u8>, Option<Vec<u8>>);

#[derive(Clone, Debug)]
enum Action {
    Commit(Vec<RandomWrite>),
    Make(u8),
    Drop(u8),
    Ingest(u8, Rows),
    /// An ingest whose source fails at the end.
    FailedIngest(u8, Rows),
    Scan(u8, Bound<Vec<u8>>, Bound<Vec<u8>>),
    /// Keeps a snapshot to the end.
    Hold,
    Reopen,
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    // Few keys, so that they meet; some longer than what lies inline.
    (0_u8..40, prop_oneof![4 => 1_usize..4, 1 => 28_usize..34]).prop_map(|(byte, length)| vec![byte; length])
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    (any::<u8>(), prop_oneof![3 => 0_usize..20, 1 => 200_usize..900])
        .prop_map(|(byte, length)| vec![byte; length])
}

fn bound() -> impl Strategy<Value = Bound<Vec<u8>>> {
    prop_oneof![
        key().prop_map(Bound::Included),
        key().prop_map(Bound::Excluded),
        Just(Bound::Unbounded)
    ]
}

fn action() -> impl Strategy<Value = Action> {
    let write = (0_u8..3, key(), prop::option::weighted(0.7, value()));
    let rows = || prop::collection::btree_map(key(), value(), 0..60);
    prop_oneof![
        10 => prop::collection::vec(write, 0..30).prop_map(Action::Commit),
        2 => (0_u8..3).prop_map(Action::Make),
        1 => (0_u8..3).prop_map(Action::Drop),
        2 => (0_u8..3, rows()).prop_map(|(space, rows)| Action::Ingest(space, rows)),
        1 => (0_u8..3, rows()).prop_map(|(space, rows)| Action::FailedIngest(space, rows)),
        4 => (0_u8..3, bound(), bound()).prop_map(|(space, start, end)| Action::Scan(space, start, end)),
        1 => Just(Action::Hold),
        1 => Just(Action::Reopen),
    ]
}

fn rows_of(snapshot: &dyn EngineSnapshot, space: Space, range: &KeyRange) -> Vec<(Vec<u8>, Vec<u8>)> {
    let pairs = snapshot.scan(space, range).unwrap().map(Result::unwrap);
    pairs.map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
}

fn content(engine: &MemoryEngine, snapshot: &dyn EngineSnapshot) -> Content {
    let spaces = engine.spaces().unwrap().into_iter();
    spaces
        .map(|name| {
            let space = engine.space(&name).unwrap();
            (
                name,
                rows_of(snapshot, space, &KeyRange::all()).into_iter().collect(),
            )
        })
        .collect()
}

/// A snapshot, and what it has to hold for ever.
struct Held {
    snapshot: Arc<dyn EngineSnapshot>,
    spaces: Vec<(Space, Rows)>,
}

struct Check<'a> {
    open: &'a dyn Fn() -> MemoryEngine,
    persistent: bool,
    engine: MemoryEngine,
    model: Content,
    held: Vec<Held>,
}

fn check(actions: &[Action], open: &dyn Fn() -> MemoryEngine, persistent: bool) {
    let mut check = Check {
        open,
        persistent,
        engine: open(),
        model: Content::new(),
        held: Vec::new(),
    };
    for action in actions {
        check.act(action);
        let snapshot = check.engine.snapshot().unwrap();
        assert!(
            content(&check.engine, snapshot.as_ref()) == check.model,
            "after {action:?}"
        );
    }
    for Held { snapshot, spaces } in check.held {
        for (space, rows) in spaces {
            let found = rows_of(snapshot.as_ref(), space, &KeyRange::all());
            assert!(found.into_iter().eq(rows), "a snapshot moved");
        }
    }
}

impl Check<'_> {
    fn act(&mut self, action: &Action) {
        let engine = &self.engine;
        match action {
            Action::Commit(writes) => self.commit(writes),
            Action::Make(space) => {
                engine.space(&name(*space)).unwrap();
                self.model.entry(name(*space)).or_default();
            }
            Action::Drop(space) => {
                engine.drop_space(&name(*space)).unwrap();
                self.model.remove(&name(*space));
            }
            Action::Ingest(space, rows) => {
                let ingested = engine.ingest(&name(*space), &mut pairs(rows));
                if let Entry::Vacant(model) = self.model.entry(name(*space)) {
                    assert_eq!(ingested.unwrap(), engine.space(&name(*space)).unwrap());
                    model.insert(rows.clone());
                } else {
                    assert!(matches!(ingested, Err(EngineError::Invalid(_))), "{ingested:?}");
                }
            }
            Action::FailedIngest(space, rows) => {
                let mut pairs = pairs(rows).chain([Err("broken".into())]);
                let error = engine.ingest(&name(*space), &mut pairs).unwrap_err();
                assert!(
                    matches!(error, EngineError::Pairs(_) | EngineError::Invalid(_)),
                    "{error:?}"
                );
            }
            Action::Scan(space, start, end) => {
                let range = KeyRange::new(start.clone().map(Into::into), end.clone().map(Into::into));
                self.scan(*space, &range);
            }
            Action::Hold => self.held.push(Held {
                snapshot: engine.snapshot().unwrap(),
                spaces: self
                    .model
                    .iter()
                    .map(|(name, rows)| (engine.space(name).unwrap(), rows.clone()))
                    .collect(),
            }),
            Action::Reopen if self.persistent => {
                engine.close().unwrap();
                self.engine = (self.open)();
            }
            Action::Reopen => {}
        }
    }

    fn commit(&mut self, writes: &[RandomWrite]) {
        // Each key of a space once, as callers promise.
        let writes: BTreeMap<_, _> = writes
            .iter()
            .map(|(space, key, value)| ((space, key), value))
            .collect();
        let mut batch = WriteBatch::default();
        for ((space, key), value) in writes {
            let rows = self.model.entry(name(*space)).or_default();
            let space = self.engine.space(&name(*space)).unwrap();
            if let Some(value) = value {
                batch.put(space, key.clone(), value.clone());
                rows.insert(key.clone(), value.clone());
            } else {
                batch.remove(space, key.clone());
                rows.remove(key);
            }
        }
        self.engine.commit(batch).unwrap();
    }

    fn scan(&self, space: u8, range: &KeyRange) {
        let Some(rows) = self.model.get(&name(space)) else {
            return;
        };
        let space = self.engine.space(&name(space)).unwrap();
        let snapshot = self.engine.snapshot().unwrap();
        let found = rows_of(snapshot.as_ref(), space, range);
        let expected = rows.iter().filter(|(key, _)| range.contains(key));
        assert!(
            found.iter().map(|(key, value)| (key, value)).eq(expected),
            "{range:?}"
        );
        for (key, value) in &found {
            assert_eq!(self.engine.get(space, key).unwrap().as_deref(), Some(&value[..]));
        }
        assert_eq!(self.engine.approximate_len(space).unwrap(), rows.len() as u64);
    }
}

fn name(space: u8) -> String {
    format!("space.{space}")
}

fn pairs(rows: &Rows) -> impl Iterator<Item = Result<Pair, BoxError>> {
    rows.iter()
        .map(|(key, value)| Ok((key.clone().into(), value.clone().into())))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn in_memory_it_is_a_map(actions in prop::collection::vec(action(), 1..60)) {
        check(&actions, &MemoryEngine::in_memory, false);
    }

    #[test]
    fn on_disk_it_is_a_map_that_lasts(actions in prop::collection::vec(action(), 1..60)) {
        let dir = tempfile::tempdir().unwrap();
        // Compactions all the time.
        let options = MemoryOptions::default().min_compaction_bytes(0);
        check(&actions, &|| MemoryEngine::open(dir.path(), options.clone()).unwrap(), true);
    }
}
