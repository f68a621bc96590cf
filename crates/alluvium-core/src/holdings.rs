//! Which messages a log holds, told by those that it does not.

use crate::{Bounds, Sequence};

/// Which messages a log held at one moment: those from the first to the last, but for the deleted ones.
///
/// ```
/// use alluvium_core::{Bounds, Holdings, LogIdentity, Retention, Sequence, Timestamp};
///
/// let bounds = Bounds {
///     log: LogIdentity::new("KV_routes", Timestamp::from_nanos(1)),
///     first: Sequence::new(3),
///     last: Sequence::new(6),
///     messages: 3,
///     bytes: 300,
///     retention: Retention::default(),
/// };
/// let holdings = Holdings::new(bounds, vec![Sequence::new(5)]).expect("three of four are left");
/// let held: Vec<u64> = (0..9).filter(|&sequence| holdings.holds(Sequence::new(sequence))).collect();
/// assert_eq!(held, [3, 4, 6]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holdings {
    bounds: Bounds,
    deleted: Vec<Sequence>,
}

impl Holdings {
    /// The log held what its bounds say, without these messages. None if that does not add up: it is no log's answer then, or one
    /// that tells of two moments.
    pub fn new(bounds: Bounds, mut deleted: Vec<Sequence>) -> Option<Self> {
        deleted.sort_unstable();
        deleted.dedup();
        let within = |sequence: &Sequence| *sequence >= bounds.first && *sequence <= bounds.last;
        let span = bounds.last.distance_from(bounds.first.previous());
        let adds_up = bounds.messages.checked_add(deleted.len() as u64) == Some(span)
            && deleted.first().is_none_or(within)
            && deleted.last().is_none_or(within);
        adds_up.then_some(Self { bounds, deleted })
    }

    /// The bounds at that moment.
    pub fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// What was deleted between the first message and the last, rising.
    pub fn deleted(&self) -> &[Sequence] {
        &self.deleted
    }

    /// Whether the log held the message at this sequence.
    pub fn holds(&self, sequence: Sequence) -> bool {
        sequence >= self.bounds.first
            && sequence <= self.bounds.last
            && self.deleted.binary_search(&sequence).is_err()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LogIdentity, Retention, Timestamp};

    fn holdings(first: u64, last: u64, messages: u64, deleted: &[u64]) -> Option<Holdings> {
        let bounds = Bounds {
            log: LogIdentity::new("l", Timestamp::from_nanos(1)),
            first: Sequence::new(first),
            last: Sequence::new(last),
            messages,
            bytes: messages,
            retention: Retention::default(),
        };
        Holdings::new(bounds, deleted.iter().copied().map(Sequence::new).collect())
    }

    #[test]
    fn what_does_not_add_up_is_no_answer() {
        assert!(holdings(3, 9, 5, &[4, 7]).is_some());
        assert!(holdings(3, 9, 5, &[7, 4]).is_some());
        for (messages, deleted) in [
            (5, &[4][..]),
            (5, &[4, 5, 7]),
            (5, &[4, 4]),
            (5, &[2, 4]),
            (5, &[4, 10]),
            (7, &[4]),
            (8, &[]),
        ] {
            assert_eq!(holdings(3, 9, messages, deleted), None, "{messages} {deleted:?}");
        }
    }

    #[test]
    fn an_empty_log_holds_nothing() {
        for (first, last) in [(1, 0), (10, 9)] {
            let empty = holdings(first, last, 0, &[]).unwrap();
            assert!((0..12).all(|sequence| !empty.holds(Sequence::new(sequence))));
        }
        assert_eq!(holdings(10, 9, 0, &[9]), None);
    }
}
