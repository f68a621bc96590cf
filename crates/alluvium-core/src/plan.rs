//! What to do when a table and a log meet: a pure decision, made before the first message is applied, and again whenever
//! the log overruns a running reader, is replaced under it or loses its tail.
//!
//! A NATS server does not say when a position means nothing: a start below the first sequence is moved up
//! silently, one above the last waits for ever, and a recreated stream counts from 1 again. [`plan`] finds all of
//! that from what is known beforehand, and says what leads to the truth of the table's [`Mode`]:
//!
//! - In [`Mode::Mirror`] that is what the log holds now, so listing it is always right.
//! - In [`Mode::Archive`] it is every write minus every real delete. What the log holds tells that only while nothing
//!   was ever evicted. Once something may have been, only who has read everything knows it: the table itself up to its
//!   cursor, or an artifact.
//!
//! ```text
//!  found of the table                mirror, or an archive whose        archive whose log may
//!                                    log never evicts                   have evicted
//!  ───────────────────────────────   ────────────────────────────────   ─────────────────────────────────────
//!  nothing: no row, no cursor        restore if that helps¹, or resume  restore; resume if there is no artifact
//!                                                                       of this archive, refuse if there is one
//!                                                                       that the log does not go on from
//!  a cursor that the log goes on     resume                             resume
//!  from
//!  the same, but rows have vanished  reconcile                          resume: what is evicted stays
//!  the log begins after it           restore if that helps¹, or         restore, or refuse
//!                                    reconcile; resume without a row
//!  the log ends before it, or has    reconcile                          restore from an artifact that the log
//!  another message there                                                confirms, or refuse
//!  it is of the log before it was    reconcile; restore without a row   restore, or refuse; without a row
//!  created again                     if that helps¹                     as nothing, by a reconcile
//!  rows and no cursor                reconcile                          restore what is at the end of the log,
//!                                                                       or refuse
//!
//!  ¹ it holds something that the log does not, or spares reading what the log does
//! ```
//!
//! What nobody can find from here: that a log lost its tail and was written again past the cursor, if neither the message at the
//! cursor's sequence nor one of those before is there to be compared; and, in an archive, a message that came after the cursor and
//! expired by a time to live of its own before it was read.

mod reason;

use std::cmp;

use crate::artifact::{ArtifactManifest, FitInput, Unfit, check_facts};
use crate::{Bounds, Cursor, Mode, Retention, Scope, Sequence, Timestamp};

pub use self::reason::{Hindrance, ReconcileReason, RefuseReason, RestoreReason};

/// Everything the decision rests on.
#[derive(Clone, Copy, Debug)]
pub struct PlanInput<'a> {
    /// The name of the log that the table is bound to, if it is bound.
    pub bound_to: Option<&'a str>,
    /// The keys that the table holds.
    pub scope: &'a Scope,
    /// What the table keeps of what its log forgets.
    pub mode: Mode,
    /// The table's cursor.
    pub cursor: Option<&'a Cursor>,
    /// Whether the table holds any row.
    pub has_rows: bool,
    /// Whether the table ever saw that its log can evict the latest message of a key
    /// ([`Retention::evicts_latest`]), or was filled from an artifact of such a table. A table remembers that for ever,
    /// also when eviction was switched off again.
    pub has_evicted: bool,
    /// Whether it was found, by the log's count of messages or in another way, that messages which the table has
    /// applied are gone without a newer one of the same key. `false` where nobody has looked.
    pub vanished: bool,
    /// What the log holds.
    pub bounds: &'a Bounds,
    /// The timestamp of the message that the log holds at the cursor's sequence; `None` if it holds none there, unless it holds
    /// another one in the place of one that was applied before: then of that.
    pub at_cursor: Option<Timestamp>,
    /// The newest artifact. `None` if there is none, or none is to be used.
    pub newest: Option<NewestArtifact<'a>>,
}

/// What is known of the newest artifact before anything of it is fetched.
#[derive(Clone, Copy, Debug)]
pub struct NewestArtifact<'a> {
    /// Where the table was exact at that it is of.
    pub cursor: &'a Cursor,
    /// The keys that it holds.
    pub scope: &'a Scope,
    /// What its table kept of what the log forgot.
    pub mode: Mode,
    /// Whether its table had seen that the log can evict, which a table that shares the artifacts then remembers as well. `true`
    /// where that is not known.
    pub has_evicted: bool,
    /// The timestamp of the message that the log holds at the artifact's sequence; `None` if it holds none there.
    pub at_cursor: Option<Timestamp>,
}

impl<'a> NewestArtifact<'a> {
    /// What a manifest tells, and the log of the message at its cursor.
    pub fn new(manifest: &'a ArtifactManifest, at_cursor: Option<Timestamp>) -> Self {
        Self {
            cursor: &manifest.cursor,
            scope: &manifest.scope,
            mode: manifest.mode,
            has_evicted: manifest.has_evicted,
            at_cursor,
        }
    }
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Read on from here: everything before it has been applied, and nothing was lost in between.
    ///
    /// In [`Mode::Mirror`], rows whose sequence is below the first one of the log are gone from it. They are deleted as
    /// soon as the table has come to the end that the log had when its first sequence was asked for, and not before: a
    /// newer message of the same key may be on its way.
    Resume {
        /// The first sequence to read.
        from: Sequence,
    },
    /// List what the log holds now, apply the differences, delete what is gone, then read on.
    ///
    /// What was not listed is deleted only if [`unlisted_is_deleted`] still says so when the listing is complete.
    Reconcile(ReconcileReason),
    /// Replace the table by this artifact, then decide anew.
    ///
    /// Decide anew before that, too, once everything is fetched: only what is still the plan then is done. In [`Mode::Mirror`],
    /// rows whose sequence is below the first one of the log are left out. The table remembers that its log evicts if
    /// the table that the artifact is of did, or if that is not known.
    Restore {
        /// Why.
        reason: RestoreReason,
        /// Where the artifact is at. Another one, even of the same key, needs another decision.
        artifact: Cursor,
    },
    /// There is no correct way. The table is left as it is.
    Refuse(RefuseReason),
}

/// Whether a key that is not among what the log lists was deleted, rather than evicted perhaps. To be asked when the listing
/// is complete, with what the log may evict then, and with what the table remembers.
///
/// ```
/// use alluvium_core::{Mode, Retention, unlisted_is_deleted};
///
/// let forgets = Retention { max_messages: Some(1_000), ..Retention::default() };
/// assert!(unlisted_is_deleted(Mode::Mirror, true, &forgets));
/// assert!(unlisted_is_deleted(Mode::Archive, false, &Retention::default()));
/// assert!(!unlisted_is_deleted(Mode::Archive, false, &forgets));
/// assert!(!unlisted_is_deleted(Mode::Archive, true, &Retention::default()));
/// ```
pub fn unlisted_is_deleted(mode: Mode, has_evicted: bool, retention: &Retention) -> bool {
    match mode {
        Mode::Mirror => true,
        Mode::Archive => !has_evicted && !retention.evicts_latest(),
    }
}

/// Decides how a table continues from a log.
///
/// ```
/// use alluvium_core::{
///     Bounds, Cursor, LogIdentity, Mode, Plan, PlanInput, ReconcileReason, Retention, Scope, Sequence, Timestamp, plan,
/// };
///
/// let log = LogIdentity::new("KV_routes", Timestamp::from_nanos(1));
/// let bounds = Bounds {
///     log: log.clone(),
///     first: Sequence::new(10),
///     last: Sequence::new(20),
///     messages: 11,
///     bytes: 1_100,
///     retention: Retention { max_bytes: Some(1 << 20), ..Retention::default() },
/// };
/// let cursor = Cursor::start_of(log).at(Sequence::new(25), Timestamp::from_nanos(2));
/// let mirror = PlanInput {
///     bound_to: Some("KV_routes"),
///     scope: &Scope::all(),
///     mode: Mode::Mirror,
///     cursor: Some(&cursor),
///     has_rows: true,
///     has_evicted: true,
///     vanished: false,
///     bounds: &bounds,
///     at_cursor: None,
///     newest: None,
/// };
/// assert_eq!(plan(&mirror), Plan::Reconcile(ReconcileReason::TailLost));
///
/// // What an archive keeps, the log does not have.
/// let archive = PlanInput { mode: Mode::Archive, ..mirror };
/// assert!(matches!(plan(&archive), Plan::Refuse(_)));
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
    match Standing::of(input) {
        Standing::Nothing => begin(
            input,
            Plan::Resume {
                from: from_first(bounds),
            },
        ),
        Standing::GoesOn(cursor) => Plan::Resume {
            from: cmp::max(cursor.sequence.next(), bounds.first),
        },
        Standing::Broken(cause) if listing_is_truth(input) => mend_by_log(input, cause),
        Standing::Broken(cause) => mend_by_artifact(input, cause),
    }
}

/// How a table stands to a log of its name.
enum Standing<'a> {
    /// It has nothing of it.
    Nothing,
    /// It is exact at a position that the log goes on from.
    GoesOn(&'a Cursor),
    /// It is not, or the log does not.
    Broken(ReconcileReason),
}

impl<'a> Standing<'a> {
    fn of(input: &PlanInput<'a>) -> Self {
        let bounds = input.bounds;
        let Some(cursor) = input.cursor else {
            return if input.has_rows {
                Self::Broken(ReconcileReason::Interrupted)
            } else {
                Self::Nothing
            };
        };
        if cursor.log != bounds.log {
            return Self::Broken(ReconcileReason::LogReplaced);
        }
        if cursor.sequence > bounds.last {
            return Self::Broken(ReconcileReason::TailLost);
        }
        if cursor.sequence > Sequence::ZERO && input.at_cursor.is_some_and(|found| found != cursor.timestamp)
        {
            return Self::Broken(ReconcileReason::HistoryChanged);
        }
        if cursor.sequence.next() < bounds.first {
            return Self::Broken(ReconcileReason::Overrun);
        }
        // An archive of a log that evicts keeps what vanishes.
        if input.vanished && input.has_rows && listing_is_truth(input) {
            return Self::Broken(ReconcileReason::Vanished);
        }
        Self::GoesOn(cursor)
    }
}

/// For a table that has nothing of the log: `or_else`, unless there is an artifact to begin with.
fn begin(input: &PlanInput<'_>, or_else: Plan) -> Plan {
    let Some(newest) = &input.newest else {
        return or_else;
    };
    match fit(input, newest) {
        Ok(()) if helps(input, newest) => restore(RestoreReason::Empty, newest),
        // There is an archive, and a table begun beside it would take its place with less in it.
        Err(artifact) if is_of_this_log(&artifact) && keeps_more(input, newest) => {
            Plan::Refuse(RefuseReason::OutOfReach {
                log: input.bounds.log.name.clone(),
                artifact,
            })
        }
        Ok(()) | Err(_) => or_else,
    }
}

/// For a table that is not what it should be, where what the log lists is the truth.
fn mend_by_log(input: &PlanInput<'_>, cause: ReconcileReason) -> Plan {
    let reconcile = Plan::Reconcile(cause);
    match cause {
        ReconcileReason::LogReplaced if !input.has_rows => begin(input, reconcile),
        ReconcileReason::Overrun => match &input.newest {
            // Its cursor is ahead of the table's, because the log goes on from it.
            Some(newest) if fit(input, newest).is_ok() && helps(input, newest) => {
                restore(RestoreReason::Overrun, newest)
            }
            // A table without a row has nothing that a lost marker could have deleted.
            Some(_) | None if !input.has_rows => Plan::Resume {
                from: from_first(input.bounds),
            },
            Some(_) | None => reconcile,
        },
        // What a reconcile has left that was cut short may be newer than an artifact, and keys would go back.
        ReconcileReason::Interrupted
        // What the log lost, the artifact may have.
        | ReconcileReason::TailLost
        | ReconcileReason::HistoryChanged
        // Less is gone than an artifact would bring.
        | ReconcileReason::LogReplaced
        | ReconcileReason::Vanished => reconcile,
    }
}

/// For an archive that is not what it should be, and whose log does not tell what that is.
fn mend_by_artifact(input: &PlanInput<'_>, cause: ReconcileReason) -> Plan {
    let reason = match cause {
        ReconcileReason::LogReplaced if !input.has_rows => {
            return begin(input, Plan::Reconcile(cause));
        }
        ReconcileReason::Interrupted => RestoreReason::Interrupted,
        ReconcileReason::LogReplaced => RestoreReason::LogReplaced,
        ReconcileReason::TailLost => RestoreReason::TailLost,
        ReconcileReason::HistoryChanged => RestoreReason::HistoryChanged,
        ReconcileReason::Overrun => RestoreReason::Overrun,
        // Where the log does not tell the truth, this is no finding.
        ReconcileReason::Vanished => return refuse(input, cause, Hindrance::None),
    };
    let Some(newest) = &input.newest else {
        return refuse(input, cause, Hindrance::None);
    };
    if let Err(unfit) = fit(input, newest) {
        return refuse(input, cause, Hindrance::Unfit(unfit));
    }
    let artifact = newest.cursor.sequence;
    // What a reconcile has left that was cut short may be newer than the artifact, and keys would go back.
    if cause == ReconcileReason::Interrupted && artifact < input.bounds.last {
        return refuse(input, cause, Hindrance::Behind { artifact });
    }
    // The log has changed behind the table. That it did not do so behind the artifact is to be seen.
    let changed = matches!(cause, ReconcileReason::TailLost | ReconcileReason::HistoryChanged);
    if changed && artifact > Sequence::ZERO && newest.at_cursor.is_none() {
        return refuse(input, cause, Hindrance::Unconfirmed { artifact });
    }
    restore(reason, newest)
}

/// Whether the log goes on from an artifact that can be the table's.
fn fit(input: &PlanInput<'_>, newest: &NewestArtifact<'_>) -> Result<(), Unfit> {
    let wanted = FitInput {
        log: &input.bounds.log.name,
        scope: input.scope,
        mode: input.mode,
        bounds: Some(input.bounds),
        at_cursor: newest.at_cursor,
    };
    check_facts(newest.cursor, newest.scope, newest.mode, &wanted)
}

/// Whether an artifact that does not fit is of this very log, and of such a table.
fn is_of_this_log(unfit: &Unfit) -> bool {
    match unfit {
        Unfit::TailLost { .. } | Unfit::HistoryChanged { .. } | Unfit::Overrun { .. } => true,
        Unfit::OtherLog { .. } | Unfit::Scope { .. } | Unfit::Mode { .. } | Unfit::LogReplaced { .. } => {
            false
        }
    }
}

/// Whether what the log lists is what the table should hold. An artifact tells of evictions that the table may not have seen.
fn listing_is_truth(input: &PlanInput<'_>) -> bool {
    let evicted = |newest: NewestArtifact<'_>| {
        newest.has_evicted && newest.mode == Mode::Archive && newest.cursor.log == input.bounds.log
    };
    let has_evicted = input.has_evicted || input.newest.is_some_and(evicted);
    unlisted_is_deleted(input.mode, has_evicted, &input.bounds.retention)
}

/// Whether an artifact of such a table holds what the log does not, for all that is known.
fn keeps_more(input: &PlanInput<'_>, newest: &NewestArtifact<'_>) -> bool {
    !listing_is_truth(input) && newest.cursor.sequence > Sequence::ZERO
}

/// Whether something is gained by an artifact that fits.
fn helps(input: &PlanInput<'_>, newest: &NewestArtifact<'_>) -> bool {
    newest.cursor.sequence >= from_first(input.bounds) || keeps_more(input, newest)
}

fn restore(reason: RestoreReason, newest: &NewestArtifact<'_>) -> Plan {
    Plan::Restore {
        reason,
        artifact: newest.cursor.clone(),
    }
}

fn refuse(input: &PlanInput<'_>, cause: ReconcileReason, artifact: Hindrance) -> Plan {
    Plan::Refuse(RefuseReason::Archive {
        log: input.bounds.log.name.clone(),
        cause,
        artifact,
    })
}

/// The first sequence to read for all that the log holds.
fn from_first(bounds: &Bounds) -> Sequence {
    cmp::max(bounds.first, Sequence::FIRST)
}

#[cfg(test)]
mod tests;
