//! Random calls of several holders, held against what they leave in a model.

use std::sync::Arc;
use std::time::Duration;

use alluvium_core::lease::LeaseState;
use alluvium_core::{Acquired, AssignmentVersion, Clock as _, Lease, LeaseError, LeaseStore, Timestamp};
use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_oneof};

use super::place::{Place, with_place};
use crate::LeaseHarness;
use crate::support::{length, property, refused};

/// So many leases there are, so many processes, and so many of them at a time.
const NAMES: [&str; 2] = ["export routes", "Export routes"];
const HOLDERS: [&str; 3] = ["a", "b", "c"];
const HANDLES: usize = 2;

/// What is done to a lease. Spans are seconds.
#[derive(Clone, Debug)]
enum Call {
    Acquire {
        holder: usize,
        ttl: u64,
    },
    Renew {
        whose: usize,
        ttl: u64,
    },
    Complete {
        whose: usize,
        rest: u64,
    },
    Abandon {
        whose: usize,
    },
    /// Something that is no record is put in its place.
    Overwrite,
    /// The clock moves.
    Forward(u64),
    Back(u64),
    /// Another process goes on with this handle.
    Reopen,
}

/// By which handle, to which lease.
type Step = (usize, usize, Call);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let whose = any::<usize>;
    let call = prop_oneof![
        6 => (0..HOLDERS.len(), 1..30_u64).prop_map(|(holder, ttl)| Call::Acquire { holder, ttl }),
        3 => (whose(), 1..30_u64).prop_map(|(whose, ttl)| Call::Renew { whose, ttl }),
        3 => (whose(), 0..20_u64).prop_map(|(whose, rest)| Call::Complete { whose, rest }),
        2 => whose().prop_map(|whose| Call::Abandon { whose }),
        1 => proptest::strategy::Just(Call::Overwrite),
        4 => (0..20_u64).prop_map(Call::Forward),
        1 => (0..10_u64).prop_map(Call::Back),
        1 => proptest::strategy::Just(Call::Reopen),
    ];
    vec((0..HANDLES, 0..NAMES.len(), call), 1..50)
}

/// What is in the place of a record.
#[derive(Clone, Debug, PartialEq)]
enum There {
    Nothing,
    Garbage,
    /// The acquisition of this number has it.
    Held {
        by: usize,
        until: Timestamp,
    },
    /// The acquisition of this number has given it back.
    Ended {
        by: usize,
        completed: bool,
        from: Timestamp,
    },
}

/// What there should be of one lease.
#[derive(Debug)]
struct Model {
    name: &'static str,
    there: There,
    /// Every acquisition there has been.
    given: Vec<Lease>,
    /// By whom the last round was completed, and the note.
    last: Option<(String, String)>,
    /// The assignment version that the record carries.
    version: AssignmentVersion,
}

impl Model {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            there: There::Nothing,
            given: Vec::new(),
            last: None,
            version: AssignmentVersion::OFF,
        }
    }

    /// One of those that there were, the newest ones as often as all others.
    fn nth(&self, index: usize) -> Option<usize> {
        let among = if index.is_multiple_of(2) {
            self.given.len()
        } else {
            self.given.len().min(2)
        };
        let back = (index / 2).checked_rem(among)?;
        Some(self.given.len() - 1 - back)
    }

    fn holder(&self, number: usize) -> &str {
        self.given[number].holder()
    }

    /// Whom the lease was lost to.
    fn lost_to(&self) -> Option<&str> {
        match self.there {
            There::Held { by, .. } => Some(self.holder(by)),
            _ => None,
        }
    }

    fn has_given_back(&self, number: usize, as_completed: bool) -> bool {
        matches!(self.there, There::Ended { by, completed, .. } if by == number && (completed || !as_completed))
    }

    fn expect_lost<T>(&self, outcome: Result<T, LeaseError>) {
        refused!(outcome, LeaseError::Lost { name, to } if name == self.name && to.as_deref() == self.lost_to());
    }

    async fn acquire(&mut self, leases: &dyn LeaseStore, holder: usize, ttl: Duration, now: Timestamp) {
        let answer = leases.try_acquire(self.name, HOLDERS[holder], ttl).await.unwrap();
        let last = answer.last().map(|last| (last.by.clone(), last.note.clone()));
        assert_eq!(last, self.last, "what is told of the last round");
        match (&self.there, answer) {
            (
                There::Held {
                    by: number,
                    until: over,
                },
                Acquired::Held { by, until, .. },
            ) if now < *over => {
                assert_eq!((by.as_str(), until), (self.holder(*number), *over));
            }
            (There::Ended { from, .. }, Acquired::Resting { until, .. }) if now < *from => {
                assert_eq!(until, *from);
            }
            (There::Held { until: later, .. } | There::Ended { from: later, .. }, answer) if now < *later => {
                panic!("nobody acquires it now: {answer:?}");
            }
            (_, Acquired::Yes(lease)) => {
                let until = now.saturating_add(ttl);
                assert_eq!((lease.since(), lease.until()), (now, until));
                assert!(self.given.iter().all(|other| other.token() != lease.token()));
                let version = lease.assignment_version();
                let (before, clock) = (self.version.get(), now.as_nanos() / 1_000_000);
                assert!(version.get() > before, "{version} after {before}");
                assert!(version.get() >= clock.unsigned_abs(), "{version} at {now:?}");
                self.version = version;
                self.there = There::Held {
                    by: self.given.len(),
                    until,
                };
                self.given.push(lease);
            }
            (_, answer) => panic!("it is free: {answer:?}"),
        }
    }

    async fn renew(&mut self, leases: &dyn LeaseStore, number: usize, ttl: Duration, now: Timestamp) {
        let outcome = leases.renew(&self.given[number], ttl).await;
        match self.there {
            There::Held { by, .. } if by == number => {
                let until = now.saturating_add(ttl);
                let renewed = outcome.unwrap();
                assert_eq!(
                    (renewed.token(), renewed.until()),
                    (self.given[number].token(), until)
                );
                self.there = There::Held { by, until };
            }
            _ => self.expect_lost(outcome),
        }
    }

    async fn complete(
        &mut self,
        leases: &dyn LeaseStore,
        number: usize,
        note: String,
        from: Timestamp,
        rest: Duration,
    ) {
        let outcome = leases.complete(self.given[number].clone(), &note, rest).await;
        match self.there {
            There::Held { by, .. } if by == number => {
                outcome.unwrap();
                self.last = Some((self.holder(number).to_owned(), note));
                self.there = There::Ended {
                    by,
                    completed: true,
                    from,
                };
            }
            _ if self.has_given_back(number, true) => outcome.unwrap(),
            _ => self.expect_lost(outcome),
        }
    }

    async fn abandon(&mut self, leases: &dyn LeaseStore, number: usize, now: Timestamp) {
        let outcome = leases.abandon(self.given[number].clone()).await;
        match self.there {
            There::Held { by, .. } if by == number => {
                outcome.unwrap();
                self.there = There::Ended {
                    by,
                    completed: false,
                    from: now,
                };
            }
            _ if self.has_given_back(number, false) => outcome.unwrap(),
            _ => self.expect_lost(outcome),
        }
    }

    /// Checks that there is what should be.
    async fn check(&self, leases: &dyn LeaseStore) {
        let read = leases.read(self.name).await;
        match self.there {
            There::Nothing => assert_eq!(read.unwrap(), None),
            There::Garbage => refused!(read, LeaseError::Corrupt { .. }),
            There::Held {
                by: number,
                until: over,
            } => {
                let record = read.unwrap().unwrap();
                let lease = record.lease().unwrap();
                assert_eq!((lease.token(), lease.until()), (self.given[number].token(), over));
                assert_eq!(
                    lease.assignment_version(),
                    self.given[number].assignment_version()
                );
                let last = record.last.map(|last| (last.by, last.note));
                assert_eq!(last, self.last);
            }
            There::Ended { by: number, from, .. } => {
                let record = read.unwrap().unwrap();
                let token = self.given[number].token();
                assert_eq!(record.state, LeaseState::Free { token, from });
                assert_eq!(record.assignment_version, self.version);
                let last = record.last.map(|last| (last.by, last.note));
                assert_eq!(last, self.last);
            }
        }
    }
}

/// Whoever does whatever in whichever order, there is what should be, and everybody is told what is so, at every step.
pub fn o1_o2_o3_o4_o5_random_calls_leave_what_they_leave_in_a_model(harness: &dyn LeaseHarness) {
    property(length(20, 200), &steps(), |steps| {
        with_place(harness, async |place, _| run(place, &steps).await);
    });
}

async fn run(place: &Place<'_>, steps: &[Step]) {
    let mut models = NAMES.map(Model::new);
    let mut handles: Vec<Arc<dyn LeaseStore>> = Vec::new();
    for _ in 0..HANDLES {
        handles.push(place.open().await);
    }
    for (number, (handle, name, call)) in steps.iter().enumerate() {
        let model = &mut models[*name];
        let now = place.clock.now();
        let leases = Arc::clone(&handles[*handle]);
        match call {
            Call::Acquire { holder, ttl } => model.acquire(&*leases, *holder, seconds(*ttl), now).await,
            Call::Renew { whose, ttl } => {
                if let Some(whose) = model.nth(*whose) {
                    model.renew(&*leases, whose, seconds(*ttl), now).await;
                }
            }
            Call::Complete { whose, rest } => {
                if let Some(whose) = model.nth(*whose) {
                    let from = now.saturating_add(seconds(*rest));
                    let note = format!("step {number}");
                    model.complete(&*leases, whose, note, from, seconds(*rest)).await;
                }
            }
            Call::Abandon { whose } => {
                if let Some(whose) = model.nth(*whose) {
                    model.abandon(&*leases, whose, now).await;
                }
            }
            Call::Overwrite => {
                place.overwrite(model.name, b"no record").await;
                model.there = There::Garbage;
                model.last = None;
                model.version = AssignmentVersion::OFF;
            }
            Call::Forward(span) => place.clock.forward(seconds(*span)),
            Call::Back(span) => place.clock.back(seconds(*span)),
            Call::Reopen => handles[*handle] = place.open().await,
        }
        for model in &models {
            model.check(&*leases).await;
        }
    }
}

const fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}
