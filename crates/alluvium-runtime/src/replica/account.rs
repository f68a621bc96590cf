//! Which of the messages that a log holds a table has rows of, a bit each: what the table lacks, and which rows are of nothing.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use alluvium_core::{Holdings, KeyRange, Sequence, Table, TableError, Timestamp};
use bytes::Bytes;

use super::forget::RowAt;

/// How far the first message and the last may lie apart: 32 MiB of bits, twice.
const MOST: u64 = 1 << 28;
/// Rows that are of nothing, and bytes of their keys: with more of them a listing is as cheap.
const MOST_UNTIED: usize = 131_072;
const MOST_UNTIED_BYTES: usize = 16 << 20;
/// Of so many messages one may be lacking. To fetch it takes as many bytes as to list a few.
const ONE_LACKING_OF: u64 = 8;
/// So many may be lacking in any case.
const LEAST_LACKING: u64 = 64;

/// Rows that are no message's that the log holds: the message that each of them was of.
pub(super) type Untied = HashMap<Bytes, (Sequence, Timestamp)>;

/// What a log holds, and what a table has of that.
pub(super) struct Account {
    holdings: Holdings,
    held: Sequences,
    /// Rows that are of a message with a number that the log holds. Whether it is that message is not looked at.
    rows: Sequences,
    /// The other rows.
    untied: Untied,
    newest: Newest,
}

/// The newest rows of a table, in bounded memory.
#[derive(Default)]
struct Newest {
    rows: BinaryHeap<Reverse<RowAt>>,
    bytes: usize,
    /// All rows after this one are there.
    complete_after: Sequence,
}

/// What a table differs in from its log.
pub(super) struct Differences {
    /// Messages of which there is no row. Markers are among them.
    pub(super) lacking: Sequences,
    /// Rows without a message.
    pub(super) untied: Untied,
}

impl Account {
    /// Goes through a table, once. None if that takes too much memory.
    pub(super) fn of(table: &dyn Table, holdings: Holdings) -> Result<Option<Self>, TableError> {
        let bounds = holdings.bounds();
        let (Some(mut held), Some(mut rows)) = (
            Sequences::between(bounds.first, bounds.last),
            Sequences::between(bounds.first, bounds.last),
        ) else {
            return Ok(None);
        };
        held.fill();
        for sequence in holdings.deleted() {
            held.remove(*sequence);
        }
        let (mut untied, mut bytes, mut newest) = (Untied::new(), 0, Newest::default());
        for row in table.snapshot()?.scan(&KeyRange::all())? {
            let (key, entry) = row?;
            if held.contains(entry.sequence) {
                rows.insert(entry.sequence);
                newest.note(&key, entry.sequence, entry.timestamp);
                continue;
            }
            bytes += key.len();
            // A copy: what the engine gives may be a part of something much larger.
            untied.insert(Bytes::copy_from_slice(&key), (entry.sequence, entry.timestamp));
            if is_much(untied.len(), bytes) {
                return Ok(None);
            }
        }
        Ok(Some(Self {
            holdings,
            held,
            rows,
            untied,
            newest,
        }))
    }

    /// What the log held.
    pub(super) fn holdings(&self) -> &Holdings {
        &self.holdings
    }

    /// A row after one sequence and up to another, near the middle; and up to where there is none after it but for those that lie
    /// beyond the middle.
    pub(super) fn near_the_middle(&self, after: Sequence, upto: Sequence) -> Option<(Sequence, Sequence)> {
        let middle = Sequence::new(after.get() + upto.distance_from(after).div_ceil(2));
        if let Some(below) = self.rows.last_within(after, middle) {
            return Some((below, middle));
        }
        let above = self.rows.first_within(middle, upto)?;
        Some((above, above))
    }

    /// The log does not hold this message any more, which says nothing of the row.
    pub(super) fn is_gone(&mut self, sequence: Sequence) {
        self.rows.remove(sequence);
    }

    /// What the table differs in, if all that it has up to `shared` is the log's, and nothing after it. None if that is much.
    pub(super) fn differences(self, shared: Sequence) -> Option<Differences> {
        let Self {
            holdings,
            held,
            rows,
            mut untied,
            newest,
        } = self;
        let lacking = held.without(&rows, shared);
        let most = (holdings.bounds().messages / ONE_LACKING_OF).max(LEAST_LACKING);
        if lacking.len() > most || shared < newest.complete_after {
            return None;
        }
        let after = newest.rows.into_iter().map(|Reverse(row)| row);
        let after = after.filter(|row| row.sequence > shared);
        untied.extend(after.map(|row| (row.key, (row.sequence, row.timestamp))));
        Some(Differences { lacking, untied })
    }
}

impl Newest {
    fn note(&mut self, key: &[u8], sequence: Sequence, timestamp: Timestamp) {
        if sequence <= self.complete_after {
            return;
        }
        self.bytes += key.len();
        self.rows.push(Reverse(RowAt {
            sequence,
            timestamp,
            key: Bytes::copy_from_slice(key),
        }));
        while is_much(self.rows.len(), self.bytes)
            && let Some(Reverse(oldest)) = self.rows.pop()
        {
            self.bytes -= oldest.key.len();
            self.complete_after = oldest.sequence;
        }
    }
}

/// Whether so many rows, with keys of so many bytes, are more than are held one by one.
fn is_much(rows: usize, bytes: usize) -> bool {
    rows > MOST_UNTIED || bytes > MOST_UNTIED_BYTES
}

/// A set of sequences of one stretch of a log.
pub(super) struct Sequences {
    first: Sequence,
    /// How many there could be.
    span: u64,
    words: Vec<u64>,
}

impl Sequences {
    /// None of those from the first to the last. Nothing if those are too many.
    fn between(first: Sequence, last: Sequence) -> Option<Self> {
        let span = last.distance_from(first.previous());
        let words = usize::try_from(span.div_ceil(64)).ok().filter(|_| span <= MOST)?;
        Some(Self {
            first,
            span,
            words: vec![0; words],
        })
    }

    /// Which word, and which bit of it.
    fn place(&self, sequence: Sequence) -> Option<(usize, u64)> {
        let index = sequence
            .get()
            .checked_sub(self.first.get())
            .filter(|index| *index < self.span)?;
        let word = usize::try_from(index / 64).ok()?;
        Some((word, 1 << (index % 64)))
    }

    fn word(&mut self, sequence: Sequence) -> Option<(&mut u64, u64)> {
        let (word, bit) = self.place(sequence)?;
        Some((self.words.get_mut(word)?, bit))
    }

    fn insert(&mut self, sequence: Sequence) {
        if let Some((word, bit)) = self.word(sequence) {
            *word |= bit;
        }
    }

    fn remove(&mut self, sequence: Sequence) {
        if let Some((word, bit)) = self.word(sequence) {
            *word &= !bit;
        }
    }

    fn contains(&self, sequence: Sequence) -> bool {
        let word = |(word, bit): (usize, u64)| self.words.get(word).is_some_and(|word| word & bit != 0);
        self.place(sequence).is_some_and(word)
    }

    /// All of them.
    fn fill(&mut self) {
        self.words.fill(u64::MAX);
        self.cut(self.span);
    }

    /// Removes all but the first so many.
    fn cut(&mut self, span: u64) {
        for (word, begin) in self.words.iter_mut().zip((0_u64..).step_by(64)) {
            let left = span.saturating_sub(begin);
            if left < 64 {
                *word &= (1 << left) - 1;
            }
        }
    }

    /// Those up to a sequence that are not among others of the same stretch.
    fn without(mut self, others: &Self, upto: Sequence) -> Self {
        for (word, other) in self.words.iter_mut().zip(&others.words) {
            *word &= !other;
        }
        self.cut(upto.distance_from(self.first.previous()));
        self
    }

    /// How many they are.
    pub(super) fn len(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// The last one after a sequence and up to another.
    fn last_within(&self, after: Sequence, upto: Sequence) -> Option<Sequence> {
        self.within(after, upto)
            .rev()
            .find_map(|(begin, word)| Some(self.at(begin, word.checked_ilog2()?)))
    }

    /// The first one after a sequence and up to another.
    fn first_within(&self, after: Sequence, upto: Sequence) -> Option<Sequence> {
        self.within(after, upto)
            .find(|(_, word)| *word != 0)
            .map(|(begin, word)| self.at(begin, word.trailing_zeros()))
    }

    fn at(&self, begin: usize, bit: u32) -> Sequence {
        Sequence::new(self.first.get() + begin as u64 * 64 + u64::from(bit))
    }

    /// The words after a sequence and up to another, without what is not, and which each is.
    fn within(&self, after: Sequence, upto: Sequence) -> impl DoubleEndedIterator<Item = (usize, u64)> {
        let before = self.first.previous();
        // From this index on, and up to before that one.
        let low = after.distance_from(before).min(self.span);
        let high = upto.distance_from(before).min(self.span);
        let words = if low < high {
            let word = |index: u64| usize::try_from(index / 64).unwrap_or(usize::MAX);
            word(low)..word(high - 1).saturating_add(1).min(self.words.len())
        } else {
            0..0
        };
        words.map(move |index| {
            let begin = index as u64 * 64;
            let mut word = self.words.get(index).copied().unwrap_or_default();
            if low > begin {
                word &= u64::MAX << (low - begin);
            }
            if high < begin + 64 {
                word &= u64::MAX >> (begin + 64 - high);
            }
            (index, word)
        })
    }

    /// All of them, rising.
    pub(super) fn into_iter(self) -> impl Iterator<Item = Sequence> {
        let mut after = Sequence::ZERO;
        std::iter::from_fn(move || {
            let next = self.first_within(after, Sequence::new(u64::MAX))?;
            after = next;
            Some(next)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn set(first: u64, span: u64, members: &BTreeSet<u64>) -> Sequences {
        let mut set = Sequences::between(Sequence::new(first), Sequence::new(first + span - 1)).unwrap();
        for member in members {
            set.insert(Sequence::new(*member));
        }
        set
    }

    fn numbers(set: Sequences) -> Vec<u64> {
        set.into_iter().map(Sequence::get).collect()
    }

    proptest! {
        #[test]
        fn it_is_a_set(
            first in 1..200_u64,
            span in 1..300_u64,
            members in prop::collection::btree_set(0..600_u64, 0..50),
            others in prop::collection::btree_set(0..600_u64, 0..50),
            (after, upto) in (0..600_u64, 0..600_u64),
        ) {
            let stretch = first..first + span;
            let members: BTreeSet<u64> = members.into_iter().filter(|member| stretch.contains(member)).collect();
            let mut it = set(first, span, &members);
            for number in 0..700 {
                prop_assert_eq!(it.contains(Sequence::new(number)), members.contains(&number));
                // What is no part of the stretch is never there.
                if !stretch.contains(&number) {
                    it.insert(Sequence::new(number));
                }
            }
            let mut within = members.iter().copied().filter(|member| *member > after && *member <= upto);
            let (from, to) = (Sequence::new(after), Sequence::new(upto));
            prop_assert_eq!(it.first_within(from, to).map(Sequence::get), within.clone().next());
            prop_assert_eq!(it.last_within(from, to).map(Sequence::get), within.next_back());
            prop_assert_eq!(it.len(), members.len() as u64);
            let rest: Vec<u64> = members.difference(&others).copied().filter(|member| *member <= upto).collect();
            prop_assert_eq!(numbers(it.without(&set(first, span, &others), to)), rest);
            let mut all = set(first, span, &members);
            all.fill();
            prop_assert_eq!(numbers(all), stretch.collect::<Vec<u64>>());
        }
    }

    #[test]
    fn of_the_newest_rows_so_many_are_there_whatever_their_order() {
        let mut newest = Newest::default();
        let count = 2 * MOST_UNTIED as u64;
        for place in 1..=count {
            // In no order.
            let sequence = Sequence::new(place.wrapping_mul(65_537) % (count + 1));
            newest.note(b"key", sequence, Timestamp::from_nanos(0));
        }
        assert_eq!(newest.complete_after, Sequence::new(count - MOST_UNTIED as u64));
        let oldest = newest.rows.pop().unwrap().0.sequence;
        assert_eq!(oldest, newest.complete_after.next());
        assert_eq!(newest.rows.len(), MOST_UNTIED - 1);
    }

    #[test]
    fn a_stretch_of_nothing_is_empty_and_one_too_long_is_none() {
        let nothing = Sequences::between(Sequence::new(8), Sequence::new(7)).unwrap();
        assert!(!nothing.contains(Sequence::new(8)));
        assert_eq!(
            nothing.first_within(Sequence::ZERO, Sequence::new(u64::MAX)),
            None
        );
        assert!(Sequences::between(Sequence::FIRST, Sequence::new(MOST)).is_some());
        assert!(Sequences::between(Sequence::FIRST, Sequence::new(MOST + 1)).is_none());
    }
}
