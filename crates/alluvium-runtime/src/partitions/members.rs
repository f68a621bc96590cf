//! Who is alive: processes make themselves known by a lease, each in a slot of its own, and count those of the others.

use std::sync::Arc;

use alluvium_core::lease::Standing;
use alluvium_core::{Clock, LeaseError, Timestamp};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::task::AbortHandle;

use super::claim::{Claim, Leases, Tried};

/// How many slots are read at a time.
const AT_A_TIME: usize = 8;

/// The slots, of which one is this process's.
pub(super) struct Members {
    pub(super) name: String,
    pub(super) slots: u32,
    pub(super) leases: Leases,
    pub(super) clock: Arc<dyn Clock>,
    own: Option<Own>,
}

struct Own {
    slot: u32,
    claim: Arc<Claim>,
    keeper: AbortHandle,
}

impl Drop for Own {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// What a look at the slots told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Count {
    /// How many processes are alive, this one among them.
    pub(super) processes: u32,
    /// The rank of this one, from 0; nothing if there is no slot for it.
    pub(super) rank: Option<u32>,
    /// When the first of the others is over, if it does not renew its lease.
    pub(super) next: Option<Timestamp>,
}

impl Members {
    pub(super) fn new(name: String, slots: u32, leases: Leases, clock: Arc<dyn Clock>) -> Self {
        Self {
            name,
            slots,
            leases,
            clock,
            own: None,
        }
    }

    /// Which slot this process has.
    pub(super) fn slot(&self) -> Option<u32> {
        self.own.as_ref().map(|own| own.slot)
    }

    /// Counts who is alive, and takes a slot if this process has none. A read for each slot, and as long as it has none one more
    /// for each that is free.
    pub(super) async fn count(&mut self) -> Result<Count, LeaseError> {
        if self.own.as_ref().is_some_and(|own| !own.claim.is_valid()) {
            self.own = None;
        }
        let own = self.slot();
        let others = (0..self.slots).filter(|slot| Some(*slot) != own);
        let looking = others.map(|slot| self.look(slot));
        let seen: Vec<(u32, Option<Timestamp>)> =
            stream::iter(looking).buffered(AT_A_TIME).try_collect().await?;
        let mut alive: Vec<(u32, Timestamp)> = Vec::new();
        for (slot, until) in seen {
            match until {
                Some(until) => alive.push((slot, until)),
                None if self.own.is_none() => match self.leases.try_acquire(&self.slot_name(slot)).await? {
                    Tried::Claimed(claim) => self.take(slot, claim),
                    Tried::Elsewhere(until) => alive.push((slot, until)),
                },
                None => {}
            }
        }
        let before = |own: u32| alive.iter().filter(|(slot, _)| *slot < own).count();
        Ok(Count {
            processes: number(alive.len()).saturating_add(u32::from(self.own.is_some())),
            rank: self.slot().map(|own| number(before(own))),
            next: alive.iter().map(|(_, until)| *until).min(),
        })
    }

    /// Until when somebody has a slot, if somebody has.
    async fn look(&self, slot: u32) -> Result<(u32, Option<Timestamp>), LeaseError> {
        let standing = match self.leases.read(&self.slot_name(slot)).await {
            Ok(record) => record.map(|record| record.standing(self.clock.now())),
            Err(LeaseError::Corrupt { .. }) => None,
            Err(error) => return Err(error),
        };
        Ok(match standing {
            Some(Standing::Held(until) | Standing::Resting(until)) => (slot, Some(until)),
            Some(Standing::Free) | None => (slot, None),
        })
    }

    fn take(&mut self, slot: u32, claim: Arc<Claim>) {
        let kept = Arc::clone(&claim);
        let keeper = tokio::spawn(async move { kept.keep().await }).abort_handle();
        self.own = Some(Own { slot, claim, keeper });
    }

    /// Gives the slot back: the others count one less at once.
    pub(super) async fn leave(&mut self) {
        if let Some(own) = self.own.take() {
            own.keeper.abort();
            own.claim.give_back().await;
        }
    }

    fn slot_name(&self, slot: u32) -> String {
        slot_name(&self.name, slot)
    }
}

/// The name of a slot's lease.
pub(super) fn slot_name(name: &str, slot: u32) -> String {
    format!("{name}/process-{slot}")
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
