//! Rounds that a fleet shares by a lease.

use std::sync::Arc;
use std::time::Duration;

use alluvium_conformance::{Fault, FaultyStore, ManualClock};
use alluvium_core::{Acquired, Clock, Cursor, Lease, LeaseError, LeaseRecord, LeaseStore, Transport as _};
use alluvium_memory::MemoryLeaseStore;
use alluvium_runtime::{ExportError, ExportOptions, Exported, Round, SkipReason};
use async_trait::async_trait;
use object_store::memory::InMemory;
use tokio::sync::Notify;

use crate::TICK;
use crate::fleet::{Fleet, exports, is_free, key, make_unreadable, mend, rows_of, until_exports};

const LEASE: &str = "export routes";

fn leases(clock: &ManualClock) -> Arc<MemoryLeaseStore> {
    Arc::new(MemoryLeaseStore::new().clock(Arc::new(clock.clone())))
}

#[tokio::test]
async fn of_three_replicas_one_publishes_in_each_round() {
    let (fleet, clock) = (Fleet::new(), ManualClock::default());
    let leases = leases(&clock);
    fleet.log.put("eu", "0");
    let mut replicas = Vec::new();
    for node in ["node-1", "node-2", "node-3"] {
        let schedule = fleet.schedule().every(TICK).lease(leases.clone(), node);
        replicas.push(fleet.replica(schedule).await);
    }
    for round in 1..=10_u64 {
        // By the clock of the leases, all of this is the same instant: who comes second is to rest.
        loop {
            let published: u64 = replicas.iter().map(|replica| exports(replica).published).sum();
            assert!(published <= round, "{published} in round {round}");
            if published == round {
                break;
            }
            tokio::task::yield_now().await;
        }
        for replica in &replicas {
            let before = exports(replica).skipped;
            until_exports(replica, |exports| exports.skipped > before + 1).await;
        }
        assert_eq!(fleet.published().await as u64, round);
        assert_eq!(fleet.newest_rows().await, rows_of(replicas[0].table().as_ref()));
        let record = leases.read(LEASE).await.unwrap().unwrap();
        let note: Cursor = serde_json::from_str(&record.last.unwrap().note).unwrap();
        assert_eq!(
            note,
            fleet.transport.manifest(&key()).await.unwrap().unwrap().cursor
        );

        let last = fleet.log.put("eu", &round.to_string());
        for replica in &replicas {
            replica.wait_for(last).await.unwrap();
        }
        clock.forward(TICK);
    }
    for replica in replicas {
        replica.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_round_that_failed_frees_the_lease_at_once() {
    let store = Arc::new(InMemory::new());
    let (fleet, clock) = (Fleet::on(store.clone()), ManualClock::default());
    let leases = leases(&clock);
    fleet.log.put("eu", "1");
    make_unreadable(store.as_ref()).await;
    let replica = fleet
        .replica(fleet.schedule().lease(leases.clone(), "node-1"))
        .await;
    replica.export_now().await.unwrap_err();
    assert!(is_free(leases.as_ref(), clock.now()).await);
    assert!(leases.read(LEASE).await.unwrap().unwrap().last.is_none());
    mend(store.as_ref()).await;
    replica.export_now().await.unwrap();
    assert!(leases.read(LEASE).await.unwrap().unwrap().last.is_some());
}

#[tokio::test]
async fn a_round_that_another_node_is_at_is_left_to_it_and_one_that_rests_is_not_if_it_is_asked_for() {
    let (fleet, clock) = (Fleet::new(), ManualClock::default());
    let leases = leases(&clock);
    fleet.log.put("eu", "1");
    let replica = fleet
        .replica(fleet.schedule().lease(leases.clone(), "node-1"))
        .await;
    let ttl = Duration::from_secs(30);
    let lease = leases
        .try_acquire(LEASE, "node-2", ttl)
        .await
        .unwrap()
        .lease()
        .unwrap();
    assert_eq!(
        replica.export_now().await.unwrap(),
        Round::Skipped(SkipReason::HeldElsewhere {
            by: "node-2".to_owned(),
            until: clock.now().saturating_add(ttl)
        })
    );
    assert_eq!(fleet.published().await, 0);
    leases.complete(lease, "", ttl).await.unwrap();
    let asked = replica.export_now().await.unwrap();
    assert!(
        matches!(asked, Round::Exported(Exported::Published(_))),
        "{asked:?}"
    );
    // The rest is still that of the other one.
    assert!(!is_free(leases.as_ref(), clock.now()).await);
}

#[tokio::test]
async fn a_shutdown_in_the_middle_of_a_round_is_prompt_and_frees_the_lease() {
    // The first segments are on their way, and the store hangs.
    let sound = Arc::new(InMemory::new());
    let store = FaultyStore::failing(sound.clone(), 4, Fault::TimeOut);
    let (fleet, clock) = (Fleet::on(Arc::new(store)), ManualClock::default());
    let leases = leases(&clock);
    for number in 0..2_000 {
        fleet.log.put(&format!("key.{number}"), &"value".repeat(20));
    }
    let begun = Arc::new(Notify::new());
    let tells = Arc::clone(&begun);
    let options = ExportOptions::default()
        .segment_bytes(10_000)
        .on_progress(move |_| tells.notify_one());
    let schedule = fleet.schedule().options(options).lease(leases.clone(), "node-1");
    let replica = fleet.replica(schedule).await;
    let (exported, ()) = tokio::join!(replica.export_now(), async {
        begun.notified().await;
        assert!(!is_free(leases.as_ref(), clock.now()).await);
        replica.stop();
    });
    assert!(
        matches!(
            exported.as_ref().map_err(AsRef::as_ref),
            Err(ExportError::Stopped)
        ),
        "{exported:?}"
    );
    let stopped = tokio::time::timeout(Duration::from_secs(10), replica.shutdown()).await;
    stopped.expect("it is prompt").unwrap();
    assert!(is_free(leases.as_ref(), clock.now()).await);
    assert_eq!(Fleet::on(sound).published().await, 0);
}

/// Leases that tell when a renewal has found one lost.
struct Told {
    inner: Arc<MemoryLeaseStore>,
    lost: Arc<Notify>,
}

#[async_trait]
impl LeaseStore for Told {
    async fn try_acquire(&self, name: &str, holder: &str, ttl: Duration) -> Result<Acquired, LeaseError> {
        self.inner.try_acquire(name, holder, ttl).await
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<Lease, LeaseError> {
        let renewed = self.inner.renew(lease, ttl).await;
        if renewed.is_err() {
            self.lost.notify_one();
        }
        renewed
    }

    async fn complete(&self, lease: Lease, note: &str, rest: Duration) -> Result<(), LeaseError> {
        self.inner.complete(lease, note, rest).await
    }

    async fn abandon(&self, lease: Lease) -> Result<(), LeaseError> {
        self.inner.abandon(lease).await
    }

    async fn read(&self, name: &str) -> Result<Option<LeaseRecord>, LeaseError> {
        self.inner.read(name).await
    }
}

#[tokio::test]
async fn a_lease_that_is_lost_before_the_upload_ends_the_round_and_is_left_to_its_holder() {
    let (fleet, clock) = (Fleet::new(), ManualClock::default());
    let leases = leases(&clock);
    let told_lost = Arc::new(Notify::new());
    let told = Arc::new(Told {
        inner: leases.clone(),
        lost: told_lost.clone(),
    });
    fleet.log.put("eu", "1");
    let ttl = Duration::from_millis(60);
    let replica = fleet
        .replica(fleet.schedule().lease(told, "node-1").lease_ttl(ttl))
        .await;
    replica.export_now().await.unwrap();
    let last = fleet.log.put("eu", "2");
    replica.wait_for(last).await.unwrap();

    // The second round waits for the log to say what it holds of the artifact of the first one.
    let gate = fleet.log.gate();
    let held = gate.acquire().await.unwrap();
    let (round, ()) = tokio::join!(replica.export_now(), async {
        while is_free(leases.as_ref(), clock.now()).await {
            tokio::task::yield_now().await;
        }
        // A renewal may come first.
        while leases
            .try_acquire(LEASE, "node-2", ttl)
            .await
            .unwrap()
            .lease()
            .is_none()
        {
            clock.forward(ttl);
        }
        told_lost.notified().await;
        drop(held);
    });
    assert_eq!(round.unwrap(), Round::Skipped(SkipReason::LeaseLost));
    assert_eq!(fleet.published().await, 1);
    let holder = leases.try_acquire(LEASE, "node-3", ttl).await.unwrap();
    assert!(
        matches!(&holder, Acquired::Held { by, .. } if by == "node-2"),
        "{holder:?}"
    );
}
