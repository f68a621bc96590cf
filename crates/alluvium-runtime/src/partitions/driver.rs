//! What a process does about its partitions: looks who is alive, takes what it lacks, leaves what is too much.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use alluvium_core::{AssignmentVersion, Clock, LeaseError, Timestamp};
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::claim::{Claim, Leases, Tried};
use super::holding::{Assigned, Ended, Holding, Shared, partition_name};
use super::members::{Count, Members};
use super::share::{order, share};
use super::{HeldPartition, PartitionError, PartitionEvent, PartitionScopes, PartitionsError};
use crate::pauses::Pauses;
use crate::task;

/// The longest pause before a partition is tried again on which the work failed.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

pub(super) struct Driver {
    shared: Arc<Shared>,
    scopes: PartitionScopes,
    leases: Leases,
    members: Members,
    clock: Arc<dyn Clock>,
    look_every: Duration,
    stop: watch::Receiver<bool>,
    /// What this process has, or is still ending.
    running: BTreeMap<u32, Running>,
    tasks: JoinSet<Ended>,
    /// Which partition a task is about.
    of_task: HashMap<Id, u32>,
    /// A handler wanted to stop.
    stopped: bool,
    /// Which failed, and when they are tried again.
    failed: HashMap<u32, (Pauses, Instant)>,
}

struct Running {
    version: AssignmentVersion,
    leave: watch::Sender<bool>,
    /// When it was told to leave, or lost, it does not count.
    leaving: bool,
}

impl Driver {
    pub(super) fn new(
        shared: Arc<Shared>,
        scopes: PartitionScopes,
        leases: Leases,
        members: Members,
        look_every: Duration,
        stop: watch::Receiver<bool>,
    ) -> Self {
        Self {
            shared,
            scopes,
            clock: Arc::clone(&members.clock),
            leases,
            members,
            look_every,
            stop,
            running: BTreeMap::new(),
            tasks: JoinSet::new(),
            of_task: HashMap::new(),
            stopped: false,
            failed: HashMap::new(),
        }
    }

    /// Shares until it is told to stop, or one of its handlers wants to. When it returns nothing of it runs any more.
    pub(super) async fn run(mut self) -> Result<(), PartitionsError> {
        let result = loop {
            let pause = match self.look().await {
                Ok(pause) => pause,
                Err(error) => {
                    let error = Arc::new(error);
                    let shown = Arc::clone(&error);
                    self.shared
                        .status
                        .send_modify(|status| status.error = Some(shown));
                    self.shared
                        .events
                        .tell(&PartitionEvent::LookFailed(Arc::clone(&error)));
                    if matches!(*error, LeaseError::Invalid(_)) {
                        break Err(PartitionsError::Lease(error));
                    }
                    self.look_every
                }
            };
            if self.wait(Instant::now() + pause).await {
                break Ok(());
            }
        };
        self.members.leave().await;
        for partition in self.running.values_mut() {
            partition.leave();
        }
        while let Some(ended) = self.tasks.join_next_with_id().await {
            self.ended(ended);
        }
        result
    }

    /// Waits until then. True if it is to stop.
    async fn wait(&mut self, until: Instant) -> bool {
        let mut stop = self.stop.clone();
        while !self.stopped {
            tokio::select! {
                biased;
                // An error says that the handle is gone, which is to stop, too.
                _ = stop.wait_for(|stop| *stop) => return true,
                Some(ended) = self.tasks.join_next_with_id() => self.ended(ended),
                () = sleep_until(until) => return false,
            }
        }
        true
    }

    fn is_to_stop(&self) -> bool {
        *self.stop.borrow() || self.stop.has_changed().is_err()
    }

    /// Looks who is alive, and takes or leaves partitions. Gives the pause until the next look.
    async fn look(&mut self) -> Result<Duration, LeaseError> {
        let count = self.members.count().await?;
        let share = count
            .rank
            .map_or(0, |rank| share(self.scopes.count(), count.processes, rank));
        let slot = self.members.slot();
        let mut before = (0, 0);
        self.shared.status.send_modify(|status| {
            before = (status.processes, status.share);
            (status.processes, status.share, status.slot) = (count.processes, share, slot);
        });
        if before != (count.processes, share) {
            let processes = count.processes;
            self.shared
                .events
                .tell(&PartitionEvent::Shared { processes, share });
        }
        self.leave_above(share);
        let next = self.acquire_up_to(share, count).await?;
        self.shared.status.send_modify(|status| {
            status.looks = status.looks.saturating_add(1);
            status.error = None;
        });
        // Whoever does not renew is dead: what it had is free at that instant, and need not wait for the next look.
        let over = [next, count.next].into_iter().flatten().min();
        let until_over = over.map_or(self.look_every, |over| over.since(self.clock.now()));
        Ok(until_over.clamp(self.look_every / 10, self.look_every))
    }

    fn active(&self) -> u32 {
        let active = self.running.values().filter(|running| !running.leaving).count();
        u32::try_from(active).unwrap_or(u32::MAX)
    }

    /// Leaves what is above the share: what was acquired last goes first.
    fn leave_above(&mut self, share: u32) {
        let mut above = self.active().saturating_sub(share);
        while above > 0 {
            let staying = self.running.values_mut().filter(|running| !running.leaving);
            let Some(last) = staying.max_by_key(|running| running.version) else {
                return;
            };
            last.leave();
            above -= 1;
        }
    }

    /// Tries those that it does not have, one after the other, until it has its share. When the first of the others is over that it
    /// tried in vain.
    async fn acquire_up_to(&mut self, share: u32, count: Count) -> Result<Option<Timestamp>, LeaseError> {
        let mut next: Option<Timestamp> = None;
        let rank = count.rank.unwrap_or(0);
        for partition in order(self.scopes.count(), count.processes, rank) {
            if self.active() >= share || self.is_to_stop() {
                break;
            }
            let rests = self
                .failed
                .get(&partition)
                .is_some_and(|(_, until)| Instant::now() < *until);
            if rests || self.running.contains_key(&partition) {
                continue;
            }
            match self
                .leases
                .try_acquire(&partition_name(&self.shared.name, partition))
                .await
            {
                Ok(Tried::Claimed(claim)) => self.begin(partition, claim),
                Ok(Tried::Elsewhere(until)) => next = Some(next.map_or(until, |next| next.min(until))),
                // Of a newer Alluvium, which has it or not.
                Err(error @ LeaseError::Newer { .. }) => tracing::warn!(partition, %error),
                Err(error) => return Err(error),
            }
        }
        Ok(next)
    }

    fn begin(&mut self, partition: u32, claim: Arc<Claim>) {
        let version = claim.version();
        let (leave, leaving) = watch::channel(false);
        self.running.insert(
            partition,
            Running {
                version,
                leave,
                leaving: false,
            },
        );
        self.shared.status.send_modify(|status| {
            let at = status.held.partition_point(|held| held.partition < partition);
            let held = HeldPartition {
                partition,
                version,
                leaving: false,
                worker: None,
            };
            status.held.insert(at, held);
        });
        let holding = Holding {
            shared: Arc::clone(&self.shared),
            assigned: Assigned {
                partition,
                version,
                scope: self.scopes.scope(partition),
            },
            claim,
            leave: leaving,
        };
        let task = self.tasks.spawn(holding.run());
        self.of_task.insert(task.id(), partition);
    }

    /// Nothing of it runs any more.
    fn ended(&mut self, ended: Result<(Id, Ended), JoinError>) {
        let (id, ended) = match ended {
            Ok((id, ended)) => (id, ended),
            // Nothing in it panics but by mistake. The lease is over in time.
            Err(error) => {
                let id = error.id();
                let failed = PartitionError::Panicked(task::why(error));
                (id, Ended::Failed(Arc::new(failed)))
            }
        };
        let Some(partition) = self.of_task.remove(&id) else {
            return;
        };
        let Some(Running { version, .. }) = self.running.remove(&partition) else {
            return;
        };
        self.shared
            .status
            .send_modify(|status| status.held.retain(|held| held.partition != partition));
        let pauses = self.failed.remove(&partition).map(|(pauses, _)| pauses);
        let event = match ended {
            Ended::Left(at) => PartitionEvent::Left {
                partition,
                version,
                at,
            },
            Ended::Stopped(at) => {
                self.stopped = true;
                PartitionEvent::Left {
                    partition,
                    version,
                    at: Some(at),
                }
            }
            Ended::Lost(reason) => PartitionEvent::Lost {
                partition,
                version,
                reason,
            },
            Ended::Failed(error) => {
                let mut pauses = pauses.unwrap_or_else(|| Pauses::new(self.look_every, LONGEST_PAUSE));
                let until = Instant::now() + pauses.next();
                self.failed.insert(partition, (pauses, until));
                PartitionEvent::Failed {
                    partition,
                    version,
                    error,
                }
            }
        };
        self.shared.events.tell(&event);
    }
}

impl Running {
    fn leave(&mut self) {
        self.leaving = true;
        self.leave.send_replace(true);
    }
}
