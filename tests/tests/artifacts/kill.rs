//! A node that is killed with SIGKILL at random moments while it begins with an artifact.

use std::collections::HashMap;
use std::path::Path;

use alluvium::artifact::ArtifactManifest;
use alluvium::{ExportOptions, ExportSchedule, Exported, Replica, Round, Transport};
use alluvium_e2e::bucket::{Bucket, Rows};
use alluvium_e2e::engine::EngineKind;
use alluvium_e2e::feed::Random;
use alluvium_e2e::node::{CaughtUp, Node, Orders, Part, Told};
use alluvium_e2e::state::StateHome;
use alluvium_e2e::{Depot, NatsServer, S3Server};

const KEY: &str = "routes";
/// Keys in the base, among them those that change afterwards.
const KEYS: u64 = 10_000;
const CHANGED: u64 = 1_000;
/// What comes after the artifact.
const TAIL: u64 = 150;
const SEGMENT_BYTES: usize = 64 << 10;
/// Turns of a loop, within which the kill comes after a report: about as long as a segment takes.
const PAUSE: u64 = 300_000;

/// Stores one value under each key, and waits until the server has all of them.
async fn put(bucket: &Bucket, keys: impl Iterator<Item = String>, value: &str) {
    let mut sent = Vec::new();
    for key in keys {
        let value = format!("{value} of {key}, {}", "x".repeat(150));
        let published = bucket.context.publish(format!("$KV.b.{key}"), value.into()).await;
        sent.push(published.unwrap());
        if sent.len() == 500 {
            for one in sent.drain(..) {
                one.await.unwrap();
            }
        }
    }
    for one in sent {
        one.await.unwrap();
    }
}

/// An artifact of a base and a delta, and what the bucket held then.
async fn export(server: &NatsServer, bucket: &Bucket, depot: &Depot) -> (ArtifactManifest, Rows) {
    let home = StateHome::new(EngineKind::Memory);
    let (_state, log, table) = home.parts(server, "b").await;
    let options = ExportOptions::default().segment_bytes(SEGMENT_BYTES);
    let schedule = ExportSchedule::new(depot.transport(), KEY.parse().unwrap()).options(options);
    let replica = Replica::builder(log, table)
        .export(schedule)
        .start()
        .await
        .unwrap();
    for round in 0..2 {
        let keys = if round == 0 { 0..KEYS } else { 0..CHANGED };
        put(
            bucket,
            keys.map(|key| format!("key.{key}")),
            &format!("value {round}"),
        )
        .await;
        if round == 1 {
            bucket.delete("key.77").await;
        }
        replica.wait_for(bucket.last().await).await.unwrap();
        let exported = replica.export_now().await.unwrap();
        assert!(
            matches!(exported, Round::Exported(Exported::Published(_))),
            "{exported:?}"
        );
    }
    let rows = home.rows(&replica);
    replica.shutdown().await.unwrap();
    let key = KEY.parse().unwrap();
    let manifest = depot.transport().manifest(&key).await.unwrap().unwrap();
    assert_eq!(manifest.runs.len(), 2);
    (manifest, rows)
}

/// How many segments of the artifact a scratch directory holds.
fn whole(scratch: &Path, manifest: &ArtifactManifest) -> u64 {
    let lengths: HashMap<String, u64> = manifest
        .segments()
        .map(|(_, segment)| (format!("{}.parquet", segment.info.sha256), segment.info.length))
        .collect();
    let Ok(entries) = std::fs::read_dir(scratch) else {
        return 0;
    };
    let whole = entries.map(Result::unwrap).filter(|entry| {
        let length = lengths.get(&*entry.file_name().to_string_lossy());
        length.is_some_and(|length| entry.metadata().unwrap().len() == *length)
    });
    whole.count() as u64
}

/// Listens until the node has caught up, or has told so many things. How it has caught up, if it has.
async fn listen(node: &mut Node, most: u64) -> Option<CaughtUp> {
    for _ in 0..most {
        match node.told().await {
            Told::Opened | Told::Progress => {}
            Told::CaughtUp(caught_up) => return Some(caught_up),
        }
    }
    None
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_moment_of_a_bootstrap_costs_no_row_and_no_second_fetch() {
    let kills = if alluvium_e2e::full() { 50 } else { 5 };
    let server = NatsServer::start().await;
    let store = S3Server::start();
    let bucket = Bucket::create(&server, "b").await;
    let depot = Depot::new(&store, "kill");
    let (manifest, at_artifact) = export(&server, &bucket, &depot).await;
    let segments = manifest.segments().count() as u64;
    assert!(segments > 20, "{segments} segments");
    put(&bucket, (0..TAIL).map(|key| format!("tail.{key}")), "later").await;
    let (truth, last) = (bucket.truth().await, bucket.last().await.get());

    let mut random = Random(29);
    let (mut done, mut half_way, mut saved) = (0, 0, 0);
    while done < kills {
        let engine = EngineKind::ALL[usize::try_from(done % 3).unwrap()];
        let home = StateHome::new(engine);
        let scratch = home.path().with_file_name("scratch");
        let orders = Orders {
            server: server.url(),
            state: home.url(),
            scratch: scratch.clone(),
            depot: depot.clone(),
            key: KEY.to_owned(),
            part: Part::Begins,
        };
        let start = || Node::start(env!("CARGO_BIN_EXE_node"), &orders);
        // Killed once or twice on the way.
        let (mut there, begin) = (0, store.requests());
        let mut starts = 0;
        for _ in 0..=random.below(2) {
            let when = format!("{engine}, kill {done}");
            let mut node = start().await;
            starts += 1;
            listen(&mut node, random.below(segments + 8)).await;
            for _ in 0..random.below(PAUSE) {
                std::hint::spin_loop();
            }
            node.kill().await;
            done += 1;
            let now = whole(&scratch, &manifest);
            if scratch.exists() {
                assert!(now >= there, "{when}: of {there} segments {now} are left");
                half_way += u64::from(0 < now && now < segments);
            }
            there = now;
            if home.path().join("alluvium.json").exists() {
                // Nothing, or the artifact and some of what comes after it.
                let stored = home.stored_rows().await;
                let part = stored.iter().all(|(key, row)| truth.get(key) == Some(row));
                let all = at_artifact.keys().all(|key| stored.contains_key(key));
                assert!(
                    stored.is_empty() || (part && all),
                    "{when}: {} rows",
                    stored.len()
                );
            }
        }
        let before = store.requests();
        let mut node = start().await;
        starts += 1;
        let ended = listen(&mut node, u64::MAX).await.unwrap();
        node.kill().await;
        let when = format!("{engine}, after kill {done}: {ended:?}");
        assert!(home.stored_rows().await == truth, "{when}: not the truth");
        assert!(!scratch.exists(), "{when}: the scratch directory is still there");
        let fetched = store.requests().since(&before).of("GetObject");
        let base = match &ended.artifact {
            Some(artifact) => {
                assert_eq!(artifact.sequence, manifest.cursor.sequence.get(), "{when}");
                assert_eq!(
                    (artifact.fetched, artifact.reused),
                    (segments - there, there),
                    "{when}"
                );
                saved += artifact.reused;
                artifact.sequence
            }
            // It was filled before the kill.
            None => ended.started_at,
        };
        assert!(base >= manifest.cursor.sequence.get(), "{when}: no artifact");
        assert_eq!(ended.received, last - base, "{when}: not the tail");
        // As the server has counted: a segment a request, and the pointer.
        let segments_fetched = ended.artifact.map_or(0, |artifact| artifact.fetched);
        assert!(
            (segments_fetched..=segments_fetched + 2).contains(&fetched),
            "{when}: {fetched} requests"
        );
        // Over all of these starts no segment twice, but for the two that each kill has cut off.
        let all = store.requests().since(&begin).of("GetObject");
        assert!(
            all <= segments + starts * 4,
            "{when}: {all} requests for {segments} segments in {starts} starts"
        );
    }
    eprintln!("{done} kills, {half_way} of them half-way; {saved} segments of {segments} each were reused");
    assert!(half_way > 0 && saved > 0, "no kill came half-way");
}
