//! Five nodes that export one table in rounds, with one lease: killed with SIGKILL and stopped for longer than the lease lasts, at
//! random, while the bucket is written.

mod chaos;
mod watch;

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use alluvium::artifact::{ManifestId, PackId};
use alluvium::{ArtifactKey, Bootstrap, RetentionPolicy, Transport};
use alluvium_e2e::bucket::Bucket;
use alluvium_e2e::engine::EngineKind;
use alluvium_e2e::feed::{Feed, Ledger};
use alluvium_e2e::state::{StateHome, open_table, rows};
use alluvium_e2e::{Depot, Files, NatsServer, S3Server, StoreServer, wait};
use async_nats::jetstream::kv;

use self::chaos::Fleet;
use self::watch::Watch;

const NODES: usize = 5;
const KEY: &str = "Fleet/routes";
/// What the lease of its rounds is called.
const LEASE: &str = "export Fleet/routes";
const EVERY: Duration = Duration::from_secs(1);
/// How long the lease lasts: what is stopped for longer is taken for dead.
const TTL: Duration = Duration::from_millis(1_500);
/// What a prune keeps: enough for whoever looks at every artifact to come in time.
const KEEP: NonZeroU32 = NonZeroU32::new(10).expect("not 0");
const GRACE: Duration = Duration::from_secs(2);
/// Packs that nothing names and no prune has removed yet: those of the publishers that came to grief within a few rounds.
const MOST_GARBAGE: usize = 10;
/// Messages of the feed in a second at most, and of one key in all: so few that the history of the bucket holds them all, and the
/// table at every cursor is what was written up to there.
const PER_SECOND: u64 = 1_000;
const PER_KEY: u64 = 20;
const LULL: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_mins(1);

async fn fleet(store: &dyn StoreServer, chance: u64) {
    let length = Duration::from_secs(if alluvium_e2e::full() { 300 } else { 20 });
    let server = NatsServer::start().await;
    let config = kv::Config {
        bucket: "b".to_owned(),
        history: 64,
        ..kv::Config::default()
    };
    let bucket = Bucket::create_with(&server, config).await;
    let depot = Depot::new(store, "fleet");
    let key: ArtifactKey = KEY.parse().unwrap();
    let transport: Arc<dyn Transport> = depot.transport();

    // Twice as many as there is time for: it does not end before the last blow.
    let messages = PER_SECOND * length.as_secs() * 2;
    let feed = Feed::start_with_lulls(
        bucket.context.clone(),
        "b",
        chance,
        messages / PER_KEY,
        messages,
        LULL,
    );
    let watch = Watch::start(Arc::clone(&transport), key.clone(), feed.ledger().clone());
    let mut fleet = Fleet::start(&server, &depot, chance).await;
    let blows = fleet.torment(length).await;
    fleet.relieve();
    assert!(!feed.is_finished(), "the feed ended before the last blow");
    let ledger = feed.stop().await;
    // What is left of it goes on by itself.
    wait::until(PATIENCE, "the fleet exports all that was written", || {
        watch.newest() == ledger.last()
    })
    .await;
    let rounds = fleet.end().await;
    let seen = watch.end().await;

    // At most one artifact of each round: no two tell of the same acquisition, and each tells of one.
    let mut tokens = BTreeSet::new();
    for artifact in &seen.artifacts {
        let exporter = &artifact.manifest.exporter;
        let (name, token) = exporter.split_once(' ').unwrap();
        assert!(
            tokens.insert(token.to_owned()),
            "{exporter} has published twice in a round"
        );
        if let Some(holder) = rounds.holders.get(token) {
            assert_eq!(holder, name, "{artifact:?}");
        }
    }
    let known = tokens
        .intersection(&rounds.holders.keys().cloned().collect())
        .count();
    assert!(
        known * 2 > tokens.len(),
        "of {} rounds of artifacts {known} were seen in the lease",
        tokens.len()
    );
    let sequences: BTreeSet<u64> = seen.artifacts.iter().map(watch::Artifact::sequence).collect();
    for (token, noted) in &rounds.notes {
        assert!(
            sequences.contains(noted),
            "the round {token} is noted to be at {noted}, where no artifact is"
        );
    }
    let deltas = seen
        .artifacts
        .iter()
        .filter(|artifact| artifact.manifest.runs.len() > 1)
        .count();
    eprintln!(
        "{} artifacts, {deltas} of them with deltas, {} rounds, {blows:?}, {} messages; at most {} packs of garbage",
        seen.artifacts.len(),
        rounds.holders.len(),
        ledger.len(),
        seen.most_garbage
    );
    assert!(blows.kills > 1 && blows.long_stops > 1, "{blows:?}");
    let count = seen.artifacts.len();
    assert!(count as u64 >= length.as_secs() / 5, "only {count} artifacts");
    assert!(0 < deltas && deltas < count, "{deltas} of {count} with deltas");
    assert!(
        seen.most_garbage <= MOST_GARBAGE,
        "{} packs of garbage",
        seen.most_garbage
    );
    left(&transport, &key, &ledger, &seen).await;
}

/// What is there when all nodes are gone: every artifact of the history is whole and the truth, and nothing else is there once
/// it was pruned.
async fn left(transport: &Arc<dyn Transport>, key: &ArtifactKey, ledger: &Ledger, seen: &watch::Seen) {
    let retention = RetentionPolicy::default().keep(KEEP).grace(Duration::ZERO);
    let before = transport.history(key).await.unwrap();
    transport.prune(key, retention).await.unwrap();
    let history = transport.history(key).await.unwrap();
    assert_eq!(history.len(), before.len().min(KEEP.get() as usize));
    // The newest ones that ever were, without a gap.
    let published: Vec<ManifestId> = seen.artifacts.iter().map(|artifact| artifact.id).collect();
    assert!(
        published.ends_with(&history),
        "{history:?} is left of {published:?}"
    );
    let mut named = BTreeSet::new();
    for (index, id) in history.iter().enumerate() {
        let manifest = transport.manifest_of(key, *id).await.unwrap();
        named.extend(manifest.packs());
        for (pack, segment) in manifest.segments() {
            let bytes = transport.segment(key, pack, segment).await;
            let bytes = bytes.unwrap_or_else(|error| panic!("{id}: {error:?}"));
            assert_eq!(bytes.len() as u64, segment.info.length);
        }
        let engine = EngineKind::ALL[index % 3];
        let home = StateHome::new(engine);
        let (_state, table) = open_table(&home.path(), engine).await;
        let done = Bootstrap::new(
            Arc::clone(transport),
            key.clone(),
            home.path().with_file_name("scratch"),
        )
        .at(id.sequence())
        .run(&table)
        .await
        .unwrap();
        assert_eq!(done.id, *id);
        assert!(
            rows(table.as_ref()) == ledger.at(id.sequence().get()),
            "{engine}: {id} is not the truth"
        );
    }
    let packs: BTreeSet<PackId> = transport
        .packs(key)
        .await
        .unwrap()
        .into_iter()
        .map(|(id, _)| id)
        .collect();
    assert_eq!(packs, named, "there are packs that nothing names");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_on_s3_publishes_the_truth_whatever_becomes_of_its_nodes() {
    fleet(&S3Server::start(), 41).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_on_files_publishes_the_truth_whatever_becomes_of_its_nodes() {
    fleet(&Files::start(), 43).await;
}
