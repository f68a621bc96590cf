//! Why a recovery did not succeed.

use std::fmt;
use std::time::Duration;

use alluvium_core::checkpoint::{Mismatch, SourcePosition};
use alluvium_core::{BoxError, CheckpointError, CheckpointId, ErrorKind};

use super::report::RecoveryReport;

/// Why a recovery did not succeed. Whichever it is, every operator has been reset, but for
/// [`NotReset`](RecoveryError::NotReset); sources may stand anywhere.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecoveryError {
    /// The call makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// There was a checkpoint once, and none is left that can be restored.
    #[error(
        "{why}: restore what is damaged from a backup, or remove everything below the prefix to begin with no state\n{report}"
    )]
    Lost {
        /// What is wrong.
        why: String,
        /// What was tried.
        report: Box<RecoveryReport>,
    },
    /// As many older checkpoints were tried as may be, and there are more.
    #[error(
        "the newest checkpoint and {fall_backs} older ones are damaged: restore what is, or allow more fall-backs to go back \
         further\n{report}"
    )]
    TooFar {
        /// How many older ones were tried.
        fall_backs: u32,
        /// What was tried, and what was not.
        report: Box<RecoveryReport>,
    },
    /// The store failed. What it holds may be whole, so nothing older was taken.
    #[error("recovery stopped, for the state may be whole: see to the cause and recover again")]
    Stopped {
        /// What was tried before.
        report: Box<RecoveryReport>,
        /// What the store answered.
        source: CheckpointError,
    },
    /// The time was up.
    #[error(
        "recovery was not done within {limit:?}: see why the store or the operators are slow, or allow more time\n{report}"
    )]
    TimedOut {
        /// How long it was given.
        limit: Duration,
        /// What was tried before.
        report: Box<RecoveryReport>,
    },
    /// The checkpoint is not one of these operators.
    #[error(
        "checkpoint {checkpoint} does not fit the operators ({}): start the program that took it, or allow what may differ",
        listed(mismatches)
    )]
    Operators {
        /// Which one.
        checkpoint: CheckpointId,
        /// Everything that differs.
        mismatches: Vec<Mismatch>,
        /// What was tried before.
        report: Box<RecoveryReport>,
    },
    /// The checkpoint is not one of these sources.
    #[error(
        "checkpoint {checkpoint} does not fit the sources ({}): start the program that took it on sources that still have \
         what comes next, or allow what may differ",
        listed(mismatches)
    )]
    Sources {
        /// Which one.
        checkpoint: CheckpointId,
        /// Everything that differs.
        mismatches: Vec<SourceMismatch>,
        /// What was tried before.
        report: Box<RecoveryReport>,
    },
    /// An operator failed. The bytes that it was given are those that were saved.
    #[error("operator {operator:?} cannot {doing}: mend the operator and recover again")]
    Operator {
        /// Which one.
        operator: String,
        /// What it was to do.
        doing: String,
        /// What was tried before.
        report: Box<RecoveryReport>,
        /// What it returned.
        source: BoxError,
    },
    /// A source failed.
    #[error("source {name:?} cannot {doing}: see to the source and recover again")]
    Source {
        /// Which one.
        name: String,
        /// What it was to do.
        doing: String,
        /// What was tried before.
        report: Box<RecoveryReport>,
        /// What it returned.
        source: BoxError,
    },
    /// An operator could not be reset. What it holds is not a state.
    #[error(
        "recovery failed ({after}), and operator {operator:?} cannot be reset and holds what is no state: start the program \
         again"
    )]
    NotReset {
        /// Which one.
        operator: String,
        /// Why the recovery had failed.
        after: Box<RecoveryError>,
        /// What it returned.
        source: BoxError,
    },
}

impl RecoveryError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Invalid(_) | Self::Operators { .. } | Self::Sources { .. } => ErrorKind::Invalid,
            Self::Lost { .. } | Self::TooFar { .. } => ErrorKind::Corrupt,
            Self::Stopped { source, .. } => source.kind(),
            Self::TimedOut { .. } => ErrorKind::Transient,
            Self::Operator { .. } | Self::Source { .. } | Self::NotReset { .. } => ErrorKind::Unavailable,
        }
    }

    /// What was tried before.
    pub fn report(&self) -> Option<&RecoveryReport> {
        match self {
            Self::Lost { report, .. }
            | Self::TooFar { report, .. }
            | Self::Stopped { report, .. }
            | Self::TimedOut { report, .. }
            | Self::Operators { report, .. }
            | Self::Sources { report, .. }
            | Self::Operator { report, .. }
            | Self::Source { report, .. } => Some(report),
            Self::NotReset { after, .. } => after.report(),
            Self::Invalid(_) => None,
        }
    }
}

/// How the sources of a program differ from those of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SourceMismatch {
    /// The program has it, the checkpoint does not: it would start anywhere.
    Missing {
        /// The source.
        source: String,
    },
    /// The checkpoint has it, the program does not: what it still has would be left out.
    Unknown {
        /// The source.
        source: String,
    },
    /// It cannot go on from where it stood.
    Gone {
        /// The source.
        source: String,
        /// Where it stood.
        position: SourcePosition,
    },
    /// Where it stood is not a position of its kind.
    Unreadable {
        /// The source.
        source: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl fmt::Display for SourceMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { source } => {
                write!(f, "source {source:?} has no position in the checkpoint")
            }
            Self::Unknown { source } => {
                write!(
                    f,
                    "the checkpoint has a position of source {source:?}, which this program does not have"
                )
            }
            Self::Gone { source, position } => {
                write!(f, "source {source:?} cannot go on after {}", Told(position))
            }
            Self::Unreadable { source, reason } => write!(f, "source {source:?}: {reason}"),
        }
    }
}

/// A position, for people.
struct Told<'a>(&'a SourcePosition);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            SourcePosition::JetStream { log, sequence } => {
                write!(
                    f,
                    "sequence {sequence} of log {log}, created at {} ns",
                    log.created.as_nanos()
                )
            }
            SourcePosition::File { path, offset } => write!(f, "byte {offset} of {path}"),
            SourcePosition::Other { kind, offsets } => write!(f, "{kind} {offsets:?}"),
            other => write!(f, "{other:?}"),
        }
    }
}

fn listed<T: fmt::Display>(mismatches: &[T]) -> String {
    let told: Vec<String> = mismatches.iter().map(T::to_string).collect();
    told.join("; ")
}
