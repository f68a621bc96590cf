//! What a log could bring, and what a table should make of it.

use std::collections::BTreeMap;

use alluvium_core::{
    Change, Cursor, DeleteReason, Entry, KeyRange, LogIdentity, Operation, Row, Sequence, TableError,
    TableSnapshot, Timestamp,
};
use bytes::Bytes;

use crate::Random;
use crate::content::difference;

/// A log without an end, each message of it wholly determined by the seed and its number from 1: puts, overwrites,
/// deletes for every reason, keys that come again. Sequences have gaps, as those of a log that has forgotten.
#[derive(Clone, Debug)]
pub struct History {
    seed: u64,
    log: LogIdentity,
}

impl History {
    /// The log of this seed. Those of all seeds have one identity.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            log: LogIdentity::new("KV_conformance", Timestamp::from_nanos(1_700_000_000_000_000_000)),
        }
    }

    /// Whose messages they are.
    pub fn log(&self) -> &LogIdentity {
        &self.log
    }

    /// Where the message of this number stands.
    pub const fn sequence(number: u64) -> Sequence {
        Sequence::new(number + number / 7)
    }

    /// The number of the message at a sequence, 0 at [`Sequence::ZERO`]; `None` in a gap.
    pub fn number(sequence: Sequence) -> Option<u64> {
        let number = sequence.get() - sequence.get() / 8;
        (Self::sequence(number) == sequence).then_some(number)
    }

    fn timestamp(&self, number: u64) -> Timestamp {
        let after = i64::try_from(number)
            .unwrap_or(i64::MAX)
            .saturating_mul(1_000_003);
        Timestamp::from_nanos(self.log.created.as_nanos().saturating_add(after))
    }

    /// The cursor of a state that has applied all messages up to this number.
    pub fn cursor(&self, number: u64) -> Cursor {
        Cursor::start_of(self.log.clone()).at(Self::sequence(number), self.timestamp(number))
    }

    /// What the message of this number does.
    pub fn change(&self, number: u64) -> Change {
        let mut random = Random::nth(self.seed, number);
        let key = Self::key(random.below(80));
        let (sequence, timestamp) = (Self::sequence(number), self.timestamp(number));
        if random.percent(30) {
            let reasons = [
                DeleteReason::Deleted,
                DeleteReason::Purged,
                DeleteReason::Expired,
                DeleteReason::Vanished,
            ];
            return Change::delete(key, reasons[random.index(reasons.len())], sequence, timestamp);
        }
        let length = match random.below(20) {
            0 | 1 => 0,
            2 => 4_000,
            _ => random.index(300),
        };
        Change::put(key, random.bytes(length), sequence, timestamp)
    }

    /// The messages of these numbers.
    pub fn changes(&self, numbers: std::ops::RangeInclusive<u64>) -> Vec<Change> {
        numbers.map(|number| self.change(number)).collect()
    }

    /// Keys as buckets have them, and others that are binary or begin one another.
    pub fn key(number: u64) -> Bytes {
        let [.., low] = number.to_be_bytes();
        match number % 4 {
            0 => Bytes::from(format!("routes.{number}.eu")),
            1 => Bytes::from(format!("routes.{}", number - 1)),
            2 => Bytes::from(vec![low, 0x00, 0xff]),
            _ => Bytes::from(vec![0xff, low]),
        }
    }
}

/// What a table should hold: its rows, the last change of each key, and the cursor.
#[derive(Clone, Debug, Default)]
pub struct TableModel {
    /// The rows by key.
    pub rows: BTreeMap<Bytes, Entry>,
    /// The last change of each key, deletes included.
    pub changes: BTreeMap<Bytes, Change>,
    /// The cursor.
    pub cursor: Option<Cursor>,
}

impl TableModel {
    /// A table that has applied the messages of a history up to this number.
    pub fn of(history: &History, number: u64) -> Self {
        let mut model = Self::default();
        model.advance(history, 0, number);
        model
    }

    /// Applies the messages of a history after one number and up to another.
    pub fn advance(&mut self, history: &History, from: u64, to: u64) {
        (from + 1..=to).for_each(|number| self.apply(&history.change(number)));
        self.cursor = Some(history.cursor(to));
    }

    /// Applies one change.
    pub fn apply(&mut self, change: &Change) {
        match &change.operation {
            Operation::Put(value) => {
                let entry = Entry {
                    value: value.clone(),
                    sequence: change.sequence,
                    timestamp: change.timestamp,
                };
                self.rows.insert(change.key.clone(), entry);
            }
            Operation::Delete(_) => {
                self.rows.remove(&change.key);
            }
        }
        self.changes.insert(change.key.clone(), change.clone());
    }

    /// The last change of each key that changed after a sequence, rising in sequence.
    pub fn changes_since(&self, since: Sequence) -> Vec<Change> {
        let after = self.changes.values().filter(|change| change.sequence > since);
        let mut changes: Vec<Change> = after.cloned().collect();
        changes.sort_by_key(|change| change.sequence);
        changes
    }

    /// The rows, as a load takes them.
    pub fn to_load(&self) -> impl Iterator<Item = Result<Row, alluvium_core::BoxError>> + use<> {
        self.rows.clone().into_iter().map(Ok)
    }

    /// What a view of a table holds other than this, in short; `None` if nothing. Reads it by scan and key by key.
    ///
    /// # Errors
    ///
    /// The first one of the table.
    pub fn difference(&self, found: &dyn TableSnapshot) -> Result<Option<String>, TableError> {
        if found.cursor() != self.cursor {
            return Ok(Some(format!(
                "the cursor is {:?}, not {:?}",
                found.cursor(),
                self.cursor
            )));
        }
        self.difference_in_rows(found)
    }

    /// As [`difference`](Self::difference), the cursor aside.
    ///
    /// # Errors
    ///
    /// The first one of the table.
    pub fn difference_in_rows(&self, found: &dyn TableSnapshot) -> Result<Option<String>, TableError> {
        let rows = rows(found)?;
        Ok(difference(&rows, &self.rows))
    }
}

/// All rows of a view, by scan and key by key.
pub(crate) fn rows(found: &dyn TableSnapshot) -> Result<BTreeMap<Bytes, Entry>, TableError> {
    let mut rows = BTreeMap::new();
    let mut last: Option<Bytes> = None;
    for row in found.scan(&KeyRange::all())? {
        let (key, entry) = row?;
        assert!(
            last.as_ref().is_none_or(|last| *last < key),
            "a scan gives {key:?} after {last:?}"
        );
        assert_eq!(
            found.get(&key)?.as_ref(),
            Some(&entry),
            "a get and a scan of {key:?} disagree"
        );
        last = Some(key.clone());
        rows.insert(key, entry);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_a_sequence_of_its_own_and_the_gaps_have_none() {
        let mut last = Sequence::ZERO;
        for number in 0..1_000 {
            let sequence = History::sequence(number);
            assert!(number == 0 || sequence > last);
            for gap in last.get() + 1..sequence.get() {
                assert_eq!(History::number(Sequence::new(gap)), None);
            }
            assert_eq!(History::number(sequence), Some(number));
            last = sequence;
        }
    }

    #[test]
    fn a_history_puts_overwrites_deletes_and_puts_again() {
        let history = History::new(1);
        let (mut model, mut deleted) = (TableModel::default(), std::collections::BTreeSet::new());
        let (mut overwritten, mut again) = (0, 0);
        for number in 1..=500 {
            let change = history.change(number);
            let put = change.value().is_some();
            overwritten += u32::from(put && model.rows.contains_key(&change.key));
            again += u32::from(put && deleted.contains(&change.key));
            if !put {
                deleted.insert(change.key.clone());
            }
            model.apply(&change);
        }
        assert!(overwritten > 50 && again > 50 && deleted.len() > 30);
    }
}
