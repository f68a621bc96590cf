//! Leases in memory that are sound, but for one sin if they are told to.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, OnceLock};
use std::time::Duration;

use alluvium_conformance::{LeaseHarness, overwrite_cell};
use alluvium_core::lease::{Cell, CellSwap, LeaseCells, LeaseState, MAX_TTL, Standing};
use alluvium_core::{
    Acquired, AssignmentVersion, Clock, Lease, LeaseError, LeaseRecord, LeaseStore, Timestamp,
};
use alluvium_memory::MemoryLeaseStore;
use async_trait::async_trait;
use bytes::Bytes;

/// What a lease store can do wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sin {
    None,
    /// A record is written over whatever is there.
    LastWriterWins,
    /// Whoever is called as the holder is gets the lease.
    TheNameIsTheHolder,
    /// A renewal is not written.
    RenewsNothing,
    /// It is always the time that it was first.
    TimeStandsStill,
    /// The time comes a nanosecond too soon.
    OverTooSoon,
    /// What cannot be read is an error for whoever wants the lease.
    GarbageKeepsOut,
    /// What a newer Alluvium wrote cannot be read.
    NewerIsGarbage,
    /// An instant that no lease can last to is believed.
    BelievesEveryClock,
    /// To have lost a lease is no error.
    ZombiesAreNotTold,
    /// Who gives back a lost lease frees it, and is told.
    ZombiesFree,
    /// A lease that is over is lost, taken or not.
    LostWhenOver,
    /// A completed lease is free at once.
    NeverRests,
    /// The note is not kept.
    LosesTheNote,
    /// An abandoned lease stays held.
    AbandonsNothing,
    /// Leases of which the names differ by case are one.
    FoldsCase,
    /// A lease can be renewed for any time.
    TakesEveryTime,
    /// What was given back cannot be given back again.
    EndsOnce,
    /// The assignment version is that of the clock, whatever was before.
    VersionByTheClock,
    /// The assignment version begins anew where the record cannot be read.
    VersionBeginsAnew,
}

/// The harness of such leases: some for each place.
pub(super) struct Sinful(pub(super) Sin);

/// A place: its leases, and the first time that there was in it.
type Place = (MemoryLeaseStore, Arc<OnceLock<Timestamp>>);

fn place(dir: &Path) -> Place {
    static PLACES: LazyLock<Mutex<HashMap<PathBuf, Place>>> = LazyLock::new(Mutex::default);
    PLACES.lock().unwrap().entry(dir.to_owned()).or_default().clone()
}

#[async_trait]
impl LeaseHarness for Sinful {
    async fn open_leases(
        &self,
        dir: &Path,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<dyn LeaseStore>, LeaseError> {
        let (leases, first) = place(dir);
        let clock = Arc::new(SinfulClock {
            sin: self.0,
            first,
            clock,
        });
        Ok(Arc::new(Sinner {
            sin: self.0,
            sound: Cells {
                sin: self.0,
                sound: leases.clock(clock),
            },
        }))
    }

    async fn overwrite_record(&self, dir: &Path, name: &str, bytes: Bytes) {
        overwrite_cell(&place(dir).0, name, bytes).await;
    }
}

struct SinfulClock {
    sin: Sin,
    first: Arc<OnceLock<Timestamp>>,
    clock: Arc<dyn Clock>,
}

impl Clock for SinfulClock {
    fn now(&self) -> Timestamp {
        match self.sin {
            Sin::TimeStandsStill => *self.first.get_or_init(|| self.clock.now()),
            _ => self.clock.now(),
        }
    }
}

/// The sins of the places that records are in.
struct Cells {
    sin: Sin,
    sound: MemoryLeaseStore,
}

#[async_trait]
impl LeaseCells for Cells {
    type Version = u64;

    fn clock(&self) -> &dyn Clock {
        LeaseCells::clock(&self.sound)
    }

    fn location(&self, name: &str) -> String {
        self.sound.location(name)
    }

    async fn read_cell(&self, name: &str) -> Result<Cell<u64>, LeaseError> {
        let mut cell = self.sound.read_cell(name).await?;
        if self.sin == Sin::NewerIsGarbage && cell.content.as_deref() == Some(&br#"{"version":2}"#[..]) {
            cell.content = Some(Bytes::new());
        }
        Ok(cell)
    }

    async fn swap_cell(&self, name: &str, over: &u64, content: Bytes) -> Result<CellSwap<u64>, LeaseError> {
        if self.sin != Sin::LastWriterWins {
            return self.sound.swap_cell(name, over, content).await;
        }
        // Everybody else who has read is here by then.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let last = self.sound.read_cell(name).await?.version;
        self.sound.swap_cell(name, &last, content).await
    }
}

/// The sins of the calls.
struct Sinner {
    sin: Sin,
    sound: Cells,
}

impl Sinner {
    fn name(&self, name: &str) -> String {
        match self.sin {
            Sin::FoldsCase => name.to_lowercase(),
            _ => name.to_owned(),
        }
    }

    /// The lease that is held, over or not.
    async fn held(&self, name: &str) -> Option<Lease> {
        let record = self.sound.read(name).await;
        record.ok().flatten().and_then(|record| record.lease())
    }

    /// Whether it was given back by whoever had this lease.
    async fn is_ended(&self, lease: &Lease) -> bool {
        let record = self.sound.read(lease.name()).await;
        record.ok().flatten().is_some_and(
            |record| matches!(record.state, LeaseState::Free { token, .. } if token == lease.token()),
        )
    }

    fn lost(lease: &Lease) -> LeaseError {
        LeaseError::Lost {
            name: lease.name().to_owned(),
            to: None,
        }
    }

    /// The lease, with another assignment version, which is in its record as well.
    async fn with_version(&self, lease: &Lease, version: u64) -> Result<Lease, LeaseError> {
        let cell = self.sound.read_cell(lease.name()).await?;
        let mut record = LeaseRecord::decode(cell.content.as_deref().unwrap_or_default())
            .map_err(|_| Self::lost(lease))?;
        record.assignment_version = AssignmentVersion::new(version);
        self.sound
            .swap_cell(lease.name(), &cell.version, record.encode().into())
            .await?;
        record.lease().ok_or_else(|| Self::lost(lease))
    }

    /// What is told of what came of giving a lease back.
    async fn told(&self, lease: &Lease, outcome: Result<(), LeaseError>) -> Result<(), LeaseError> {
        if !matches!(outcome, Err(LeaseError::Lost { .. })) {
            return outcome;
        }
        match self.sin {
            Sin::ZombiesAreNotTold => return Ok(()),
            Sin::ZombiesFree => {
                if let Some(successor) = self.held(lease.name()).await {
                    self.sound.abandon(successor).await?;
                }
            }
            _ => {}
        }
        outcome
    }

    async fn is_over(&self, lease: &Lease) -> bool {
        let record = self.sound.read(lease.name()).await.ok().flatten();
        record.is_some_and(|record| record.standing(self.sound.clock().now()) == Standing::Free)
    }
}

#[async_trait]
impl LeaseStore for Sinner {
    async fn try_acquire(&self, name: &str, holder: &str, ttl: Duration) -> Result<Acquired, LeaseError> {
        let name = &self.name(name);
        match (self.sin, self.held(name).await) {
            (Sin::TheNameIsTheHolder, Some(held)) if held.holder() == holder => {
                return Ok(Acquired::Yes(held));
            }
            (Sin::BelievesEveryClock, Some(held)) if self.sound.clock().now() < held.until() => {
                return Ok(Acquired::Held {
                    by: held.holder().to_owned(),
                    until: held.until(),
                    last: held.last().cloned(),
                });
            }
            (Sin::GarbageKeepsOut, _) => {
                self.sound.read(name).await?;
            }
            _ => {}
        }
        let ttl = match self.sin {
            Sin::OverTooSoon => ttl.saturating_sub(Duration::from_nanos(1)),
            _ => ttl,
        };
        let readable = self.sound.read(name).await;
        match (self.sin, self.sound.try_acquire(name, holder, ttl).await?) {
            (Sin::VersionByTheClock, Acquired::Yes(lease)) => {
                let millis = u64::try_from(lease.since().as_nanos() / 1_000_000).unwrap_or(0);
                Ok(Acquired::Yes(self.with_version(&lease, millis).await?))
            }
            (Sin::VersionBeginsAnew, Acquired::Yes(lease)) if readable.is_err() => {
                Ok(Acquired::Yes(self.with_version(&lease, 1).await?))
            }
            (_, acquired) => Ok(acquired),
        }
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<Lease, LeaseError> {
        let ttl = match self.sin {
            Sin::TakesEveryTime => ttl.clamp(Duration::from_nanos(1), MAX_TTL),
            _ => ttl,
        };
        match self.sin {
            Sin::LostWhenOver if self.is_over(lease).await => return Err(Self::lost(lease)),
            Sin::RenewsNothing if self.held(lease.name()).await.as_ref() == Some(lease) => {
                // The caller is given what it wants to see.
                let renewed = self.sound.renew(lease, ttl).await?;
                let left = lease.until().since(self.sound.clock().now());
                let left = left.max(Duration::from_nanos(1));
                let _left = self.sound.renew(lease, left).await?;
                return Ok(renewed);
            }
            _ => {}
        }
        match self.sound.renew(lease, ttl).await {
            Err(LeaseError::Lost { .. }) if self.sin == Sin::ZombiesAreNotTold => Ok(lease.clone()),
            outcome => outcome,
        }
    }

    async fn complete(&self, lease: Lease, note: &str, rest: Duration) -> Result<(), LeaseError> {
        match self.sin {
            Sin::LostWhenOver if self.is_over(&lease).await => return Err(Self::lost(&lease)),
            Sin::EndsOnce if self.is_ended(&lease).await => return Err(Self::lost(&lease)),
            _ => {}
        }
        let (note, rest) = match self.sin {
            Sin::LosesTheNote => ("", rest),
            Sin::NeverRests => (note, Duration::ZERO),
            Sin::OverTooSoon => (note, rest.saturating_sub(Duration::from_nanos(1))),
            _ => (note, rest),
        };
        let outcome = self.sound.complete(lease.clone(), note, rest).await;
        self.told(&lease, outcome).await
    }

    async fn abandon(&self, lease: Lease) -> Result<(), LeaseError> {
        match self.sin {
            Sin::AbandonsNothing => return Ok(()),
            Sin::EndsOnce if self.is_ended(&lease).await => return Err(Self::lost(&lease)),
            _ => {}
        }
        let outcome = self.sound.abandon(lease.clone()).await;
        self.told(&lease, outcome).await
    }

    async fn read(&self, name: &str) -> Result<Option<LeaseRecord>, LeaseError> {
        self.sound.read(&self.name(name)).await
    }
}
