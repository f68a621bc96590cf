//! The one [`LeaseStore`] over anything that has compare-and-swap: what is stored and when is decided here, once.

use async_trait::async_trait;
use bytes::Bytes;
use std::time::Duration;
use uuid::Uuid;

use super::decision::{self, Claim, End, Step};
use super::{Acquired, Lease, LeaseError, LeaseRecord, LeaseRecordError, LeaseStore};
use crate::{Clock, ErrorKind};

/// How often somebody else may have been there first, within one call.
const MOST_ROUNDS: u32 = 100;

/// What a cell holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell<V> {
    /// The content; `None` where there is none.
    pub content: Option<Bytes>,
    /// Which content that is, or that there is none: for the next swap.
    pub version: V,
}

/// What came of a swap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CellSwap<V> {
    /// The new content is there.
    Done,
    /// Somebody else was there first; this is what is there now.
    Lost(Cell<V>),
}

/// Places that are written by compare-and-swap only, one for each lease. Whatever has them is a [`LeaseStore`].
///
/// 1. A swap is atomic, and durable when it returns [`CellSwap::Done`].
/// 2. What fails without it being known whether it was done is settled by reading back, for no two contents are the same: its
///    own content there is [`CellSwap::Done`]. Where that cannot be settled, it is an error.
/// 3. A cell that was never written is created by the same swap, and of many who create it one does.
/// 4. Content that no record can have, such as too much of it, is content: it can be swapped.
#[async_trait]
pub trait LeaseCells: Send + Sync + 'static {
    /// What tells one content from another.
    type Version: Send + Sync;

    /// The clock that expiry goes by.
    fn clock(&self) -> &dyn Clock;

    /// Where a lease's cell is, to be shown to people.
    fn location(&self, name: &str) -> String;

    /// What a lease's cell holds. Not an older content than the last one of a swap that has returned.
    async fn read_cell(&self, name: &str) -> Result<Cell<Self::Version>, LeaseError>;

    /// Replaces that content by another one.
    async fn swap_cell(
        &self,
        name: &str,
        over: &Self::Version,
        content: Bytes,
    ) -> Result<CellSwap<Self::Version>, LeaseError>;
}

#[async_trait]
impl<C: LeaseCells> LeaseStore for C {
    async fn try_acquire(&self, name: &str, holder: &str, ttl: Duration) -> Result<Acquired, LeaseError> {
        let claim = Claim { name, holder, ttl };
        decision::check_claim(claim)?;
        let written = write(self, name, |there, now| {
            Ok(decision::acquire(there, claim, now, Uuid::new_v4()))
        });
        Ok(match written.await? {
            Written::Answer(answer) => answer,
            Written::Record(record) => Acquired::Yes(given(&record)?),
        })
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<Lease, LeaseError> {
        decision::check_ttl(ttl)?;
        let written = write(self, &lease.name, |there, now| {
            decision::renew(there, lease, ttl, now, Uuid::new_v4()).map(Step::<Lease>::Write)
        });
        match written.await? {
            Written::Answer(lease) => Ok(lease),
            Written::Record(record) => given(&record),
        }
    }

    async fn complete(&self, lease: Lease, note: &str, rest: Duration) -> Result<(), LeaseError> {
        end(self, &lease, End::Complete { note, rest }).await
    }

    async fn abandon(&self, lease: Lease) -> Result<(), LeaseError> {
        end(self, &lease, End::Abandon).await
    }

    async fn read(&self, name: &str) -> Result<Option<LeaseRecord>, LeaseError> {
        // A name that no lease has, has no record either: but it is told rather than looked for.
        super::lease_key(name, '%')?;
        let cell = self.read_cell(name).await?;
        match found(self, name, &cell)? {
            Found::Nothing => Ok(None),
            Found::Record(record) => Ok(Some(record)),
            Found::Garbage(source) => Err(LeaseError::Corrupt {
                location: self.location(name),
                source,
            }),
        }
    }
}

async fn end<C: LeaseCells>(cells: &C, lease: &Lease, how: End<'_>) -> Result<(), LeaseError> {
    decision::check_end(how)?;
    let written = write(cells, &lease.name, |there, now| {
        decision::end(there, lease, how, now, Uuid::new_v4())
    });
    written.await.map(|_| ())
}

/// The lease that a record gives. It has just been written as one that is held.
fn given(record: &LeaseRecord) -> Result<Lease, LeaseError> {
    record.lease().ok_or_else(|| LeaseError::Lost {
        name: record.name.clone(),
        to: None,
    })
}

enum Written<T> {
    Record(LeaseRecord),
    Answer(T),
}

/// Decides and writes until what was decided on is what was written over.
async fn write<C: LeaseCells, T>(
    cells: &C,
    name: &str,
    decide: impl Fn(Option<&LeaseRecord>, crate::Timestamp) -> Result<Step<T>, LeaseError> + Send + Sync,
) -> Result<Written<T>, LeaseError> {
    let mut cell = cells.read_cell(name).await?;
    for _ in 0..MOST_ROUNDS {
        let there = match found(cells, name, &cell)? {
            Found::Record(record) => Some(record),
            Found::Nothing | Found::Garbage(_) => None,
        };
        let record = match decide(there.as_ref(), cells.clock().now())? {
            Step::Answer(answer) => return Ok(Written::Answer(answer)),
            Step::Write(record) => record,
        };
        match cells
            .swap_cell(name, &cell.version, record.encode().into())
            .await?
        {
            CellSwap::Done => return Ok(Written::Record(record)),
            CellSwap::Lost(now) => cell = now,
        }
    }
    Err(LeaseError::Storage {
        doing: "write",
        location: cells.location(name),
        kind: ErrorKind::Transient,
        source: "others have written it again and again".into(),
    })
}

enum Found {
    Nothing,
    Record(LeaseRecord),
    Garbage(crate::BoxError),
}

fn found<C: LeaseCells>(cells: &C, name: &str, cell: &Cell<C::Version>) -> Result<Found, LeaseError> {
    let Some(content) = &cell.content else {
        return Ok(Found::Nothing);
    };
    match LeaseRecord::decode(content) {
        Ok(record) if record.name == name => Ok(Found::Record(record)),
        Ok(record) => Ok(Found::Garbage(
            format!("it is the record of the lease {:?}", record.name).into(),
        )),
        Err(LeaseRecordError::Newer { found, supported }) => Err(LeaseError::Newer {
            location: cells.location(name),
            found,
            supported,
        }),
        Err(error) => Ok(Found::Garbage(error.into())),
    }
}
