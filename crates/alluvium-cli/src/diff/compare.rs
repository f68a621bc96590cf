//! Two sides, both in key order, at once.

use std::cmp::Ordering;

use alluvium::{Row, Sequence};
use bytes::Bytes;
use serde_json::Value;

use super::side::Rows;
use crate::bar::Bar;
use crate::error::Failure;
use crate::output::{bytes_field, escaped};

/// After so many keys the bar moves.
const DRAW_EVERY: u64 = 4_096;

/// How a key differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Difference {
    OnlyA,
    OnlyB,
    /// Both have it, with another value, sequence or timestamp.
    Different,
}

impl Difference {
    const ALL: [Self; 3] = [Self::OnlyA, Self::OnlyB, Self::Different];

    const fn as_str(self) -> &'static str {
        match self {
            Self::OnlyA => "only_a",
            Self::OnlyB => "only_b",
            Self::Different => "different",
        }
    }

    const fn in_words(self) -> &'static str {
        match self {
            Self::OnlyA => "only in A",
            Self::OnlyB => "only in B",
            Self::Different => "different",
        }
    }
}

/// A key that differs.
struct Example {
    difference: Difference,
    key: Bytes,
    in_a: Option<Sequence>,
    in_b: Option<Sequence>,
    /// Whether the values are the same, where both have it.
    same_value: bool,
}

/// What came of a comparison.
pub(super) struct Comparison {
    /// Keys that are the same in both.
    pub(super) same: u64,
    /// By [`Difference`], in the order of its variants.
    counts: [u64; 3],
    examples: Vec<Example>,
    max_examples: usize,
}

impl Comparison {
    pub(super) fn new(max_examples: usize) -> Self {
        Self {
            same: 0,
            counts: [0; 3],
            examples: Vec::new(),
            max_examples,
        }
    }

    /// Compares the rows whose keys count. Both come with rising keys.
    pub(super) fn run(
        &mut self,
        mut a: Rows,
        mut b: Rows,
        counts: impl Fn(&[u8]) -> bool,
        bar: &Bar,
    ) -> Result<(), Failure> {
        let next = |rows: &mut Rows| -> Result<Option<Row>, Failure> {
            loop {
                match rows.next().transpose()? {
                    Some(row) if !counts(&row.0) => {}
                    row => return Ok(row),
                }
            }
        };
        let (mut of_a, mut of_b) = (next(&mut a)?, next(&mut b)?);
        let mut seen = 0_u64;
        loop {
            let order = match (&of_a, &of_b) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(a), Some(b)) => a.0.cmp(&b.0),
            };
            let in_a = if order.is_le() { of_a.take() } else { None };
            let in_b = if order.is_ge() { of_b.take() } else { None };
            if order.is_le() {
                of_a = next(&mut a)?;
            }
            if order.is_ge() {
                of_b = next(&mut b)?;
            }
            self.take(in_a.as_ref(), in_b.as_ref());
            seen += 1;
            if seen.is_multiple_of(DRAW_EVERY) {
                bar.advance(DRAW_EVERY);
            }
        }
        Ok(())
    }

    /// What both have for a key.
    fn take(&mut self, in_a: Option<&Row>, in_b: Option<&Row>) {
        let (difference, key) = match (in_a, in_b) {
            (Some(a), Some(b)) if a.1 == b.1 => {
                self.same += 1;
                return;
            }
            (Some((key, _)), Some(_)) => (Difference::Different, key),
            (Some((key, _)), None) => (Difference::OnlyA, key),
            (None, Some((key, _))) => (Difference::OnlyB, key),
            (None, None) => return,
        };
        self.counts[difference as usize] += 1;
        if self.examples.len() < self.max_examples {
            let value = |row: Option<&Row>| row.map(|(_, entry)| entry.value.clone());
            let sequence = |row: Option<&Row>| row.map(|(_, entry)| entry.sequence);
            self.examples.push(Example {
                difference,
                // A copy: what was scanned may be a slice of something large.
                key: Bytes::copy_from_slice(key),
                in_a: sequence(in_a),
                in_b: sequence(in_b),
                same_value: value(in_a) == value(in_b),
            });
        }
    }

    pub(super) fn count(&self, difference: Difference) -> u64 {
        self.counts[difference as usize]
    }

    pub(super) fn is_equal(&self) -> bool {
        self.counts == [0; 3]
    }

    pub(super) fn summary(&self) -> String {
        let counts: Vec<String> = Difference::ALL
            .into_iter()
            .filter(|difference| self.count(*difference) > 0)
            .map(|difference| format!("{} {}", self.count(difference), difference.in_words()))
            .collect();
        let all = self.same + self.counts.iter().sum::<u64>();
        format!("A and B are not equal: of {all} keys {}", counts.join(", "))
    }

    pub(super) fn examples_for_people(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.examples.iter().map(Example::for_people).collect();
        let untold = self.counts.iter().sum::<u64>() - self.examples.len() as u64;
        if untold > 0 && !lines.is_empty() {
            lines.push(format!("… and {untold} more"));
        }
        lines
    }

    pub(super) fn examples_for_programs(&self) -> Vec<Value> {
        self.examples.iter().map(Example::for_programs).collect()
    }
}

impl Example {
    fn for_people(&self) -> String {
        let places: Vec<String> = [("A", self.in_a), ("B", self.in_b)]
            .into_iter()
            .filter_map(|(side, sequence)| Some(format!("{side} at {}", sequence?)))
            .collect();
        let same = if self.same_value { ", the same value" } else { "" };
        format!(
            "{:<9} {} ({}{same})",
            self.difference.in_words(),
            escaped(&self.key),
            places.join(", ")
        )
    }

    fn for_programs(&self) -> Value {
        let mut object = bytes_field("key", &self.key);
        let sequence = |sequence: Option<Sequence>| sequence.map_or(Value::Null, |at| at.get().into());
        object.insert("difference".to_owned(), self.difference.as_str().into());
        object.insert("a_sequence".to_owned(), sequence(self.in_a));
        object.insert("b_sequence".to_owned(), sequence(self.in_b));
        object.insert("same_value".to_owned(), self.same_value.into());
        Value::Object(object)
    }
}
