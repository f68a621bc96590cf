//! Several runs as one.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use alluvium_core::ChunkIter;

use crate::{SegmentError, SegmentRow};

/// Rows in key order, read from segments.
pub type Rows = ChunkIter<SegmentRow, SegmentError>;

/// What becomes of the deletes of a merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletes {
    /// They hide what they deleted, and are left out: for a whole table.
    Drop,
    /// They hide what they deleted, and are kept: for runs that go on top of others.
    Keep,
}

/// The rows of several runs in key order, each run in strictly rising key order itself. Of each key the row of the highest
/// sequence counts; where two runs have one of the same sequence, that of the later run.
///
/// It ends after the first error. A run whose keys do not rise gives rows that do not.
pub struct Merge<I, E> {
    runs: Vec<I>,
    /// The next row of each run that has one.
    heads: BinaryHeap<Head>,
    deletes: Deletes,
    /// What comes next, and is the last.
    failed: Option<E>,
}

/// The next row of a run.
struct Head {
    row: SegmentRow,
    run: usize,
}

impl<I, E> Merge<I, E>
where
    I: Iterator<Item = Result<SegmentRow, E>>,
{
    /// Merges runs, the oldest first.
    pub fn new(runs: impl IntoIterator<Item = I>, deletes: Deletes) -> Self {
        let mut merge = Self {
            runs: runs.into_iter().collect(),
            heads: BinaryHeap::new(),
            deletes,
            failed: None,
        };
        for run in 0..merge.runs.len() {
            if let Some(row) = merge.advance(run) {
                merge.heads.push(Head { row, run });
            }
        }
        merge
    }

    /// The next row of a run.
    fn advance(&mut self, run: usize) -> Option<SegmentRow> {
        match self.runs.get_mut(run)?.next()? {
            Ok(row) => Some(row),
            Err(error) => {
                self.failed.get_or_insert(error);
                None
            }
        }
    }

    /// Takes the first of the heads, and puts the next row of its run in its place.
    fn take(&mut self) -> Option<SegmentRow> {
        let run = self.heads.peek()?.run;
        let next = self.advance(run);
        let mut head = self.heads.peek_mut()?;
        match next {
            Some(next) => Some(std::mem::replace(&mut head.row, next)),
            None => Some(PeekMut::pop(head).row),
        }
    }
}

impl<I, E> Iterator for Merge<I, E>
where
    I: Iterator<Item = Result<SegmentRow, E>>,
{
    type Item = Result<SegmentRow, E>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(error) = self.failed.take() {
                // What comes after cannot be known.
                self.heads.clear();
                return Some(Err(error));
            }
            let row = self.take()?;
            while self.heads.peek().is_some_and(|head| head.row.key == row.key) {
                drop(self.take());
            }
            if self.failed.is_some() {
                // Of this key there may have been a newer one.
                continue;
            }
            if row.value.is_some() || self.deletes == Deletes::Keep {
                return Some(Ok(row));
            }
        }
    }
}

impl<I, E> std::fmt::Debug for Merge<I, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Merge").finish_non_exhaustive()
    }
}

impl Ord for Head {
    /// The greatest comes first: that of the lowest key, and of one key the newest.
    fn cmp(&self, other: &Self) -> Ordering {
        let key = other.row.key.cmp(&self.row.key);
        key.then_with(|| (self.row.sequence, self.run).cmp(&(other.row.sequence, other.run)))
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Head {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use alluvium_core::{Sequence, Timestamp};
    use proptest::prelude::*;

    use super::*;

    fn row(key: u8, sequence: u64, value: Option<u8>) -> SegmentRow {
        SegmentRow {
            key: vec![key].into(),
            sequence: Sequence::new(sequence),
            timestamp: Timestamp::from_nanos(0),
            value: value.map(|value| vec![value].into()),
        }
    }

    proptest! {
        #[test]
        fn a_merge_is_what_a_map_makes_of_it(
            runs in prop::collection::vec(
                prop::collection::btree_map(0_u8..12, (0_u64..6, prop::option::of(any::<u8>())), 0..10), 0..6,
            ),
            keep in any::<bool>(),
        ) {
            let mut model: BTreeMap<u8, (u64, Option<u8>)> = BTreeMap::new();
            for run in &runs {
                for (key, (sequence, value)) in run {
                    let there = model.entry(*key).or_insert((*sequence, *value));
                    if there.0 <= *sequence {
                        *there = (*sequence, *value);
                    }
                }
            }
            let expected: Vec<_> = model
                .into_iter()
                .filter(|(_, (_, value))| keep || value.is_some())
                .map(|(key, (sequence, value))| row(key, sequence, value))
                .collect();
            let runs = runs.into_iter().map(|run| {
                run.into_iter().map(|(key, (sequence, value))| Ok::<_, ()>(row(key, sequence, value)))
            });
            let deletes = if keep { Deletes::Keep } else { Deletes::Drop };
            let merged: Result<Vec<_>, ()> = Merge::new(runs, deletes).collect();
            prop_assert_eq!(merged.unwrap(), expected);
        }
    }

    #[test]
    fn an_error_ends_it_before_any_row_that_may_be_wrong() {
        let old = vec![
            Ok(row(1, 1, Some(1))),
            Ok(row(2, 1, Some(1))),
            Ok(row(3, 1, Some(1))),
        ];
        let new = vec![Ok(row(1, 2, Some(2))), Err("gone")];
        let merged: Vec<_> = Merge::new([old.into_iter(), new.into_iter()], Deletes::Drop).collect();
        assert_eq!(merged, [Err("gone")]);
        let old = vec![Ok(row(1, 1, Some(1))), Ok(row(2, 1, Some(1)))];
        let new = vec![Ok(row(3, 2, Some(2))), Err("gone")];
        let merged: Vec<_> = Merge::new([old.into_iter(), new.into_iter()], Deletes::Drop).collect();
        assert_eq!(
            merged,
            [Ok(row(1, 1, Some(1))), Ok(row(2, 1, Some(1))), Err("gone")]
        );
    }
}
