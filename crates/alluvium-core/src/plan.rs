//! What to do when a table and a log meet: a pure decision, made before the first message is applied.
//!
//! A NATS server does not say when a position means nothing: a start below the first sequence is moved up
//! silently, one above the last waits for ever, and a recreated stream counts from 1 again. [`plan`] finds all of
//! that from what is known beforehand, and says what is right.

use std::fmt;

use crate::{Bounds, Cursor, Sequence, Timestamp};

/// Everything the decision rests on.
#[derive(Clone, Copy, Debug)]
pub struct PlanInput<'a> {
    /// The name of the log that the table is bound to, if it is bound.
    pub bound_to: Option<&'a str>,
    /// The table's cursor.
    pub cursor: Option<&'a Cursor>,
    /// Whether the table holds any row.
    pub has_rows: bool,
    /// What the log holds.
    pub bounds: &'a Bounds,
    /// The timestamp of the message that the log holds at the cursor's sequence; `None` if it holds none there.
    pub at_cursor: Option<Timestamp>,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Read on from here: everything before it has been applied, and nothing was lost in between.
    Resume {
        /// The first sequence to read.
        from: Sequence,
    },
    /// List what the log holds now, apply the differences, delete what is gone, then read on.
    Reconcile(ReconcileReason),
    /// There is no correct way.
    Refuse(RefuseReason),
}

/// Why reading on would be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReconcileReason {
    /// The table has rows and no cursor: an earlier reconcile was cut short.
    Interrupted,
    /// The log was deleted and created again.
    LogReplaced,
    /// The log ends before the cursor.
    TailLost,
    /// The message at the cursor is another one than was applied.
    HistoryChanged,
    /// Messages right after the cursor are gone from the log, and what they deleted cannot be known.
    Overrun,
}

/// Why there is no correct way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefuseReason {
    /// The table is the state of another log.
    OtherLog {
        /// The log it is the state of.
        stored: String,
        /// The log it was to be continued from.
        found: String,
    },
}

impl fmt::Display for ReconcileReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Interrupted => "an earlier reconcile was cut short",
            Self::LogReplaced => "the log was deleted and created again",
            Self::TailLost => "the log ends before the cursor: it lost its tail",
            Self::HistoryChanged => "the message at the cursor is not the one that was applied",
            Self::Overrun => "messages after the cursor are already gone from the log",
        })
    }
}

impl fmt::Display for RefuseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherLog { stored, found } => {
                write!(
                    f,
                    "the state is of {stored}, not of {found}: use another state directory"
                )
            }
        }
    }
}

/// Decides how a table continues from a log.
///
/// ```
/// use alluvium_core::{Bounds, Cursor, LogIdentity, Plan, PlanInput, ReconcileReason, Retention, Sequence, Timestamp, plan};
///
/// let log = LogIdentity::new("KV_routes", Timestamp::from_nanos(1));
/// let bounds = Bounds {
///     log: log.clone(),
///     first: Sequence::new(10),
///     last: Sequence::new(20),
///     messages: 11,
///     bytes: 1_100,
///     retention: Retention::default(),
/// };
/// let cursor = Cursor::start_of(log).at(Sequence::new(25), Timestamp::from_nanos(2));
/// let input =
///     PlanInput { bound_to: Some("KV_routes"), cursor: Some(&cursor), has_rows: true, bounds: &bounds, at_cursor: None };
/// assert_eq!(plan(&input), Plan::Reconcile(ReconcileReason::TailLost));
/// ```
pub fn plan(input: &PlanInput<'_>) -> Plan {
    let bounds = input.bounds;
    let bound_to = input
        .bound_to
        .or(input.cursor.map(|cursor| cursor.log.name.as_str()));
    if let Some(stored) = bound_to.filter(|stored| *stored != bounds.log.name) {
        return Plan::Refuse(RefuseReason::OtherLog {
            stored: stored.to_owned(),
            found: bounds.log.name.clone(),
        });
    }
    let Some(cursor) = input.cursor else {
        return if input.has_rows {
            Plan::Reconcile(ReconcileReason::Interrupted)
        } else {
            Plan::Resume {
                from: bounds.first.max(Sequence::FIRST),
            }
        };
    };
    if cursor.log != bounds.log {
        return Plan::Reconcile(ReconcileReason::LogReplaced);
    }
    if cursor.sequence > bounds.last {
        return Plan::Reconcile(ReconcileReason::TailLost);
    }
    if cursor.sequence > Sequence::ZERO && input.at_cursor.is_some_and(|found| found != cursor.timestamp) {
        return Plan::Reconcile(ReconcileReason::HistoryChanged);
    }
    // A table without a row has nothing that a lost marker could have deleted.
    if cursor.sequence.next() < bounds.first && input.has_rows {
        return Plan::Reconcile(ReconcileReason::Overrun);
    }
    Plan::Resume {
        from: cursor.sequence.next().max(bounds.first),
    }
}

#[cfg(test)]
mod tests;
