//! What befalls a cluster.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use alluvium_e2e::feed::Random;
use alluvium_e2e::nats_cluster::NODES;
use alluvium_e2e::{NatsCluster, full};
use futures_util::future::join_all;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How long a node stays away.
const AWAY: Duration = Duration::from_secs(4);
/// From one fault to the next.
pub(crate) const EVERY: Duration = Duration::from_secs(10);

/// One thing that goes wrong, and is mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The stream's leader hands over.
    StepDown,
    /// The cluster's leader hands over.
    StepDownMeta,
    /// The stream's leader is killed, and comes back.
    KillLeader,
    /// Any other node is killed, and comes back: it lies behind then.
    KillFollower,
    /// The stream's leader stops, and goes on when another one has taken its place.
    PauseLeader,
    /// Any other node stops, and goes on.
    PauseFollower,
    /// The leader and another node are killed: nobody can write.
    LoseQuorum,
    /// All nodes are killed.
    KillAll,
}

impl Fault {
    /// Every fault.
    pub(crate) const ALL: [Self; 8] = [
        Self::StepDown,
        Self::KillLeader,
        Self::PauseFollower,
        Self::LoseQuorum,
        Self::StepDownMeta,
        Self::PauseLeader,
        Self::KillAll,
        Self::KillFollower,
    ];

    /// Strikes. `between` is called while the cluster is as bad as it gets, and the cluster is mended when it has returned.
    pub(crate) async fn strike(
        self,
        cluster: &mut NatsCluster,
        stream: &str,
        random: &mut Random,
        between: impl AsyncFnOnce(),
    ) {
        let leader = cluster.leader(stream).await;
        let other = if random.below(2) == 0 { 1 } else { 2 };
        let other = (leader + other) % NODES;
        match self {
            Self::StepDown => {
                cluster.step_down(stream).await;
                between().await;
            }
            Self::StepDownMeta => {
                cluster.step_down_meta().await;
                between().await;
            }
            Self::KillLeader => away(cluster, &[leader], between).await,
            Self::KillFollower => away(cluster, &[other], between).await,
            Self::LoseQuorum => away(cluster, &[leader, other], between).await,
            Self::KillAll => away(cluster, &[0, 1, 2], between).await,
            Self::PauseLeader => {
                cluster.pause(leader);
                cluster.another_leads(stream, leader).await;
                between().await;
                cluster.resume(leader);
            }
            Self::PauseFollower => {
                cluster.pause(other);
                tokio::time::sleep(AWAY).await;
                between().await;
                cluster.resume(other);
            }
        }
    }
}

/// Kills nodes, and brings them back.
async fn away(cluster: &mut NatsCluster, nodes: &[usize], between: impl AsyncFnOnce()) {
    for node in nodes {
        cluster.kill(*node).await;
    }
    // How long a node is away is the fault itself: nothing is waited for.
    tokio::time::sleep(AWAY).await;
    between().await;
    for node in nodes {
        cluster.restart(*node).await;
    }
}

/// What tasks have come to when a storm is over, which is what ends them: each fault that there is, or two minutes.
pub(crate) async fn through_a_storm<T>(
    cluster: &mut NatsCluster,
    stream: &str,
    over: &AtomicBool,
    tasks: Vec<JoinHandle<T>>,
) -> Vec<T> {
    storm(cluster, stream, &Fault::ALL, Duration::from_mins(2)).await;
    over.store(true, Ordering::Relaxed);
    let ended = join_all(tasks).await.into_iter();
    ended.map(|task| task.expect("a task ends well")).collect()
}

/// One fault after the other: each once, or in the full length for so long, one every ten seconds.
pub(crate) async fn storm(cluster: &mut NatsCluster, stream: &str, faults: &[Fault], length: Duration) {
    let (begin, mut random) = (Instant::now(), Random(3));
    for (count, fault) in faults.iter().cycle().enumerate() {
        if count >= faults.len() && (!full() || begin.elapsed() >= length) {
            return;
        }
        let due = Instant::now() + EVERY;
        eprintln!("{:>6.1} s: {fault:?}", begin.elapsed().as_secs_f64());
        fault.strike(cluster, stream, &mut random, async || {}).await;
        cluster.leader(stream).await;
        if full() {
            tokio::time::sleep_until(due).await;
        }
    }
}
