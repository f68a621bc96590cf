//! `KvLeaseStore` in a bucket of three replicas whose leader changes: at most one holds a lease.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use alluvium::{
    Acquired, Clock as _, ErrorKind, KvLeaseStore, Lease, LeaseError, LeaseStore, SystemClock, Timestamp,
};
use alluvium_e2e::NatsCluster;
use alluvium_e2e::feed::Random;
use alluvium_e2e::nats_cluster::NODES;

use crate::faults::{Fault, through_a_storm};

const NAME: &str = "export routes";
const BUCKET: &str = "leases";
const STREAM: &str = "KV_leases";
/// What is left behind by an answer that was lost keeps everybody out for so long.
const TTL: Duration = Duration::from_secs(2);

/// One acquisition, from its answer to when it was given back, or over.
struct Held {
    from: Timestamp,
    to: Timestamp,
    version: u64,
    holder: usize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_most_one_holds_a_lease_whoever_leads() {
    let mut cluster = NatsCluster::start().await;
    let over = Arc::new(AtomicBool::new(false));
    let mut holders = Vec::new();
    for holder in 0..3 {
        let leases = KvLeaseStore::builder(cluster.client().await, BUCKET)
            .create(NODES)
            .request_timeout(Duration::from_secs(2))
            .open()
            .await
            .expect("the bucket is opened");
        let over = Arc::clone(&over);
        holders.push(tokio::spawn(async move { compete(&leases, holder, &over).await }));
    }
    let held = through_a_storm(&mut cluster, STREAM, &over, holders).await;
    let mut held: Vec<Held> = held.into_iter().flatten().collect();
    held.sort_by_key(|held| held.from);
    for pair in held.windows(2) {
        let [before, after] = pair else { continue };
        assert!(
            before.to <= after.from,
            "{} held it until {:?}, {} from {:?} on",
            before.holder,
            before.to,
            after.holder,
            after.from
        );
        assert!(
            before.version < after.version,
            "the assignment version does not rise"
        );
    }
    eprintln!("{} acquisitions", held.len());
    assert!(held.len() > Fault::ALL.len(), "hardly anybody acquired it");
}

/// Acquires the lease again and again, and gives it back, or not.
async fn compete(leases: &KvLeaseStore, holder: usize, over: &AtomicBool) -> Vec<Held> {
    let (mut random, mut held) = (Random(holder as u64), Vec::new());
    while !over.load(Ordering::Relaxed) {
        match leases.try_acquire(NAME, &format!("holder {holder}"), TTL).await {
            Ok(Acquired::Yes(lease)) => held.push(work(leases, lease, holder, &mut random).await),
            Ok(Acquired::Held { .. } | Acquired::Resting { .. }) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::Transient, "{error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(10 + random.below(30))).await;
    }
    held
}

async fn work(leases: &KvLeaseStore, mut lease: Lease, holder: usize, random: &mut Random) -> Held {
    let from = SystemClock.now();
    let version = lease.assignment_version().get();
    for _ in 0..random.below(3) {
        tokio::time::sleep(Duration::from_millis(random.below(200))).await;
        match leases.renew(&lease, TTL).await {
            Ok(renewed) => lease = renewed,
            Err(LeaseError::Lost { .. }) => {
                // It was over before somebody else acquired it.
                assert!(SystemClock.now() > lease.until(), "it was taken away");
                break;
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::Transient, "{error:?}"),
        }
    }
    let to = SystemClock.now().min(lease.until());
    let given_back = match random.below(8) {
        // Forgotten: it is over in time.
        0 => {
            return Held {
                from,
                to: lease.until(),
                version,
                holder,
            };
        }
        1..4 => leases.abandon(lease).await,
        _ => leases.complete(lease, "done", Duration::ZERO).await,
    };
    if let Err(error) = given_back {
        assert!(
            matches!(error, LeaseError::Lost { .. }) || error.kind() == ErrorKind::Transient,
            "{error:?}"
        );
    }
    Held {
        from,
        to,
        version,
        holder,
    }
}
