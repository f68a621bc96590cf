//! What a record means at an instant to whom, and what is written over it: pure.

use std::time::Duration;

use uuid::Uuid;

use super::name::check_holder;
use super::{
    Acquired, Completed, Lease, LeaseError, LeaseRecord, LeaseState, MAX_NOTE_BYTES, MAX_REST, MAX_TTL,
    lease_key,
};
use crate::{AssignmentVersion, Timestamp};

/// What a record means at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Anybody can acquire the lease: it was given back, or is over.
    Free,
    /// Somebody holds it until then.
    Held(Timestamp),
    /// Nobody holds it, and nobody can acquire it until then.
    Resting(Timestamp),
}

/// See [`LeaseRecord::standing`]. An instant that lies further ahead than any lease or rest may last was told by a clock
/// that was wrong by that much, and counts for nothing: it would keep everybody out for as long.
pub(super) fn standing(record: &LeaseRecord, now: Timestamp) -> Standing {
    let ahead = |until: Timestamp, most: Duration| now < until && until.since(now) <= most;
    match record.state {
        LeaseState::Held { until, .. } if ahead(until, MAX_TTL) => Standing::Held(until),
        LeaseState::Free { from, .. } if ahead(from, MAX_REST) => Standing::Resting(from),
        LeaseState::Held { .. } | LeaseState::Free { .. } => Standing::Free,
    }
}

/// Who asks for a lease.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim<'a> {
    pub(super) name: &'a str,
    pub(super) holder: &'a str,
    pub(super) ttl: Duration,
}

/// What is to be done about a record.
#[derive(Debug)]
pub(super) enum Step<T> {
    /// Write this over it.
    Write(LeaseRecord),
    /// Nothing: this is the answer.
    Answer(T),
}

/// The holder's side of what becomes of a lease.
#[derive(Clone, Copy, Debug)]
pub(super) enum End<'a> {
    /// Its work is done.
    Complete { note: &'a str, rest: Duration },
    /// Its work is not done.
    Abandon,
}

/// `there` is `None` where there is no record, or none that can be read. `fresh` is unlike any other.
pub(super) fn acquire(
    there: Option<&LeaseRecord>,
    claim: Claim<'_>,
    now: Timestamp,
    fresh: Uuid,
) -> Step<Acquired> {
    let last = there.and_then(|record| record.last.clone());
    let standing = there.map_or(Standing::Free, |record| record.standing(now));
    match (standing, there.map(|record| &record.state)) {
        (Standing::Held(until), Some(LeaseState::Held { by, .. })) => Step::Answer(Acquired::Held {
            by: by.clone(),
            until,
            last,
        }),
        (Standing::Resting(until), _) => Step::Answer(Acquired::Resting { until, last }),
        _ => {
            let held = LeaseState::Held {
                by: claim.holder.to_owned(),
                token: fresh,
                since: now,
                until: now.saturating_add(claim.ttl),
            };
            let version = next_version(there, now);
            Step::Write(LeaseRecord::new(claim.name, fresh, held, last, version))
        }
    }
}

/// Above that of every acquisition before. Where a record was lost the clock stands in for it: each version before was at most
/// the milliseconds of the fastest clock so far, and a few more where many acquired it within one of them.
fn next_version(there: Option<&LeaseRecord>, now: Timestamp) -> AssignmentVersion {
    let before = there.map_or(0, |record| record.assignment_version.get());
    let clock = u64::try_from(now.as_nanos() / 1_000_000).unwrap_or(0);
    AssignmentVersion::new(before.saturating_add(1).max(clock))
}

/// A lease that is over, and that nobody has taken since, is renewed like any other.
pub(super) fn renew(
    there: Option<&LeaseRecord>,
    lease: &Lease,
    ttl: Duration,
    now: Timestamp,
    fresh: Uuid,
) -> Result<LeaseRecord, LeaseError> {
    match there.map(|record| (&record.state, record)) {
        Some((LeaseState::Held { token, since, .. }, record)) if *token == lease.token => {
            let held = LeaseState::Held {
                by: lease.holder.clone(),
                token: lease.token,
                since: *since,
                until: now.saturating_add(ttl),
            };
            let version = record.assignment_version.max(lease.assignment_version);
            Ok(LeaseRecord::new(
                &lease.name,
                fresh,
                held,
                record.last.clone(),
                version,
            ))
        }
        _ => Err(lost(there, lease)),
    }
}

/// What was ended in the same way before has been ended: an answer may have been lost.
pub(super) fn end(
    there: Option<&LeaseRecord>,
    lease: &Lease,
    end: End<'_>,
    now: Timestamp,
    fresh: Uuid,
) -> Result<Step<()>, LeaseError> {
    let Some(record) = there else {
        return Err(lost(there, lease));
    };
    let completed = record.last.as_ref().is_some_and(|last| last.token == lease.token);
    let (from, last) = match (&record.state, end) {
        (LeaseState::Free { token, .. }, End::Complete { .. }) if *token == lease.token && completed => {
            return Ok(Step::Answer(()));
        }
        (LeaseState::Free { token, .. }, End::Abandon) if *token == lease.token => {
            return Ok(Step::Answer(()));
        }
        (LeaseState::Held { token, .. }, _) if *token != lease.token => return Err(lost(there, lease)),
        (LeaseState::Free { .. }, _) => return Err(lost(there, lease)),
        (LeaseState::Held { .. }, End::Complete { note, rest }) => {
            let last = Completed {
                by: lease.holder.clone(),
                token: lease.token,
                at: now,
                note: note.to_owned(),
            };
            (now.saturating_add(rest), Some(last))
        }
        (LeaseState::Held { .. }, End::Abandon) => (now, record.last.clone()),
    };
    let free = LeaseState::Free {
        token: lease.token,
        from,
    };
    let version = record.assignment_version.max(lease.assignment_version);
    Ok(Step::Write(LeaseRecord::new(
        &lease.name,
        fresh,
        free,
        last,
        version,
    )))
}

fn lost(there: Option<&LeaseRecord>, lease: &Lease) -> LeaseError {
    let to = there.and_then(|record| match &record.state {
        LeaseState::Held { by, .. } => Some(by.clone()),
        LeaseState::Free { .. } => None,
    });
    LeaseError::Lost {
        name: lease.name.clone(),
        to,
    }
}

pub(super) fn check_claim(claim: Claim<'_>) -> Result<(), LeaseError> {
    // The escape does not change what can be encoded.
    lease_key(claim.name, '%')?;
    check_holder(claim.holder)?;
    check_ttl(claim.ttl)
}

pub(super) fn check_ttl(ttl: Duration) -> Result<(), LeaseError> {
    if ttl.is_zero() || ttl > MAX_TTL {
        return Err(LeaseError::Invalid(format!(
            "a lease of {ttl:?}: let it last longer than nothing, and at most {} s",
            MAX_TTL.as_secs()
        )));
    }
    Ok(())
}

pub(super) fn check_end(end: End<'_>) -> Result<(), LeaseError> {
    let End::Complete { note, rest } = end else {
        return Ok(());
    };
    if note.len() > MAX_NOTE_BYTES {
        return Err(LeaseError::Invalid(format!(
            "a note of {} bytes: leave one of at most {MAX_NOTE_BYTES}",
            note.len()
        )));
    }
    if rest > MAX_REST {
        return Err(LeaseError::Invalid(format!(
            "a rest of {rest:?}: let it last at most {} s",
            MAX_REST.as_secs()
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
