//! A status for people: pieces of lines.

use std::time::Instant;

use alluvium::{Bootstrapped, Plan, State, Status};

use crate::error::chain;
use crate::human::human_time;
use crate::output::human_bytes;

/// How the table goes on from the log. Why it is refused is told with the state, for as long as it is.
pub(super) fn plan(status: &Status) -> String {
    match &status.plan {
        Some(Plan::Resume { from }) if status.started_at.is_none() => format!("filling from {from}"),
        Some(Plan::Resume { from }) => format!("resuming at {from}"),
        Some(Plan::Reconcile(reason)) => format!("reconciling: {reason}"),
        Some(Plan::Restore { reason, artifact }) => {
            format!("restoring the artifact at {}: {reason}", artifact.sequence)
        }
        Some(Plan::Refuse(_)) => "refused".to_owned(),
        None => "starting".to_owned(),
    }
}

/// How far it has come, behind the name of its state.
pub(super) fn at(status: &Status) -> String {
    if let Some(reconcile) = &status.reconcile
        && status.state == State::Reconciling
    {
        return format!(", {} of about {} listed,", reconcile.listed, reconcile.of);
    }
    format!(" at {} of {}", status.position(), status.log_last)
}

/// What it was held up by until now.
pub(super) fn after(before: Option<(State, Instant)>, status: &Status) -> String {
    match before {
        Some((state @ (State::Stalled | State::Refused | State::Reconciling | State::Restoring), since)) => {
            let time = status.since.saturating_duration_since(since);
            if time.as_secs() == 0 {
                return String::new();
            }
            format!(", after {} {state}", human_time(time))
        }
        _ => String::new(),
    }
}

/// The last export, and what became of the one after it, for the end of a line.
pub(super) fn exports(status: &Status) -> String {
    let Some(exports) = &status.exports else {
        return String::new();
    };
    let last = match (&exports.cursor, exports.published_at) {
        (Some(cursor), Some(at)) => {
            format!(", exported {} {} ago", cursor.sequence, human_time(at.elapsed()))
        }
        _ if exports.rounds + exports.skipped > 0 => ", exported by others".to_owned(),
        _ => String::new(),
    };
    let failed = if exports.error.is_some() {
        ", the last export failed"
    } else {
        ""
    };
    format!("{last}{failed}")
}

/// What an artifact has brought.
pub(super) fn filled(done: &Bootstrapped) -> String {
    format!(
        "filled from the artifact {}: {} rows, {} fetched",
        done.id,
        done.rows,
        human_bytes(done.fetched.bytes)
    )
}

/// Why no artifact has brought anything, when it is gone on without.
pub(super) fn without_artifact(before: Option<(State, Instant)>, status: &Status) -> Option<String> {
    let goes_on = matches!(status.state, State::Reconciling | State::Filling | State::Live);
    before.filter(|(state, _)| goes_on && matches!(state, State::Bootstrapping | State::Restoring))?;
    let bootstrap = status.bootstrap.as_ref().filter(|at| at.done.is_none())?;
    let error = bootstrap.error.as_deref()?;
    Some(format!("without an artifact: {}", chain(error)))
}

/// What a bar shows: how much is done, of how much, and what stands behind it.
pub(super) fn bar(status: &Status) -> (u64, u64, String) {
    let held_up = match status.state {
        State::Live | State::Filling => String::new(),
        _ => format!("for {}, ", human_time(status.since.elapsed())),
    };
    if let Some(reconcile) = &status.reconcile
        && status.state == State::Reconciling
    {
        let of = reconcile.of.max(reconcile.listed);
        return (reconcile.listed, of, format!("{held_up}keys listed"));
    }
    let fetching = status.bootstrap.as_ref().and_then(|bootstrap| bootstrap.progress);
    if let Some(at) = fetching.filter(|_| matches!(status.state, State::Bootstrapping | State::Restoring)) {
        let (bytes, of) = (human_bytes(at.bytes), human_bytes(at.bytes_total));
        let rows = format!("{} of at most {} rows", at.rows, at.rows_total);
        return (
            at.bytes,
            at.bytes_total,
            format!("{held_up}{bytes} of {of}, {rows}"),
        );
    }
    let behind = format!(
        "{held_up}lag {}, {:.0}/s, {}{}",
        status.lag(),
        status.rate,
        human_bytes(status.bytes),
        exports(status)
    );
    (status.position().get(), status.log_last.get(), behind)
}
