//! Leases: of a fleet, one does a piece of work; the others know that it does.

mod cells;
mod decision;
mod error;
mod name;
mod record;

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use crate::{AssignmentVersion, Timestamp};

pub use cells::{Cell, CellSwap, LeaseCells};
pub use decision::Standing;
pub use error::LeaseError;
pub use name::lease_key;
pub use record::{Completed, LeaseRecord, LeaseRecordError, LeaseState, MAX_RECORD_BYTES};

/// The longest that a lease lasts without being renewed: a day.
pub const MAX_TTL: Duration = Duration::from_hours(24);
/// The longest that a lease rests once it is completed: a year and a day.
pub const MAX_REST: Duration = Duration::from_hours(367 * 24);
/// The most bytes of a note.
pub const MAX_NOTE_BYTES: usize = 4 << 10;

/// A lease that was acquired: the claim to do a piece of work, until it is given back or over.
///
/// What it is worth, [`LeaseStore`] says. A copy of it is the same lease: what was done with the one cannot be done with the
/// other.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "until it is completed, abandoned or over, nobody else acquires it"]
pub struct Lease {
    name: String,
    holder: String,
    token: Uuid,
    assignment_version: AssignmentVersion,
    since: Timestamp,
    until: Timestamp,
    last: Option<Completed>,
}

impl Lease {
    /// Which lease.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Who acquired it.
    pub fn holder(&self) -> &str {
        &self.holder
    }

    /// This acquisition: no other one has the same.
    pub fn token(&self) -> Uuid {
        self.token
    }

    /// The fencing token of this acquisition: higher than that of every acquisition of this lease before it, by whomever, as
    /// obligation 7 of [`LeaseStore`] says. The same for as long as the lease is renewed.
    pub fn assignment_version(&self) -> AssignmentVersion {
        self.assignment_version
    }

    /// When it was acquired, by the holder's clock.
    pub fn since(&self) -> Timestamp {
        self.since
    }

    /// Until when it lasts if it is not renewed, by the holder's clock.
    pub fn until(&self) -> Timestamp {
        self.until
    }

    /// The last round that was completed before this one, by whomever.
    pub fn last(&self) -> Option<&Completed> {
        self.last.as_ref()
    }
}

/// What came of trying to acquire a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a lease that was acquired is to be given back"]
pub enum Acquired {
    /// It is the caller's.
    Yes(Lease),
    /// Somebody holds it. That may be the caller itself before it was started again, or by a call whose answer was lost.
    Held {
        /// Who.
        by: String,
        /// Until when, if it is not renewed.
        until: Timestamp,
        /// The last round that was completed.
        last: Option<Completed>,
    },
    /// Nobody holds it, for its work was done not long ago.
    Resting {
        /// Until when nobody can acquire it.
        until: Timestamp,
        /// The last round that was completed.
        last: Option<Completed>,
    },
}

impl Acquired {
    /// The lease, if it is the caller's.
    pub fn lease(self) -> Option<Lease> {
        match self {
            Self::Yes(lease) => Some(lease),
            Self::Held { .. } | Self::Resting { .. } => None,
        }
    }

    /// The last round that was completed.
    pub fn last(&self) -> Option<&Completed> {
        match self {
            Self::Yes(lease) => lease.last(),
            Self::Held { last, .. } | Self::Resting { last, .. } => last.as_ref(),
        }
    }
}

/// Where a fleet keeps its leases.
///
/// A round of work goes like this: everybody [tries to acquire](LeaseStore::try_acquire) the lease, and one does. It
/// [renews](LeaseStore::renew) it while it works, and [completes](LeaseStore::complete) it with a note of what it has done and a
/// rest in which nobody repeats it; or [abandons](LeaseStore::abandon) it, and somebody else tries at once. What is
/// killed while it holds a lease keeps the others out until the lease is over, and no longer.
///
/// **A lease saves work; correctness never rests on it.** Whether one is over is told by clocks, and clocks are wrong. One that is
/// ahead of the holder's by more than the lease has left takes the lease over while the holder still works; one that
/// is behind lets it lie for longer. A holder that was stopped for longer than its lease goes on as if nothing had been, until
/// it is told. What must not be done twice is to be guarded where it is done: by the compare-and-swap of a pointer, by a
/// sequence that never falls, by refusing whoever comes with a lower [`assignment_version`](Lease::assignment_version) than was
/// seen before.
///
/// Obligations:
///
/// 1. **One holder.** Of any number who try, at most one acquires a lease, and as far as clocks agree nobody else does until it
///    is given back or over.
/// 2. **What is over is taken over**, by compare-and-swap, and so is what cannot be read. A record of a newer version is
///    neither: [`LeaseError::Newer`]. An instant that lies further ahead than a lease or a rest can last is over, too.
/// 3. **Who has lost it is told.** [`LeaseError::Lost`] at the next renewal, completion or abandonment, which leave what a
///    successor has written as it is. A lease that is over is not lost before somebody else has acquired it.
/// 4. **A completed lease rests.** Until then nobody acquires it, whoever completed it included. What was abandoned is
///    free at once. The note of the last completed round stays, whoever holds the lease after it.
/// 5. **Names stay apart.** No two names share a lease, and none leaves its place.
/// 6. **Nothing is taken for free because it cannot be reached.** A failure of the storage is an error, after which the
///    call may have had its effect or not; it is repeated by making the call again. To complete or abandon again what was
///    completed or abandoned does nothing. A lease that was acquired and not answered is over in time.
/// 7. **The assignment version rises** with every acquisition of a lease, by whomever and whatever the clocks say: it is one more
///    than that of the acquisition before, or the milliseconds since 1970 by the acquirer's clock if that is more. It stays
///    through renewals, completions and abandonments, and is never [`AssignmentVersion::OFF`]. The record carries it; where that
///    is gone (removed, unreadable, or written by an Alluvium that knew no such number), the clock alone is left to tell: the
///    version rises then, too, if that clock is ahead of the last version, so if it is not behind the clocks of those who
///    acquired the lease before.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use alluvium_core::{Acquired, LeaseError, LeaseStore};
///
/// async fn round(leases: Arc<dyn LeaseStore>) -> Result<(), LeaseError> {
///     match leases.try_acquire("export routes", "node-1", Duration::from_secs(30)).await? {
///         Acquired::Yes(lease) => {
///             let before = lease.last().map(|last| last.note.clone());
///             // The work, on from there. In the middle of it:
///             let lease = leases.renew(&lease, Duration::from_secs(30)).await?;
///             leases.complete(lease, "at 42", Duration::from_secs(60)).await
///         }
///         Acquired::Held { .. } | Acquired::Resting { .. } => Ok(()),
///     }
/// }
/// ```
#[async_trait]
pub trait LeaseStore: Send + Sync + 'static {
    /// Tries to acquire a lease, without waiting for it. Visible to everybody, and durable, when it returns that it did.
    ///
    /// The holder is a name for people to read, of 1 to 256 bytes; it gives no right to a lease that another process of the
    /// same name has acquired.
    ///
    /// # Errors
    ///
    /// [`LeaseError::Invalid`] for a name that [`lease_key`] refuses, such a holder, or a time of zero or above [`MAX_TTL`];
    /// [`LeaseError::Newer`]; storage errors: it may be acquired or not, and is over in time.
    async fn try_acquire(&self, name: &str, holder: &str, ttl: Duration) -> Result<Acquired, LeaseError>;

    /// Makes a lease last for so long from now. The old one is the same lease, and need not be kept.
    ///
    /// # Errors
    ///
    /// [`LeaseError::Lost`]; [`LeaseError::Invalid`] for a time of zero or above [`MAX_TTL`]; [`LeaseError::Newer`]; storage
    /// errors: it may be renewed or not, renew it again.
    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<Lease, LeaseError>;

    /// Gives a lease back whose work is done, with a note for whoever comes next. For so long from now nobody acquires it:
    /// a fleet in which every node tries every second, and that does the work every ten, gives what is left of the ten
    /// seconds. The note is a text of at most [`MAX_NOTE_BYTES`], such as a cursor as JSON.
    ///
    /// To complete a lease again changes nothing.
    ///
    /// # Errors
    ///
    /// [`LeaseError::Lost`]: the note was not left; [`LeaseError::Invalid`] for too long a note, or a rest above
    /// [`MAX_REST`]; [`LeaseError::Newer`]; storage errors: it may be completed or not.
    async fn complete(&self, lease: Lease, note: &str, rest: Duration) -> Result<(), LeaseError>;

    /// Gives a lease back whose work is not done. It is free at once. To abandon it again changes nothing.
    ///
    /// # Errors
    ///
    /// [`LeaseError::Lost`], [`LeaseError::Newer`]; storage errors: it may be free or not, and is over in time.
    async fn abandon(&self, lease: Lease) -> Result<(), LeaseError>;

    /// What is known of a lease; `None` if it was never acquired. For people: whoever wants the lease tries to acquire it.
    ///
    /// # Errors
    ///
    /// [`LeaseError::Invalid`] for a name that [`lease_key`] refuses; [`LeaseError::Corrupt`] and [`LeaseError::Newer`] for
    /// what cannot be read; storage errors.
    async fn read(&self, name: &str) -> Result<Option<LeaseRecord>, LeaseError>;
}

const _: fn(&dyn LeaseStore) = |_| (); // object-safe
