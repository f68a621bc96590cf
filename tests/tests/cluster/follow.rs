//! A bucket that is written and followed while its cluster goes from one trouble to the next.

use std::time::Duration;

use alluvium::{Plan, State};
use alluvium_e2e::NatsCluster;
use alluvium_e2e::engine::EngineKind;
use alluvium_e2e::feed::Random;
use alluvium_e2e::nats_cluster::PATIENCE;
use tokio::time::Instant;

use crate::bucket::{Bucket, at_length, consumers_become};
use crate::faults::{EVERY, Fault};
use crate::followers::{Follower, replica};
use crate::writer::Writer;

const ENGINES: [EngineKind; 2] = [EngineKind::Memory, EngineKind::Fjall];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_is_the_bucket_after_every_fault_of_its_cluster() {
    let mut cluster = NatsCluster::start().await;
    let bucket = Bucket::create(&cluster, "routes", 1).await;
    let mut followers = Vec::new();
    for engine in ENGINES {
        followers.push(Follower::start(&cluster, &bucket, engine).await);
    }
    let writer = Writer::start(&cluster, bucket.name, 7).await;
    let mut random = Random(11);
    let begin = Instant::now();
    let length = at_length(Duration::from_mins(10), Duration::ZERO);
    let mut faults = 0_u32;
    // Each fault at least once.
    for fault in Fault::ALL.iter().cycle() {
        if begin.elapsed() >= length && faults as usize >= Fault::ALL.len() {
            break;
        }
        let due = Instant::now() + at_length(EVERY, Duration::from_secs(1));
        eprintln!("{:>6.1} s: {fault:?}", begin.elapsed().as_secs_f64());
        fault
            .strike(&mut cluster, &bucket.stream, &mut random, async || {
                if matches!(fault, Fault::LoseQuorum | Fault::KillAll) {
                    for follower in &followers {
                        follower.becomes(State::Stalled, PATIENCE).await;
                        assert!(follower.status().error.is_some() && follower.status().is_stale());
                    }
                }
            })
            .await;
        faults += 1;
        cluster.leader(&bucket.stream).await;
        for follower in &followers {
            follower.becomes(State::Live, PATIENCE).await;
        }
        tokio::time::sleep_until(due).await;
    }
    let ledger = writer.stop().await;
    cluster.usable().await;
    cluster.in_step(&bucket.stream).await;
    let (truth, last) = (bucket.truth().await, bucket.last().await);
    eprintln!(
        "{faults} faults in {:.0} s: {} writes, {} without an answer, {} keys",
        begin.elapsed().as_secs_f64(),
        ledger.acknowledgements,
        ledger.unanswered,
        truth.len()
    );
    ledger.check(&truth);
    for follower in &followers {
        follower.reaches(last, PATIENCE).await;
        assert!(follower.rows() == truth, "{}", difference(follower, &truth));
        let cursor = follower.table().cursor().expect("a cursor");
        assert_eq!(cursor.sequence, last, "{}", follower.engine);
        assert_eq!(
            i128::from(cursor.timestamp.as_nanos()),
            bucket.stored_at(last).await
        );
        let status = follower.status();
        eprintln!(
            "{}: read anew {} times, {:?}",
            follower.engine, status.restarts, status.plan
        );
        // A cluster that keeps what it acknowledges gives no reason to list a bucket again.
        assert!(
            matches!(status.plan, Some(Plan::Resume { .. })),
            "{:?}",
            status.plan
        );
    }
    consumers_become(&cluster, &bucket.stream, ENGINES.len()).await;
    for (follower, engine) in followers.into_iter().zip(ENGINES) {
        let home = follower.stop().await;
        let (again, _state) = replica(&home, &cluster, &bucket, engine).await;
        again.caught_up().await.expect("the replica goes on");
        assert_eq!(again.status().changes, 0, "{engine} read again what it had");
        again.shutdown().await.expect("the replica ends well");
    }
    consumers_become(&cluster, &bucket.stream, 0).await;
}

/// What a table has and the bucket has not, and the other way round.
fn difference(follower: &Follower, truth: &alluvium_e2e::bucket::Rows) -> String {
    let rows = follower.rows();
    let too_many = rows.iter().filter(|(key, row)| truth.get(*key) != Some(row));
    let missing = truth.iter().filter(|(key, row)| rows.get(*key) != Some(row));
    let show = |(key, row): (&Vec<u8>, &(Vec<u8>, u64))| (String::from_utf8_lossy(key).into_owned(), row.1);
    format!(
        "{}: the table has {:?}, the bucket {:?}",
        follower.engine,
        too_many.map(show).collect::<Vec<_>>(),
        missing.map(show).collect::<Vec<_>>()
    )
}
