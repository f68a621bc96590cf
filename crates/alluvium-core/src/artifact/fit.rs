//! Whether an artifact is of any use to a table: a decision without I/O.

use super::ArtifactManifest;
use crate::{Bounds, Cursor, Mode, Scope, Sequence, Timestamp};

/// Everything that the decision rests on.
#[derive(Clone, Copy, Debug)]
pub struct FitInput<'a> {
    /// The name of the log that the table is of.
    pub log: &'a str,
    /// The keys that it holds.
    pub scope: &'a Scope,
    /// What it keeps of what its log forgets.
    pub mode: Mode,
    /// What the log holds. `None` where there is no log to go on from.
    pub bounds: Option<&'a Bounds>,
    /// The timestamp of the message that the log holds at the sequence of the artifact; `None` if it holds none there, or
    /// was not asked.
    pub at_cursor: Option<Timestamp>,
}

/// Why an artifact is of no use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unfit {
    /// It is of another log.
    #[error("the artifact is of {found}, not of {wanted}: use the key of {wanted}")]
    OtherLog {
        /// The log that it is of.
        found: String,
        /// The log of the table.
        wanted: String,
    },
    /// It does not hold all keys that are wanted.
    #[error(
        "the artifact holds the keys {found}, which are not all of {wanted}: use the key of a wider artifact, or a narrower scope"
    )]
    Scope {
        /// The keys that it holds.
        found: Scope,
        /// The keys of the table.
        wanted: Scope,
    },
    /// It is of a table that keeps something else.
    #[error("the artifact is of a table in mode {found}, not {wanted}: use the key of such a table")]
    Mode {
        /// The mode of the table that it is of.
        found: Mode,
        /// The mode of this table.
        wanted: Mode,
    },
    /// The log was deleted and created again since, or before.
    #[error("the artifact is of {log} as it was before it was created again: wait for a newer one")]
    LogReplaced {
        /// The log.
        log: String,
    },
    /// The log ends before it.
    #[error("the artifact is at {artifact} and {log} ends at {last}: the log lost its tail, export again")]
    TailLost {
        /// The log.
        log: String,
        /// Where the artifact is at.
        artifact: Sequence,
        /// The last sequence of the log.
        last: Sequence,
    },
    /// The log has another message where it is at.
    #[error("{log} holds another message at {artifact} than the artifact was made after: export again")]
    HistoryChanged {
        /// The log.
        log: String,
        /// Where the artifact is at.
        artifact: Sequence,
    },
    /// What came after it is gone from the log.
    #[error(
        "the artifact is at {artifact} and {log} begins at {first}: export more often than the log forgets"
    )]
    Overrun {
        /// The log.
        log: String,
        /// Where the artifact is at.
        artifact: Sequence,
        /// The first sequence of the log.
        first: Sequence,
    },
}

/// Decides whether a table can be filled from an artifact, and go on from there.
///
/// # Errors
///
/// Why not.
pub fn check_fit(manifest: &ArtifactManifest, input: &FitInput<'_>) -> Result<(), Unfit> {
    check_facts(&manifest.cursor, &manifest.scope, manifest.mode, input)
}

/// The same, of an artifact of which no more is known.
pub(crate) fn check_facts(
    cursor: &Cursor,
    scope: &Scope,
    mode: Mode,
    input: &FitInput<'_>,
) -> Result<(), Unfit> {
    let log = || cursor.log.name.clone();
    if cursor.log.name != input.log {
        return Err(Unfit::OtherLog {
            found: log(),
            wanted: input.log.to_owned(),
        });
    }
    if !scope.covers(input.scope) {
        return Err(Unfit::Scope {
            found: scope.clone(),
            wanted: input.scope.clone(),
        });
    }
    if mode != input.mode {
        return Err(Unfit::Mode {
            found: mode,
            wanted: input.mode,
        });
    }
    let Some(bounds) = input.bounds else { return Ok(()) };
    let artifact = cursor.sequence;
    if cursor.log != bounds.log {
        return Err(Unfit::LogReplaced { log: log() });
    }
    if artifact > bounds.last {
        return Err(Unfit::TailLost {
            log: log(),
            artifact,
            last: bounds.last,
        });
    }
    if artifact > Sequence::ZERO && input.at_cursor.is_some_and(|found| found != cursor.timestamp) {
        return Err(Unfit::HistoryChanged { log: log(), artifact });
    }
    if artifact.next() < bounds.first {
        return Err(Unfit::Overrun {
            log: log(),
            artifact,
            first: bounds.first,
        });
    }
    Ok(())
}
