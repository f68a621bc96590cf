//! What an engine should hold, and the commits that bring it there.

use std::collections::BTreeMap;

use alluvium_core::KeyRange;
use alluvium_engine::{Engine, EngineError, EngineSnapshot, Space, WriteBatch};
use bytes::Bytes;

use crate::Random;

/// Everything an engine holds, by space and key: the model that engines are compared with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content(pub BTreeMap<String, BTreeMap<Bytes, Bytes>>);

impl Content {
    /// Reads an engine: every space, in one snapshot, by scan and key by key.
    ///
    /// # Errors
    ///
    /// The first one of the engine.
    ///
    /// # Panics
    ///
    /// If a scan and a get of the same snapshot disagree.
    pub fn of(engine: &dyn Engine) -> Result<Self, EngineError> {
        let mut content = Self::default();
        let mut spaces = Vec::new();
        for name in engine.spaces()? {
            spaces.push((engine.space(&name)?, name));
        }
        let snapshot = engine.snapshot()?;
        for (space, name) in spaces {
            content.0.insert(name, pairs(snapshot.as_ref(), space)?);
        }
        Ok(content)
    }

    /// What differs, in short; `None` if nothing does.
    pub fn difference(&self, other: &Self) -> Option<String> {
        let names: Vec<_> = self.0.keys().collect();
        let others: Vec<_> = other.0.keys().collect();
        if names != others {
            return Some(format!("the spaces are {names:?}, not {others:?}"));
        }
        self.0.iter().find_map(|(name, pairs)| {
            let found = difference(pairs, other.0.get(name)?)?;
            Some(format!("in the space {name}: {found}"))
        })
    }
}

/// The first key of two maps that differs, in short; `None` if none does.
pub(crate) fn difference<V: PartialEq + std::fmt::Debug>(
    found: &BTreeMap<Bytes, V>,
    expected: &BTreeMap<Bytes, V>,
) -> Option<String> {
    let keys = found.keys().chain(expected.keys());
    let key = keys
        .into_iter()
        .find(|key| found.get(*key) != expected.get(*key))?;
    let shown = |value: Option<&V>| match value {
        None => "nothing".to_owned(),
        Some(value) => format!("{value:?}").chars().take(120).collect(),
    };
    Some(format!(
        "{key:?} is {}, not {} (of {} keys, {} are expected)",
        shown(found.get(key)),
        shown(expected.get(key)),
        found.len(),
        expected.len()
    ))
}

/// A space as a snapshot has it, by scan and key by key.
pub(crate) fn pairs(
    snapshot: &dyn EngineSnapshot,
    space: Space,
) -> Result<BTreeMap<Bytes, Bytes>, EngineError> {
    let mut pairs = BTreeMap::new();
    let mut last: Option<Bytes> = None;
    for pair in snapshot.scan(space, &KeyRange::all())? {
        let (key, value) = pair?;
        assert!(
            last.as_ref().is_none_or(|last| *last < key),
            "a scan gives {key:?} after {last:?}"
        );
        let got = snapshot.get(space, &key)?;
        assert_eq!(got.as_ref(), Some(&value), "a get and a scan of {key:?} disagree");
        last = Some(key.clone());
        pairs.insert(key, value);
    }
    Ok(pairs)
}

/// Which spaces a commit writes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// All of them.
    Across,
    /// One after the other, so that the order of commits is an order across spaces.
    InTurn,
}

/// An endless sequence of commits, each wholly determined by the seed and its number: puts, overwrites and removes of
/// binary keys, with values from none to 20,000 bytes. Every commit leaves its number in each space it writes to.
#[derive(Clone, Copy, Debug)]
pub struct Commits {
    seed: u64,
    reach: Reach,
}

/// One write of a commit: which of the [spaces](Commits::SPACES), the key, the value or its absence.
pub type PlannedWrite = (usize, Bytes, Option<Bytes>);

/// The key of the number of the last commit that wrote to a space.
const NUMBER: &[u8] = b"\x00number";

impl Commits {
    /// The spaces that are written to.
    pub const SPACES: [&'static str; 3] = ["alpha", "beta", "gamma"];

    /// The commits of this seed.
    pub const fn new(seed: u64, reach: Reach) -> Self {
        Self { seed, reach }
    }

    /// What the commit of this number, from 1, writes: each key of a space once.
    pub fn writes(&self, number: u64) -> Vec<PlannedWrite> {
        let mut random = Random::nth(self.seed, number);
        let mut writes = Vec::new();
        for space in 0..Self::SPACES.len() {
            if self.reach == Reach::InTurn && number % 3 != space as u64 {
                continue;
            }
            let mut keys = BTreeMap::new();
            for _ in 0..=random.below(10) {
                let length = match random.below(20) {
                    0 | 1 => 0,
                    2 => 20_000,
                    _ => random.below(400),
                };
                let value = (!random.percent(25)).then(|| random.bytes(usize::try_from(length).unwrap_or(0)));
                keys.insert(Self::key(random.below(150)), value.map(Bytes::from));
            }
            let number = Bytes::copy_from_slice(&number.to_be_bytes());
            writes.push((space, Bytes::from_static(NUMBER), Some(number)));
            writes.extend(keys.into_iter().map(|(key, value)| (space, key, value)));
        }
        writes
    }

    /// The keys are binary, of different lengths, and some begin others.
    fn key(number: u64) -> Bytes {
        let [.., high, low] = number.to_be_bytes();
        match number % 4 {
            0 => Bytes::from(vec![0xff, high, low]),
            1 => Bytes::from(vec![low]),
            2 => Bytes::from(vec![low - 1, 0]),
            _ => Bytes::from(format!("a.longer.key.that.begins.like.others.{number}")),
        }
    }

    /// Makes the spaces.
    ///
    /// # Errors
    ///
    /// Those of the engine.
    pub fn spaces(engine: &dyn Engine) -> Result<[Space; 3], EngineError> {
        let [a, b, c] = Self::SPACES;
        Ok([engine.space(a)?, engine.space(b)?, engine.space(c)?])
    }

    /// The commit of this number.
    pub fn batch(&self, number: u64, spaces: [Space; 3]) -> WriteBatch {
        let mut batch = WriteBatch::default();
        for (space, key, value) in self.writes(number) {
            match value {
                Some(value) => batch.put(spaces[space], key, value),
                None => batch.remove(spaces[space], key),
            }
        }
        batch
    }

    /// Takes a model from before the commit of this number to after it.
    pub fn advance(&self, content: &mut Content, number: u64) {
        for name in Self::SPACES {
            content.0.entry(name.to_owned()).or_default();
        }
        for (space, key, value) in self.writes(number) {
            let pairs = content.0.entry(Self::SPACES[space].to_owned()).or_default();
            match value {
                Some(value) => pairs.insert(key, value),
                None => pairs.remove(&key),
            };
        }
    }

    /// What an engine holds after the commits up to this number.
    pub fn content_at(&self, number: u64) -> Content {
        let mut content = Content::default();
        (1..=number).for_each(|number| self.advance(&mut content, number));
        content
    }

    /// The highest number that was left in any of the spaces, 0 if there is none.
    pub fn position(content: &Content) -> u64 {
        let number = |name| {
            let bytes = content.0.get(name)?.get(NUMBER)?;
            Some(u64::from_be_bytes(bytes.as_ref().try_into().ok()?))
        };
        Self::SPACES.into_iter().filter_map(number).max().unwrap_or(0)
    }
}
