//! A log, its leases and cursors, and processes that share them: each with a wire of its own to the leases, which can be cut.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use alluvium_core::{
    Acquired, Clock, CursorStore, ErrorKind, Lease, LeaseError, LeaseRecord, LeaseStore, Timestamp,
};
use alluvium_memory::{MemoryCursorStore, MemoryLeaseStore, MemoryLog};
use alluvium_runtime::{
    Action, Delivery, HeldPartition, LossReason, PartitionEvent, PartitionScopes, Partitions,
    PartitionsBuilder, PartitionsStatus,
};
use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::seen::Seen;

pub(crate) const TTL: Duration = Duration::from_secs(6);
/// A sixth of it, as by default.
pub(crate) const LOOK: Duration = Duration::from_secs(1);

/// The clock of the test's runtime: it stands still while anything runs, and jumps when nothing does.
struct RunClock(Instant);

impl Clock for RunClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(1_700_000_000_000_000_000).saturating_add(self.0.elapsed())
    }
}

/// What the processes share.
pub(crate) struct Place {
    pub(crate) log: MemoryLog,
    pub(crate) leases: MemoryLeaseStore,
    pub(crate) cursors: MemoryCursorStore,
    pub(crate) effects: Seen<Effect>,
    partitions: u32,
    clock: Arc<dyn Clock>,
}

/// A message that was handled.
#[derive(Clone, Debug)]
pub(crate) struct Effect {
    pub(crate) process: &'static str,
    pub(crate) partition: u32,
    pub(crate) version: u64,
    pub(crate) sequence: u64,
}

impl Place {
    pub(crate) fn of(partitions: u32) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(RunClock(Instant::now()));
        Self {
            log: MemoryLog::new("ORDERS"),
            leases: MemoryLeaseStore::new().clock(Arc::clone(&clock)),
            cursors: MemoryCursorStore::new(),
            effects: Seen::default(),
            partitions,
            clock,
        }
    }

    /// Appends so many messages to each partition.
    pub(crate) fn fill(&self, messages: u32) {
        for number in 0..messages {
            for partition in 0..self.partitions {
                self.log
                    .put(format!("orders.{partition}.{}", number % 3), number.to_string());
            }
        }
    }

    pub(crate) fn builder(
        &self,
        name: &'static str,
        leases: Arc<dyn LeaseStore>,
        cursors: Arc<dyn CursorStore>,
    ) -> PartitionsBuilder {
        let scopes = PartitionScopes::new("orders.{partition}.>", self.partitions).unwrap();
        Partitions::builder("counter", Arc::new(self.log.clone()), scopes, leases, cursors)
            .held_by(name)
            .ttl(TTL)
            .clock(Arc::clone(&self.clock))
    }

    pub(crate) fn wire(&self) -> Wire {
        Wire {
            leases: Arc::new(self.leases.clone()),
            cut: Arc::default(),
            calls: Arc::default(),
        }
    }

    pub(crate) fn process(&self, name: &'static str) -> Process {
        self.process_with(name, Arc::new(self.cursors.clone()), |builder| builder)
    }

    pub(crate) fn process_with(
        &self,
        name: &'static str,
        cursors: Arc<dyn CursorStore>,
        change: impl FnOnce(PartitionsBuilder) -> PartitionsBuilder,
    ) -> Process {
        let wire = self.wire();
        let (events, hand) = (Seen::default(), Hand::default());
        let builder = change(self.builder(name, Arc::new(wire.clone()), cursors)).on_event(events.call());
        let (effects, held) = (self.effects.clone(), hand.clone());
        let partitions = builder.start(move |assigned, worker| {
            let (effects, held) = (effects.clone(), held.clone());
            async move {
                let handler = move |delivery: Delivery| {
                    let (effects, held) = (effects.clone(), held.clone());
                    async move {
                        assert_eq!(delivery.evidence().assignment, assigned.version);
                        held.pass(assigned.partition).await;
                        effects.extend(delivery.iter().map(|message| Effect {
                            process: name,
                            partition: assigned.partition,
                            version: assigned.version.get(),
                            sequence: message.sequence.get(),
                        }));
                        Ok(Action::Continue)
                    }
                };
                Ok(worker.max_batch(7, 1 << 20).start(handler).await?)
            }
        });
        Process {
            partitions: partitions.unwrap(),
            events,
            wire,
            hand,
        }
    }

    /// Every message was handled, in the order of its partition but for what was given again, by versions that do not fall.
    pub(crate) fn check_effects(&self, messages: u32) {
        let mut by_partition: BTreeMap<u32, Vec<Effect>> = BTreeMap::new();
        for effect in self.effects.all() {
            by_partition.entry(effect.partition).or_default().push(effect);
        }
        assert_eq!(by_partition.len(), self.partitions as usize);
        for effects in by_partition.values() {
            assert!(effects.is_sorted_by_key(|effect| effect.version), "{effects:?}");
            let mut first_times: Vec<u64> = Vec::new();
            for effect in effects {
                if !first_times.contains(&effect.sequence) {
                    first_times.push(effect.sequence);
                }
            }
            assert!(first_times.is_sorted(), "{effects:?}");
            assert_eq!(first_times.len(), messages as usize, "{effects:?}");
        }
    }

    /// How many messages were handled at least once.
    pub(crate) fn handled(&self) -> usize {
        let all = self.effects.all();
        all.iter()
            .map(|effect| effect.sequence)
            .collect::<BTreeSet<_>>()
            .len()
    }
}

/// One of the processes.
pub(crate) struct Process {
    pub(crate) partitions: Partitions,
    pub(crate) events: Seen<(Instant, PartitionEvent)>,
    pub(crate) wire: Wire,
    pub(crate) hand: Hand,
}

impl Process {
    pub(crate) fn held(&self) -> Vec<u32> {
        let held = self.partitions.status().held;
        held.iter().map(|held| held.partition).collect()
    }

    pub(crate) async fn until(&self, is: impl FnMut(&PartitionsStatus) -> bool) -> PartitionsStatus {
        let mut status = self.partitions.watch_status();
        let waited = tokio::time::timeout(Duration::from_mins(10), status.wait_for(is)).await;
        waited.expect("it gets there").expect("it tells").clone()
    }

    /// Waits until it works on so many partitions, and on no others.
    pub(crate) async fn until_works_on(&self, partitions: usize) {
        let works = |held: &HeldPartition| held.worker().is_some() && !held.leaving;
        self.until(|status| status.held.len() == partitions && status.held.iter().all(works))
            .await;
    }

    /// When it lost a partition, and why.
    pub(crate) fn losses(&self) -> Vec<(Instant, u32, LossReason)> {
        let events = self.events.all().into_iter();
        let losses = events.filter_map(|(at, event)| match event {
            PartitionEvent::Lost {
                partition, reason, ..
            } => Some((at, partition, reason)),
            _ => None,
        });
        losses.collect()
    }

    /// When it acquired a partition.
    pub(crate) fn acquisitions(&self) -> Vec<(Instant, u32)> {
        let events = self.events.all().into_iter();
        let acquired = events.filter_map(|(at, event)| match event {
            PartitionEvent::Acquired { partition, .. } => Some((at, partition)),
            _ => None,
        });
        acquired.collect()
    }
}

/// Handlers of a process that can be made to wait.
#[derive(Clone)]
pub(crate) struct Hand(Arc<watch::Sender<(bool, BTreeSet<u32>)>>);

impl Default for Hand {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::default()))
    }
}

impl Hand {
    /// Whoever is called from now on waits.
    pub(crate) fn close(&self) {
        self.0.send_modify(|state| state.0 = true);
    }

    pub(crate) fn open(&self) {
        self.0.send_modify(|state| state.0 = false);
    }

    /// Waits until the handlers of so many partitions wait.
    pub(crate) async fn until_waits(&self, partitions: usize) {
        let mut watching = self.0.subscribe();
        watching
            .wait_for(|state| state.1.len() >= partitions)
            .await
            .unwrap();
    }

    async fn pass(&self, partition: u32) {
        self.0.send_modify(|state| {
            if state.0 {
                state.1.insert(partition);
            }
        });
        let mut watching = self.0.subscribe();
        watching.wait_for(|state| !state.0).await.unwrap();
    }
}

/// Leases that can be cut off, and count what is asked of them.
#[derive(Clone)]
pub(crate) struct Wire {
    leases: Arc<dyn LeaseStore>,
    pub(crate) cut: Arc<AtomicBool>,
    pub(crate) calls: Arc<AtomicU64>,
}

impl Wire {
    pub(crate) fn cut(&self, cut: bool) {
        self.cut.store(cut, Ordering::SeqCst);
    }

    fn pass(&self) -> Result<&dyn LeaseStore, LeaseError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if self.cut.load(Ordering::SeqCst) {
            return Err(LeaseError::Storage {
                doing: "reach",
                location: "the leases".to_owned(),
                kind: ErrorKind::Transient,
                source: "the wire is cut".into(),
            });
        }
        Ok(&*self.leases)
    }
}

#[async_trait]
impl LeaseStore for Wire {
    async fn try_acquire(&self, name: &str, holder: &str, ttl: Duration) -> Result<Acquired, LeaseError> {
        self.pass()?.try_acquire(name, holder, ttl).await
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<Lease, LeaseError> {
        self.pass()?.renew(lease, ttl).await
    }

    async fn complete(&self, lease: Lease, note: &str, rest: Duration) -> Result<(), LeaseError> {
        self.pass()?.complete(lease, note, rest).await
    }

    async fn abandon(&self, lease: Lease) -> Result<(), LeaseError> {
        self.pass()?.abandon(lease).await
    }

    async fn read(&self, name: &str) -> Result<Option<LeaseRecord>, LeaseError> {
        self.pass()?.read(name).await
    }
}

impl Seen<(Instant, PartitionEvent)> {
    fn call(&self) -> impl Fn(&PartitionEvent) + Send + Sync + 'static {
        let seen = self.clone();
        move |event| seen.push((Instant::now(), event.clone()))
    }
}
