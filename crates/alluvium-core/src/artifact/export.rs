//! What to export: a decision without I/O.

use std::fmt;

use super::{ArtifactManifest, Run, Unfit};
use crate::{Cursor, Mode, Scope, Sequence, Timestamp};

/// When deltas become something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExportPolicy {
    /// A new base is exported when the deltas have more than this share of its bytes, in percent; 50 by default.
    pub deltas_percent: u32,
    /// So many runs of a level become one of the next: 8 by default, at least 2. So every change is exported about once more for
    /// each time that the number of exports since the base grows eightfold, and a reader merges few runs.
    pub fold: u32,
}

impl Default for ExportPolicy {
    fn default() -> Self {
        Self {
            deltas_percent: 50,
            fold: 8,
        }
    }
}

impl ExportPolicy {
    /// The same, with this share.
    #[must_use]
    pub fn deltas_percent(mut self, percent: u32) -> Self {
        self.deltas_percent = percent;
        self
    }

    /// The same, with so many runs becoming one.
    #[must_use]
    pub fn fold(mut self, runs: u32) -> Self {
        self.fold = runs;
        self
    }
}

/// Everything that the decision rests on.
#[derive(Clone, Copy, Debug)]
pub struct ExportInput<'a> {
    /// The newest artifact; none if there is none, or none that can be read.
    pub newest: Option<&'a ArtifactManifest>,
    /// Where the table is exact at.
    pub cursor: &'a Cursor,
    /// The keys that it holds.
    pub scope: &'a Scope,
    /// What it keeps of what its log forgets.
    pub mode: Mode,
    /// Whether the table ever saw that its log can evict.
    pub has_evicted: bool,
    /// From where on it has seen all that its log held; `None` if from the beginning, for all that is known.
    pub since: Option<Sequence>,
    /// Since when the table knows what changed.
    pub floor: Option<Sequence>,
    /// The timestamp of the message that the log holds at the sequence of the newest artifact; `None` if it holds none there, or
    /// was not asked.
    pub at_newest: Option<Timestamp>,
    /// When deltas become something else.
    pub policy: ExportPolicy,
}

/// What to export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExportPlan {
    /// The whole table.
    Base(BaseReason),
    /// What changed after a sequence, on top of the first runs of the newest artifact.
    Delta {
        /// How many of its runs are kept, the base included.
        keep: usize,
        /// What changed after this is exported.
        after: Sequence,
        /// The level of the new run.
        level: u32,
    },
    /// Nothing: the newest artifact is at this very cursor.
    Unchanged,
    /// Nothing: the newest artifact is further along.
    Superseded,
    /// Nothing: the newest artifact is of an archive that has seen what this one has not, and would be lost.
    KeepsMore,
    /// Nothing: the key is another table's.
    Refuse(Unfit),
}

/// Why it is the whole table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BaseReason {
    /// There is no artifact, none that can be read, or one of an empty log.
    First,
    /// The newest artifact is of the log as it was before it was created again.
    LogReplaced,
    /// The log has another message where the newest artifact is at.
    HistoryChanged,
    /// The table does not know what changed.
    NotTracked,
    /// What the table knows of changes does not reach back to the newest artifact.
    Trimmed,
    /// The deltas have outgrown their share of the base.
    Outgrown,
    /// The table has seen its log from further back than the newest artifact tells.
    SeenMore,
}

impl fmt::Display for BaseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::First => "there is no artifact to build on",
            Self::LogReplaced => "the log was created again since the newest artifact",
            Self::HistoryChanged => "the log is not the one any more that the newest artifact was made of",
            Self::NotTracked => "the table does not track changes",
            Self::Trimmed => "the table tracks changes only since later than the newest artifact",
            Self::Outgrown => "the deltas have outgrown their share of the base",
            Self::SeenMore => "the table has seen its log from further back than the newest artifact",
        })
    }
}

/// Decides what an export brings: as little as possible on top of the newest artifact.
pub fn plan_export(input: &ExportInput<'_>) -> ExportPlan {
    let Some(newest) = input.newest else {
        return ExportPlan::Base(BaseReason::First);
    };
    let (old, new) = (&newest.cursor, input.cursor);
    if let Some(unfit) = other_table(newest, input) {
        return ExportPlan::Refuse(unfit);
    }
    if old.log.created > new.log.created || (old.log == new.log && old.sequence > new.sequence) {
        return ExportPlan::Superseded;
    }
    if old.log != new.log {
        return ExportPlan::Base(BaseReason::LogReplaced);
    }
    if old.sequence == new.sequence {
        return if old.timestamp == new.timestamp {
            ExportPlan::Unchanged
        } else {
            ExportPlan::Base(BaseReason::HistoryChanged)
        };
    }
    if input.at_newest.is_some_and(|found| found != old.timestamp) {
        return ExportPlan::Base(BaseReason::HistoryChanged);
    }
    if old.sequence == Sequence::ZERO {
        return ExportPlan::Base(BaseReason::First);
    }
    if input.mode == Mode::Archive {
        if newest.has_evicted && (!input.has_evicted || input.since > newest.since) {
            return ExportPlan::KeepsMore;
        }
        if input.since < newest.since {
            return ExportPlan::Base(BaseReason::SeenMore);
        }
    }
    let Some(floor) = input.floor else {
        return ExportPlan::Base(BaseReason::NotTracked);
    };
    if old.sequence < floor {
        return ExportPlan::Base(BaseReason::Trimmed);
    }
    let deltas = newest
        .deltas()
        .iter()
        .map(Run::bytes)
        .fold(0, u64::saturating_add);
    let share = u128::from(newest.base().map_or(0, Run::bytes)) * u128::from(input.policy.deltas_percent);
    if u128::from(deltas) * 100 > share {
        return ExportPlan::Base(BaseReason::Outgrown);
    }
    fold(newest, floor, input.policy)
}

/// In what the newest artifact is not of this table.
fn other_table(newest: &ArtifactManifest, input: &ExportInput<'_>) -> Option<Unfit> {
    let log = &input.cursor.log.name;
    if newest.cursor.log.name != *log {
        return Some(Unfit::OtherLog {
            found: newest.cursor.log.name.clone(),
            wanted: log.clone(),
        });
    }
    if newest.scope != *input.scope {
        return Some(Unfit::Scope {
            found: newest.scope.clone(),
            wanted: input.scope.clone(),
        });
    }
    (newest.mode != input.mode).then_some(Unfit::Mode {
        found: newest.mode,
        wanted: input.mode,
    })
}

/// Which of the last runs become one with what is new.
fn fold(newest: &ArtifactManifest, floor: Sequence, policy: ExportPolicy) -> ExportPlan {
    let many = policy.fold.max(2) as usize;
    let runs = &newest.runs;
    let (mut keep, mut after, mut level) = (runs.len(), newest.cursor.sequence, 0);
    loop {
        let deltas = runs.get(1..keep).unwrap_or_default();
        let alike = deltas.iter().rev().take_while(|run| run.level == level).count();
        let first = keep - alike;
        match runs.get(first) {
            // With the new one they are as many as become one.
            Some(run) if alike + 1 >= many && run.after >= floor => {
                (keep, after, level) = (first, run.after, level + 1);
            }
            _ => return ExportPlan::Delta { keep, after, level },
        }
    }
}

#[cfg(test)]
mod tests;
