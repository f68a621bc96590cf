//! A status for programs: what the head of [`progress`](super) lists.

use std::time::Instant;

use alluvium::{BootstrapStatus, ExportStatus, Plan, Sequence, Status, Timestamp};
use serde_json::{Value, json};

use crate::error::chain;
use crate::output::rfc3339;

/// How the table goes on from the log.
pub(super) fn plan(status: &Status) -> Value {
    match &status.plan {
        Some(Plan::Resume { from }) if status.started_at.is_none() => {
            json!({ "plan": "fill", "from": from.get() })
        }
        Some(Plan::Resume { from }) => json!({ "plan": "resume", "from": from.get() }),
        Some(Plan::Reconcile(reason)) => json!({ "plan": "reconcile", "reason": reason.to_string() }),
        Some(Plan::Restore { reason, artifact }) => {
            json!({ "plan": "restore", "artifact": artifact.sequence.get(), "reason": reason.to_string() })
        }
        Some(Plan::Refuse(reason)) => json!({ "plan": "refuse", "reason": reason.to_string() }),
        None => json!({}),
    }
}

/// All that there is to tell.
pub(super) fn status(event: &str, status: &Status, since: Timestamp, started: Instant) -> Value {
    let mut line = json!({
        "event": event,
        "state": status.state.as_str(),
        "since": rfc3339(since),
        "for_seconds": seconds(status.since),
        "reason": status.why(),
        "stale": status.is_stale(),
        "cursor": status.cursor.as_ref().map(|cursor| cursor.sequence.get()),
        "caught_up": status.caught_up.map(Sequence::get),
        "log_last": status.log_last.get(),
        "lag": status.lag(),
        "rate": (status.rate * 10.0).round() / 10.0,
        "changes": status.changes,
        "bytes": status.bytes,
        "read": status.received,
        "restarts": status.restarts,
        "seconds": seconds(started),
    });
    if let Some(error) = &status.error {
        merge(&mut line, json!({ "error": chain(error) }));
    }
    if let Some(reconcile) = &status.reconcile {
        merge(
            &mut line,
            json!({ "reconcile": { "listed": reconcile.listed, "of": reconcile.of } }),
        );
    }
    if let Some(bootstrap) = &status.bootstrap {
        merge(&mut line, json!({ "bootstrap": of_bootstrap(bootstrap) }));
    }
    if let Some(exports) = &status.exports {
        merge(&mut line, json!({ "exports": of_exports(exports) }));
    }
    line
}

/// Since then, to the millisecond.
fn seconds(since: Instant) -> f64 {
    (since.elapsed().as_secs_f64() * 1000.0).round() / 1000.0
}

fn of_bootstrap(bootstrap: &BootstrapStatus) -> Value {
    let progress = bootstrap.progress.as_ref();
    let done = bootstrap.done.as_ref();
    json!({
        "bytes": progress.map(|at| at.bytes),
        "bytes_total": progress.map(|at| at.bytes_total),
        "rows": progress.map(|at| at.rows),
        "artifact": done.map(|done| done.id),
        "fetched_bytes": done.map(|done| done.fetched.bytes),
        "error": bootstrap.error.as_deref().map(|error| chain(error)),
    })
}

fn of_exports(exports: &ExportStatus) -> Value {
    json!({
        "sequence": exports.cursor.as_ref().map(|cursor| cursor.sequence.get()),
        "age_seconds": exports.published_at.map(|at| at.elapsed().as_secs()),
        "published": exports.published,
        "rounds": exports.rounds,
        "skipped": exports.skipped,
        "error": exports.error.as_deref().map(|error| chain(error)),
    })
}

pub(super) fn merge(object: &mut Value, more: Value) {
    if let (Value::Object(object), Value::Object(more)) = (object, more) {
        object.extend(more);
    }
}
