//! What becomes of the partitions of a process that is cut off, late, or robbed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use alluvium_core::lease::LeaseCells;
use alluvium_core::{CursorRecord, CursorStore, CursorStoreError, HeldCursor, Lease, LeaseStore as _};
use alluvium_memory::MemoryCursorStore;
use alluvium_runtime::{Action, Delivery, HeldPartition, LossReason, PartitionEvent};
use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::support::{LOOK, Place, TTL};
use crate::eventually::eventually;

#[tokio::test(start_paused = true)]
async fn who_cannot_renew_stops_before_anybody_takes_over_and_commits_nothing() {
    let place = Place::of(4);
    let (first, second) = (place.process("first"), place.process("second"));
    first.until_works_on(2).await;
    second.until_works_on(2).await;
    let of_first = first.held();
    first.hand.close();
    place.fill(5);
    first.hand.until_waits(2).await;

    let cut = Instant::now();
    first.wire.cut(true);
    second.until_works_on(4).await;
    let losses = first.losses();
    assert_eq!(losses.len(), 2, "{losses:?}");
    for (lost, partition, reason) in &losses {
        assert!(of_first.contains(partition));
        assert!(
            matches!(reason, LossReason::NotRenewed { error: Some(_) }),
            "{reason:?}"
        );
        let acquired = second.acquisitions();
        let (taken, _) = acquired.iter().find(|(_, other)| other == partition).unwrap();
        assert!(lost <= taken, "{partition} had two");
        assert!(*taken - cut <= TTL + LOOK, "taken over after {:?}", *taken - cut);
    }
    // What was in hand was not committed, and its handlers were cancelled: it is the other's.
    first.hand.open();
    eventually("the last message", || place.handled() == 20).await;
    assert!(
        place
            .effects
            .all()
            .iter()
            .filter(|effect| of_first.contains(&effect.partition))
            .all(|effect| effect.process == "second")
    );

    // It comes back, and has its share again.
    first.wire.cut(false);
    first.until_works_on(2).await;
    second.until_works_on(2).await;
    place.fill(5);
    eventually("the last message", || place.handled() == 40).await;
    place.check_effects(10);
}

const LEASE: &str = "counter/partition-0";

/// Takes the lease of the first partition away from whoever has it.
async fn rob(place: &Place) -> Lease {
    let cell = place.leases.read_cell(LEASE).await.unwrap();
    let damaged = place.leases.swap_cell(LEASE, &cell.version, "damaged".into());
    damaged.await.unwrap();
    let robber = place.leases.try_acquire(LEASE, "robber", TTL * 2).await;
    robber.unwrap().lease().expect("what is damaged is free")
}

/// Such as by somebody whose clock is ahead, or after damage: the one who had it is told at the next renewal.
#[tokio::test(start_paused = true)]
async fn who_is_robbed_of_its_lease_stops_at_once() {
    let place = Place::of(1);
    let first = place.process("first");
    first.until_works_on(1).await;
    first.hand.close();
    place.fill(3);
    first.hand.until_waits(1).await;

    // What tells versions apart when a record is lost is the time.
    tokio::time::sleep(Duration::from_millis(10)).await;
    let robber = rob(&place).await;
    assert!(robber.assignment_version() > first.partitions.status().held[0].version);
    first.until(|status| status.held.is_empty()).await;
    let losses = first.losses();
    assert!(
        matches!(&losses[..], [(_, 0, LossReason::TakenOver { by: Some(by) })] if by == "robber"),
        "{losses:?}"
    );
    let record = place.cursors.load(LEASE).await.unwrap().unwrap();
    assert_eq!(record.cursor.sequence.get(), 0, "nothing was committed");

    // It waits until the lease is over, and goes on.
    first.hand.open();
    first.until_works_on(1).await;
    eventually("the last message", || place.handled() == 3).await;
    let version = place.effects.all()[0].version;
    assert!(version > robber.assignment_version().get());
    place.check_effects(3);
}

/// A store whose first hold arrives when nobody waits for it any more, as if its process had been stopped in between.
struct LateHold {
    cursors: MemoryCursorStore,
    is_late: AtomicBool,
    go: Arc<Notify>,
    held: Arc<Notify>,
}

#[async_trait]
impl CursorStore for LateHold {
    async fn hold(&self, name: &str) -> Result<Arc<dyn HeldCursor>, CursorStoreError> {
        if self.is_late.swap(false, Ordering::SeqCst) {
            let (cursors, go, held) = (self.cursors.clone(), self.go.clone(), self.held.clone());
            let name = name.to_owned();
            let late = tokio::spawn(async move {
                go.notified().await;
                let holding = cursors.hold(&name).await;
                held.notify_one();
                holding
            });
            return late.await.unwrap();
        }
        self.cursors.hold(name).await
    }

    async fn load(&self, name: &str) -> Result<Option<CursorRecord>, CursorStoreError> {
        self.cursors.load(name).await
    }

    async fn remove(&self, name: &str) -> Result<(), CursorStoreError> {
        self.cursors.remove(name).await
    }

    async fn list(&self) -> Result<Vec<String>, CursorStoreError> {
        self.cursors.list().await
    }
}

#[tokio::test(start_paused = true)]
async fn one_who_holds_the_cursor_too_late_does_nothing_and_the_other_goes_on() {
    let place = Place::of(1);
    let (go, held) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let late = LateHold {
        cursors: place.cursors.clone(),
        is_late: AtomicBool::new(true),
        go: Arc::clone(&go),
        held: Arc::clone(&held),
    };
    let first = place.process_with("first", Arc::new(late), |builder| builder);
    eventually("the lease", || !first.acquisitions().is_empty()).await;
    first.wire.cut(true);
    let second = place.process("second");
    second.until_works_on(1).await;
    place.fill(3);
    eventually("the first messages", || place.handled() == 3).await;

    // Now what the first had asked for happens, and the second is fenced.
    go.notify_one();
    held.notified().await;
    place.fill(3);
    eventually("the last messages", || place.handled() == 6).await;
    let disturbed =
        |(_, event): &(Instant, PartitionEvent)| matches!(event, PartitionEvent::Disturbed { .. });
    eventually("the news", || second.events.all().iter().any(disturbed)).await;
    // It gives again what it could not commit, and commits it.
    let committed = || {
        let held = second.partitions.status().held;
        held.first()
            .and_then(HeldPartition::worker)
            .map(|worker| worker.committed.sequence.get())
    };
    eventually("the last commit", || committed() == Some(6)).await;
    assert!(
        place
            .effects
            .all()
            .iter()
            .all(|effect| effect.process == "second")
    );
    assert!(second.losses().is_empty());
    second.partitions.stop_and_join().await.unwrap();
    place.check_effects(6);
    let record = place.cursors.load("counter/partition-0").await.unwrap().unwrap();
    assert_eq!(record.cursor.sequence.get(), 6);
}

/// One that does get its cursor, when the lease is another's already.
#[tokio::test(start_paused = true)]
async fn one_whose_lease_went_while_it_took_the_cursor_does_not_begin() {
    let place = Place::of(1);
    place.fill(3);
    let go = Arc::new(Notify::new());
    let late = LateHold {
        cursors: place.cursors.clone(),
        is_late: AtomicBool::new(true),
        go: Arc::clone(&go),
        held: Arc::default(),
    };
    let first = place.process_with("first", Arc::new(late), |builder| builder);
    eventually("the lease", || !first.acquisitions().is_empty()).await;
    let _robber = rob(&place).await;
    go.notify_one();
    eventually("the loss", || !first.losses().is_empty()).await;
    let began = |(_, event): &(Instant, PartitionEvent)| matches!(event, PartitionEvent::Started { .. });
    assert!(!first.events.all().iter().any(began));
    assert_eq!(place.handled(), 0);
}

/// A handler that is done with its work at the last moment, when the lease is over by the process's own clock.
#[tokio::test(start_paused = true)]
async fn what_is_done_when_the_lease_is_over_is_not_committed() {
    let place = Place::of(1);
    place.fill(3);
    let (wire, begun) = (place.wire(), Arc::new(AtomicBool::new(false)));
    let begins = Arc::clone(&begun);
    let leases = Arc::new(wire.clone());
    let partitions = place
        .builder("first", leases, Arc::new(place.cursors.clone()))
        .start(move |_, worker| {
            let begins = Arc::clone(&begins);
            let handler = move |delivery: &Delivery| {
                begins.store(true, Ordering::SeqCst);
                while !delivery.is_cancelled() {
                    std::thread::yield_now();
                }
                Ok(Action::Continue)
            };
            async move { Ok(worker.start_blocking(handler).await?) }
        })
        .unwrap();
    // The clock does not move by itself while a thread works.
    while !begun.load(Ordering::SeqCst) {
        tokio::time::advance(Duration::from_millis(10)).await;
    }
    wire.cut(true);
    let mut status = partitions.watch_status();
    while !status.borrow().held[0].leaving {
        tokio::time::advance(Duration::from_millis(10)).await;
    }
    // From here on it stands still until the handler has returned.
    status.wait_for(|status| status.held.is_empty()).await.unwrap();
    let record = place.cursors.load(LEASE).await.unwrap().unwrap();
    assert_eq!(record.cursor.sequence.get(), 0, "nothing was committed");
}

/// A process that is gone from one moment to the next, as its runtime is: its leases stay until they are over.
#[test]
fn who_is_gone_is_succeeded_when_its_leases_are_over() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap()
    };
    let (living, dying) = (runtime(), runtime());
    let place = living.block_on(async { Place::of(3) });
    place.fill(4);
    let gone = dying.block_on(async {
        let gone = place.process("gone");
        gone.until_works_on(3).await;
        gone.hand.close();
        place.fill(4);
        gone.hand.until_waits(3).await;
        gone
    });
    drop(dying);
    living.block_on(async {
        let begun = Instant::now();
        let heir = place.process("heir");
        heir.until_works_on(3).await;
        assert!(begun.elapsed() >= TTL / 2, "{:?}", begun.elapsed());
        assert!(begun.elapsed() <= TTL + LOOK, "{:?}", begun.elapsed());
        eventually("the last message", || place.handled() == 24).await;
        heir.partitions.stop_and_join().await.unwrap();
        place.check_effects(8);
    });
    drop(gone);
}
