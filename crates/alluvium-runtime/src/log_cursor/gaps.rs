//! What a cursor did not get to see.
//!
//! Sequences are missing from a log where single messages were removed, and before its first one where retention or a purge
//! took everything. A scope that is not everything hides messages too, and a hole among those that are given does not say
//! which of the two it is. So:
//!
//! - In the scope of everything each hole is told, and is certain.
//! - In any other scope a hole is told only as far as the log has no message there any more, whatever its key, and only
//!   where the reader was behind; else the log itself has vouched for it. Whether any of those messages was in scope
//!   nobody knows any more: it is not certain.

use std::collections::VecDeque;
use std::fmt;

use alluvium_core::{ReconcileReason, Sequence};

/// Why messages are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GapReason {
    /// One by one, amid what the log still holds: deleted, purged by subject, expired by a time to live of their own, or
    /// replaced by newer ones of their key under a limit of history.
    Removed,
    /// Everything up to there is gone: retention took it, or a purge.
    Evicted,
    /// The log was deleted and created again.
    LogReplaced,
    /// The log lost its tail, and with it whatever came after the position.
    TailLost,
    /// The log has another history than the one that was given.
    HistoryChanged,
    /// The log did not answer when it was asked.
    Unknown,
}

/// A run of sequences of which no message was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The first of them.
    pub first: Sequence,
    /// The last of them; `None` where nobody can know, for the log that had them is gone.
    pub last: Option<Sequence>,
    /// Why.
    pub reason: GapReason,
    /// Whether it is certain that the scope would have wanted them.
    pub certain: bool,
}

/// A place in a log where something is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The sequence that would have come next.
    pub expected: Sequence,
    /// The one that came instead; `None` if none had when it was found.
    pub delivered: Option<Sequence>,
    /// What is missing in between, rising.
    pub missing: Vec<Missing>,
}

/// The gaps that were found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gaps {
    /// The newest ones, the oldest of them first.
    pub gaps: Vec<Gap>,
    /// How many older ones there was no room for.
    pub dropped: u64,
}

impl fmt::Display for GapReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Removed => "removed",
            Self::Evicted => "evicted",
            Self::LogReplaced => "the log was replaced",
            Self::TailLost => "the log lost its tail",
            Self::HistoryChanged => "the log has another history",
            Self::Unknown => "gone, the log does not say why",
        })
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}", self.expected)?;
        if let Some(delivered) = self.delivered {
            write!(f, ", got {delivered}")?;
        }
        for (index, missing) in self.missing.iter().enumerate() {
            f.write_str(if index == 0 { ": " } else { ", " })?;
            match missing.last {
                Some(last) => write!(f, "{} to {last} ", missing.first)?,
                None => write!(f, "from {} on ", missing.first)?,
            }
            write!(f, "({}", missing.reason)?;
            f.write_str(if missing.certain {
                ")"
            } else {
                "; perhaps none in scope)"
            })?;
        }
        Ok(())
    }
}

impl GapReason {
    pub(super) fn of(reason: ReconcileReason) -> Self {
        match reason {
            ReconcileReason::LogReplaced => Self::LogReplaced,
            ReconcileReason::TailLost => Self::TailLost,
            ReconcileReason::HistoryChanged => Self::HistoryChanged,
            ReconcileReason::Overrun => Self::Evicted,
            _ => Self::Unknown,
        }
    }
}

/// A run of sequences that did not come, not explained yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hole {
    pub(super) first: Sequence,
    pub(super) last: Sequence,
    pub(super) delivered: Option<Sequence>,
}

impl Hole {
    /// What the hole is, if the log's first message is that one now; `None` if it is nothing but the filter's, as far as
    /// anybody can tell. The first message never goes back, so what was evicted meanwhile is taken for evicted before.
    pub(super) fn explain(self, log_first: Option<Sequence>, everything: bool) -> Option<Gap> {
        let mut missing = Vec::new();
        let mut add = |first: Sequence, last: Sequence, reason| {
            if first <= last {
                missing.push(Missing {
                    first,
                    last: Some(last),
                    reason,
                    certain: everything,
                });
            }
        };
        match log_first {
            Some(log_first) => {
                add(
                    self.first,
                    self.last.min(log_first.previous()),
                    GapReason::Evicted,
                );
                if everything {
                    add(self.first.max(log_first), self.last, GapReason::Removed);
                }
            }
            None if everything => add(self.first, self.last, GapReason::Unknown),
            None => {}
        }
        (!missing.is_empty()).then_some(Gap {
            expected: self.first,
            delivered: self.delivered,
            missing,
        })
    }
}

/// The newest gaps.
#[derive(Debug)]
pub(super) struct GapBuffer {
    gaps: VecDeque<Gap>,
    max: usize,
    dropped: u64,
}

impl GapBuffer {
    pub(super) fn new(max: usize) -> Self {
        Self {
            gaps: VecDeque::new(),
            max,
            dropped: 0,
        }
    }

    pub(super) fn push(&mut self, gap: Gap) {
        self.gaps.push_back(gap);
        while self.gaps.len() > self.max {
            self.gaps.pop_front();
            self.dropped = self.dropped.saturating_add(1);
        }
    }

    pub(super) fn take(&mut self) -> Gaps {
        Gaps {
            gaps: std::mem::take(&mut self.gaps).into(),
            dropped: std::mem::take(&mut self.dropped),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(number: u64) -> Sequence {
        Sequence::new(number)
    }

    /// Every hole in a small log, with every first message of it: what is told lies in the hole, without overlap, evicted
    /// before the first message and removed after it, and nothing that is the filter's is told.
    #[test]
    fn every_hole_is_explained() {
        for (first, last, log_first) in (1..6).flat_map(|first| {
            (first..6).flat_map(move |last| (1..8).map(move |log_first| (first, last, log_first)))
        }) {
            let hole = Hole {
                first: sequence(first),
                last: sequence(last),
                delivered: Some(sequence(last + 1)),
            };
            for everything in [true, false] {
                let gap = hole.explain(Some(sequence(log_first)), everything);
                let told: Vec<(u64, GapReason)> = gap
                    .iter()
                    .flat_map(|gap| &gap.missing)
                    .flat_map(|missing| {
                        assert_eq!(missing.certain, everything);
                        let last = missing.last.unwrap().get();
                        (missing.first.get()..=last).map(|number| (number, missing.reason))
                    })
                    .collect();
                let expected: Vec<(u64, GapReason)> = (first..=last)
                    .filter_map(|number| {
                        if number < log_first {
                            return Some((number, GapReason::Evicted));
                        }
                        everything.then_some((number, GapReason::Removed))
                    })
                    .collect();
                assert_eq!(told, expected, "{hole:?} of a log from {log_first} on");
            }
        }
    }

    #[test]
    fn the_oldest_go_and_are_counted() {
        let gap = |number| Gap {
            expected: sequence(number),
            delivered: None,
            missing: Vec::new(),
        };
        let mut buffer = GapBuffer::new(2);
        for number in 1..=5 {
            buffer.push(gap(number));
        }
        let taken = buffer.take();
        assert_eq!((taken.gaps, taken.dropped), (vec![gap(4), gap(5)], 3));
        assert_eq!(buffer.take(), Gaps::default());
    }
}
