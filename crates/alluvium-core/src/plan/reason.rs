//! Why a plan is what it is, in a sentence each; a refusal tells what to do.

use std::fmt;

use crate::Sequence;
use crate::artifact::Unfit;

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
    /// The message at the cursor, or one before, is another one than was applied.
    HistoryChanged,
    /// Messages right after the cursor are gone from the log, and what they deleted cannot be known.
    Overrun,
    /// Messages that were applied are gone from the log, and nothing told so.
    Vanished,
}

/// Why the table is to be replaced by an artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RestoreReason {
    /// The table has nothing yet, and the artifact spares reading, or holds what the log has forgotten.
    Empty,
    /// The table has rows and no cursor, for an earlier reconcile was cut short, and the artifact is at the end of the log.
    Interrupted,
    /// The log was deleted and created again, and the artifact is of the new one.
    LogReplaced,
    /// The log ends before the table's cursor, and holds the message that the artifact ends with.
    TailLost,
    /// The log has another message at the table's cursor, and holds the one that the artifact ends with.
    HistoryChanged,
    /// Messages right after the table's cursor are gone from the log, and the artifact is past them.
    Overrun,
}

/// Why there is no correct way.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefuseReason {
    /// The table is the state of another log.
    OtherLog {
        /// The log it is the state of.
        stored: String,
        /// The log it was to be continued from.
        found: String,
    },
    /// The table is an archive that its log cannot put right, because it has evicted what would be needed, and no artifact
    /// can either.
    Archive {
        /// The log.
        log: String,
        /// What is wrong.
        cause: ReconcileReason,
        /// What of an artifact.
        artifact: Hindrance,
    },
    /// The table has nothing yet, and there is an archive of its log that it cannot begin with.
    OutOfReach {
        /// The log.
        log: String,
        /// What is wrong with the artifact.
        artifact: Unfit,
    },
}

/// Why no artifact helps.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hindrance {
    /// There is none.
    None,
    /// It may be older than some of the rows.
    Behind {
        /// Where it is at.
        artifact: Sequence,
    },
    /// The log does not go on from it, or it is of something else.
    Unfit(Unfit),
    /// The log, which has changed, does not hold the message that the artifact ends with.
    Unconfirmed {
        /// Where it is at.
        artifact: Sequence,
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
            Self::Vanished => "messages that were applied are gone from the log without a trace",
        })
    }
}

impl fmt::Display for RestoreReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the table is empty, and an artifact has what it should hold",
            Self::Interrupted => "an earlier reconcile was cut short, and an artifact is at the end of the log",
            Self::LogReplaced => "the log was deleted and created again, and an artifact is of the new one",
            Self::TailLost => "the log lost its tail, and still holds what an artifact ends with",
            Self::HistoryChanged => {
                "the message at the cursor is not the one that was applied, but the one that an artifact ends with is there"
            }
            Self::Overrun => "messages after the cursor are already gone from the log, and an artifact is past them",
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
            Self::Archive { log, cause, artifact } => write!(
                f,
                "{cause}, and what an archive of {log} must hold cannot be had from {log}, which forgets; {artifact}: export \
                 from a replica that follows the log without a gap and start again, or keep this state directory as it is \
                 and begin a new archive in an empty one"
            ),
            Self::OutOfReach { log, artifact } => write!(
                f,
                "{artifact}; an archive of {log} begun now would have less in it than that artifact: export from a replica \
                 that follows the log without a gap and start again, or use another key"
            ),
        }
    }
}

impl fmt::Display for Hindrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("there is no artifact"),
            Self::Behind { artifact } => write!(
                f,
                "the artifact is at {artifact}, which may be older than some of the rows"
            ),
            Self::Unfit(unfit) => unfit.fmt(f),
            Self::Unconfirmed { artifact } => write!(
                f,
                "the artifact is at {artifact}, and the log does not hold that message any more"
            ),
        }
    }
}
