//! Every record there can be, at every instant that is unlike another, for every holder.

use super::*;
use crate::ErrorKind;

const SECOND: Duration = Duration::from_secs(1);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_nanos(1_700_000_000_000_000_000 + seconds * 1_000_000_000)
}

fn token(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn lease(number: u128) -> Lease {
    Lease {
        name: "export".to_owned(),
        holder: format!("node-{number}"),
        token: token(number),
        assignment_version: AssignmentVersion::new(7),
        since: at(0),
        until: at(30),
        last: None,
    }
}

fn completed(number: u128) -> Completed {
    Completed {
        by: format!("node-{number}"),
        token: token(number),
        at: at(-5),
        note: format!("note of {number}"),
    }
}

fn held(number: u128, until: Timestamp, last: Option<Completed>) -> LeaseRecord {
    let state = LeaseState::Held {
        by: format!("node-{number}"),
        token: token(number),
        since: at(0),
        until,
    };
    LeaseRecord::new("export", token(1_000), state, last, AssignmentVersion::new(7))
}

fn free(number: u128, from: Timestamp, last: Option<Completed>) -> LeaseRecord {
    let state = LeaseState::Free {
        token: token(number),
        from,
    };
    LeaseRecord::new("export", token(1_000), state, last, AssignmentVersion::new(7))
}

/// Every record that differs in what is decided by it. Of the leases, 1 is that of the caller.
fn records() -> Vec<Option<LeaseRecord>> {
    let mut records = vec![None];
    for number in [1, 2] {
        for last in [None, Some(1), Some(2), Some(3)] {
            let last = last.map(completed);
            for instant in instants() {
                records.push(Some(held(number, instant, last.clone())));
                records.push(Some(free(number, instant, last.clone())));
            }
        }
    }
    records
}

/// Before, at and after everything that is compared with.
fn instants() -> Vec<Timestamp> {
    let mut instants = vec![
        Timestamp::from_nanos(i64::MIN),
        Timestamp::from_nanos(i64::MAX),
        at(0),
    ];
    for span in [SECOND, MAX_TTL, MAX_REST] {
        for nanos in [-1, 0, 1] {
            let nanos = i64::try_from(span.as_nanos()).unwrap() + nanos;
            instants.push(Timestamp::from_nanos(at(0).as_nanos() + nanos));
            instants.push(Timestamp::from_nanos(at(0).as_nanos() - nanos));
        }
    }
    instants
}

fn claim() -> Claim<'static> {
    Claim {
        name: "export",
        holder: "node-9",
        ttl: SECOND,
    }
}

#[test]
fn a_record_keeps_others_out_until_its_instant_and_if_that_can_be_meant() {
    for now in instants() {
        for instant in instants() {
            let ahead = i128::from(instant.as_nanos()) - i128::from(now.as_nanos());
            let most = |span: Duration| i128::try_from(span.as_nanos()).unwrap();
            let expected = if (1..=most(MAX_TTL)).contains(&ahead) {
                Standing::Held(instant)
            } else {
                Standing::Free
            };
            assert_eq!(held(2, instant, None).standing(now), expected, "{ahead}");
            let expected = if (1..=most(MAX_REST)).contains(&ahead) {
                Standing::Resting(instant)
            } else {
                Standing::Free
            };
            assert_eq!(free(2, instant, None).standing(now), expected, "{ahead}");
        }
    }
}

#[test]
fn what_is_free_is_acquired_and_what_is_not_says_why() {
    for now in instants() {
        for there in records() {
            let standing = there
                .as_ref()
                .map_or(Standing::Free, |record| record.standing(now));
            let last = there.as_ref().and_then(|record| record.last.clone());
            match (standing, acquire(there.as_ref(), claim(), now, token(9))) {
                (Standing::Free, Step::Write(record)) => {
                    let lease = record.lease().unwrap();
                    assert_eq!(
                        (lease.name(), lease.holder(), lease.token()),
                        ("export", "node-9", token(9))
                    );
                    assert_eq!((lease.since(), lease.until()), (now, now.saturating_add(SECOND)));
                    assert_eq!((lease.last(), record.write), (last.as_ref(), token(9)));
                    assert!(lease.assignment_version() > version(there.as_ref()), "{lease:?}");
                    assert_eq!(lease.assignment_version(), record.assignment_version);
                    assert!(
                        now.as_nanos() == i64::MAX || matches!(record.standing(now), Standing::Held(_)),
                        "{record:?}"
                    );
                }
                (Standing::Held(until), Step::Answer(answer)) => {
                    let Some(LeaseState::Held { by, .. }) = there.as_ref().map(|record| &record.state) else {
                        panic!("{there:?}")
                    };
                    let by = by.clone();
                    assert_eq!(answer, Acquired::Held { by, until, last });
                }
                (Standing::Resting(until), Step::Answer(answer)) => {
                    assert_eq!(answer, Acquired::Resting { until, last });
                }
                (standing, step) => panic!("{there:?} at {now:?} is {standing:?}: {step:?}"),
            }
        }
    }
}

fn version(there: Option<&LeaseRecord>) -> AssignmentVersion {
    there.map_or(AssignmentVersion::OFF, |record| record.assignment_version)
}

#[test]
fn the_assignment_version_rises_whatever_the_clock_says() {
    let mut there: Option<LeaseRecord> = None;
    for now in instants().into_iter().chain(instants().into_iter().rev()) {
        let Step::Write(record) = acquire(there.as_ref(), claim(), now, token(9)) else {
            panic!("{there:?} keeps out")
        };
        let clock = now.as_nanos() / 1_000_000;
        assert!(record.assignment_version > version(there.as_ref()), "{record:?}");
        assert!(
            i128::from(record.assignment_version.get()) >= i128::from(clock),
            "{record:?}"
        );
        let given = record.lease().unwrap();
        let Ok(Step::Write(free)) = end(
            Some(&record),
            &given,
            End::Abandon,
            Timestamp::from_nanos(i64::MIN),
            token(8),
        ) else {
            panic!("{record:?} is not given back")
        };
        assert_eq!(free.assignment_version, record.assignment_version);
        there = Some(free);
    }
    // Without a record the clock tells, and only that.
    for (now, expected) in [(at(0), 1_700_000_000_000), (Timestamp::from_nanos(i64::MIN), 1)] {
        let Step::Write(record) = acquire(None, claim(), now, token(9)) else {
            panic!("nothing keeps out")
        };
        assert_eq!(record.assignment_version.get(), expected);
    }
}

#[test]
fn a_record_that_forgot_the_version_has_it_from_the_holder() {
    let mut forgetful = held(1, at(1), None);
    forgetful.assignment_version = AssignmentVersion::OFF;
    let renewed = renew(Some(&forgetful), &lease(1), SECOND, at(0), token(9)).unwrap();
    assert_eq!(renewed.assignment_version, AssignmentVersion::new(7));
    let Ok(Step::Write(ended)) = end(Some(&forgetful), &lease(1), End::Abandon, at(0), token(9)) else {
        panic!("it is the caller's")
    };
    assert_eq!(ended.assignment_version, AssignmentVersion::new(7));
}

/// Whether the record is that of a lease which the caller still has: over or not.
fn is_own(there: Option<&LeaseRecord>) -> bool {
    there.is_some_and(|record| matches!(record.state, LeaseState::Held { token: its, .. } if its == token(1)))
}

fn is_lost(error: &LeaseError, there: Option<&LeaseRecord>) {
    let holder = there.and_then(LeaseRecord::lease).map(|lease| lease.holder);
    assert_eq!(error.kind(), ErrorKind::Fenced);
    assert!(
        matches!(error, LeaseError::Lost { name, to } if name == "export" && *to == holder),
        "{error:?}"
    );
}

#[test]
fn a_lease_is_renewed_until_somebody_else_has_it() {
    for now in instants() {
        for there in records() {
            match renew(there.as_ref(), &lease(1), SECOND, now, token(9)) {
                Ok(record) => {
                    assert!(is_own(there.as_ref()), "{there:?}");
                    let renewed = record.lease().unwrap();
                    assert_eq!((renewed.token(), renewed.since()), (token(1), at(0)));
                    assert_eq!(renewed.assignment_version(), version(there.as_ref()));
                    assert_eq!(renewed.until(), now.saturating_add(SECOND));
                    assert_eq!(
                        (record.last, record.write),
                        (there.and_then(|there| there.last), token(9))
                    );
                }
                Err(error) => {
                    assert!(!is_own(there.as_ref()), "{there:?}");
                    is_lost(&error, there.as_ref());
                }
            }
        }
    }
}

#[test]
fn a_lease_is_given_back_once_and_never_that_of_a_successor() {
    let complete = End::Complete {
        note: "done",
        rest: SECOND,
    };
    for now in instants() {
        for there in records() {
            for how in [complete, End::Abandon] {
                let ended = end(there.as_ref(), &lease(1), how, now, token(9));
                let repeated = there.as_ref().is_some_and(|record| {
                    let own = matches!(record.state, LeaseState::Free { token: its, .. } if its == token(1));
                    let note = record.last.as_ref().is_some_and(|last| last.token == token(1));
                    own && (note || matches!(how, End::Abandon))
                });
                match ended {
                    Ok(Step::Answer(())) => assert!(repeated, "{there:?}"),
                    Ok(Step::Write(record)) => {
                        assert!(is_own(there.as_ref()), "{there:?}");
                        let (from, last) = match how {
                            End::Abandon => (now, there.as_ref().and_then(|there| there.last.clone())),
                            End::Complete { .. } => {
                                let done = Completed {
                                    at: now,
                                    note: "done".to_owned(),
                                    ..completed(1)
                                };
                                (now.saturating_add(SECOND), Some(done))
                            }
                        };
                        assert_eq!(
                            record.state,
                            LeaseState::Free {
                                token: token(1),
                                from
                            }
                        );
                        assert_eq!(record.assignment_version, version(there.as_ref()));
                        assert_eq!((record.last, record.write), (last, token(9)));
                    }
                    Err(error) => {
                        assert!(!is_own(there.as_ref()) && !repeated, "{there:?}");
                        is_lost(&error, there.as_ref());
                    }
                }
            }
        }
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    for ttl in [Duration::from_nanos(1), MAX_TTL] {
        assert!(check_ttl(ttl).is_ok());
    }
    for ttl in [Duration::ZERO, MAX_TTL + Duration::from_nanos(1), Duration::MAX] {
        assert_eq!(check_ttl(ttl).unwrap_err().kind(), ErrorKind::Invalid);
    }
    let ended = |bytes: usize, rest| {
        let note = "x".repeat(bytes);
        check_end(End::Complete { note: &note, rest })
    };
    assert!(ended(MAX_NOTE_BYTES, MAX_REST).is_ok());
    assert!(ended(0, Duration::ZERO).is_ok());
    assert_eq!(
        ended(MAX_NOTE_BYTES + 1, SECOND).unwrap_err().kind(),
        ErrorKind::Invalid
    );
    assert_eq!(ended(0, Duration::MAX).unwrap_err().kind(), ErrorKind::Invalid);
    for (name, holder) in [("", "a"), ("a", ""), ("a\0", "a"), ("a", "\n")] {
        let claim = Claim {
            name,
            holder,
            ..claim()
        };
        assert_eq!(check_claim(claim).unwrap_err().kind(), ErrorKind::Invalid);
    }
}

/// A note of which every byte takes six in JSON, twice over the longest names, still makes a record.
#[test]
fn the_longest_record_can_be_read() {
    let last = Completed {
        by: "\u{1f}".repeat(256),
        note: "\u{1}".repeat(MAX_NOTE_BYTES),
        ..completed(1)
    };
    let record = held(1, at(1), Some(last));
    assert_eq!(LeaseRecord::decode(&record.encode()).unwrap(), record);
}
