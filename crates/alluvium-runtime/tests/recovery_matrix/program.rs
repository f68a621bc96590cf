//! A program with state: three operators and a source, that can be checkpointed, and be told from another.

use std::collections::BTreeMap;

use alluvium_core::checkpoint::SourcePosition;
use alluvium_core::{BoxError, LogIdentity, Sequence, Timestamp};
use alluvium_runtime::{Restorable, Seekable};
use async_trait::async_trait;
use bytes::Bytes;

/// One that no path takes as it is, too.
pub(crate) const OPERATORS: [&str; 3] = ["count", "Join/left", "sessions ü"];
pub(crate) const SOURCE: &str = "orders";

/// The content of a partition.
pub(crate) type Partition = BTreeMap<String, u64>;
/// What changed in one: a value, or that the key is gone.
pub(crate) type Changes = BTreeMap<String, Option<u64>>;

/// An operator. A snapshot is all of a partition in JSON; a delta is the keys that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Operator {
    pub(crate) name: &'static str,
    pub(crate) partitions: Vec<Partition>,
    /// Of each partition, how many deltas it was given on its snapshot; `None` before the snapshot.
    given: Vec<Option<usize>>,
}

impl Operator {
    pub(crate) fn empty(name: &'static str, partitions: usize) -> Self {
        Self {
            name,
            partitions: vec![Partition::new(); partitions],
            given: vec![None; partitions],
        }
    }
}

#[async_trait]
impl Restorable for Operator {
    fn id(&self) -> &str {
        self.name
    }

    fn partitions(&self) -> u32 {
        u32::try_from(self.partitions.len()).unwrap()
    }

    async fn reset(&mut self) -> Result<(), BoxError> {
        *self = Self::empty(self.name, self.partitions.len());
        Ok(())
    }

    async fn restore(&mut self, partition: u32, snapshot: Bytes) -> Result<(), BoxError> {
        let partition = partition as usize;
        assert_eq!(self.given[partition], None, "a second snapshot without a reset");
        self.partitions[partition] = serde_json::from_slice(&snapshot)?;
        self.given[partition] = Some(0);
        Ok(())
    }

    async fn apply_delta(&mut self, partition: u32, delta: Bytes) -> Result<(), BoxError> {
        let partition = partition as usize;
        let changes: Changes = serde_json::from_slice(&delta)?;
        let given = self.given[partition].as_mut();
        *given.expect("a delta before the snapshot") += 1;
        apply(&mut self.partitions[partition], &changes);
        Ok(())
    }
}

pub(crate) fn apply(partition: &mut Partition, changes: &Changes) {
    for (key, value) in changes {
        match value {
            Some(value) => drop(partition.insert(key.clone(), *value)),
            None => drop(partition.remove(key)),
        }
    }
}

/// A source that remembers where it was told to go on.
#[derive(Debug, Default)]
pub(crate) struct Source {
    pub(crate) sought: Vec<SourcePosition>,
}

impl Source {
    pub(crate) fn position(sequence: u64) -> SourcePosition {
        SourcePosition::JetStream {
            log: LogIdentity::new("ORDERS", Timestamp::from_nanos(1_700_000_000_000_000_000)),
            sequence: Sequence::new(sequence),
        }
    }
}

#[async_trait]
impl Seekable for Source {
    fn id(&self) -> &str {
        SOURCE
    }

    async fn can_seek(&mut self, _: &SourcePosition) -> Result<bool, BoxError> {
        Ok(true)
    }

    async fn seek(&mut self, position: &SourcePosition) -> Result<(), BoxError> {
        self.sought.push(position.clone());
        Ok(())
    }
}

/// The whole program.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) operators: Vec<Operator>,
    pub(crate) source: Source,
}

impl Program {
    /// One whose operators hold something that has to go.
    pub(crate) fn dirty(partitions: usize) -> Self {
        let dirty = |name| {
            let mut operator = Operator::empty(name, partitions);
            for partition in &mut operator.partitions {
                partition.insert("left over".to_owned(), 1);
            }
            operator.given.fill(Some(9));
            operator
        };
        Self {
            operators: OPERATORS.map(dirty).to_vec(),
            source: Source::default(),
        }
    }

    /// What the operators hold.
    pub(crate) fn state(&self) -> Vec<Vec<Partition>> {
        let partitions = |operator: &Operator| operator.partitions.clone();
        self.operators.iter().map(partitions).collect()
    }
}
