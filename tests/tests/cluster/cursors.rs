//! `KvCursorStore` in a bucket of three replicas whose leader changes: two hold one name in turn.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use alluvium::{
    Cursor, CursorRecord, CursorStore, CursorStoreError, ErrorKind, KvCursorStore, LogIdentity, Scope,
    Sequence, Timestamp,
};
use alluvium_e2e::feed::Random;
use alluvium_e2e::nats_cluster::NODES;
use alluvium_e2e::{NatsCluster, full};
use tokio::time::Instant;

use crate::faults::through_a_storm;

const NAME: &str = "mailer";
const BUCKET: &str = "cursors";
const STREAM: &str = "KV_cursors";

/// What one holder has seen of the store.
#[derive(Default)]
struct Seen {
    /// When it held the name, and what it then loaded.
    held: Vec<Held>,
    saves: Vec<Save>,
}

struct Held {
    /// Which holding, of all.
    holding: u64,
    begin: Instant,
    end: Instant,
    /// None if it could not be loaded.
    loaded: Option<u64>,
}

struct Save {
    holding: u64,
    number: u64,
    begin: Instant,
    end: Instant,
    /// Whether it was acknowledged; without an answer it may have been done.
    done: bool,
}

/// Numbers for all holders.
#[derive(Default)]
struct Numbers {
    holding: AtomicU64,
    save: AtomicU64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_holders_one_is_fenced_whoever_leads() {
    let mut cluster = NatsCluster::start().await;
    let (numbers, over) = (Arc::new(Numbers::default()), Arc::new(AtomicBool::new(false)));
    let mut holders = Vec::new();
    for seed in 0..2 {
        let store = open(&cluster).await;
        let (numbers, over) = (Arc::clone(&numbers), Arc::clone(&over));
        holders.push(tokio::spawn(async move {
            hold(&store, Random(seed), &numbers, &over).await
        }));
    }
    let mut seen = Seen::default();
    for one in through_a_storm(&mut cluster, STREAM, &over, holders).await {
        seen.held.extend(one.held);
        seen.saves.extend(one.saves);
    }
    cluster.usable().await;
    let last = open(&cluster)
        .await
        .load(NAME)
        .await
        .expect("the cursor is loaded");
    let last = last.expect("it was saved").cursor.sequence.get();
    check(&seen, last);
}

async fn open(cluster: &NatsCluster) -> KvCursorStore {
    KvCursorStore::builder(cluster.client().await, BUCKET)
        .create(NODES)
        .request_timeout(Duration::from_secs(2))
        .open()
        .await
        .expect("the bucket is opened")
}

/// Holds the name, saves until it is fenced or has enough, and so on.
async fn hold(store: &KvCursorStore, mut random: Random, numbers: &Numbers, over: &AtomicBool) -> Seen {
    let mut seen = Seen::default();
    while !over.load(Ordering::Relaxed) {
        let (holding, begin) = (numbers.holding.fetch_add(1, Ordering::SeqCst), Instant::now());
        let held = match store.hold(NAME).await {
            Ok(held) => held,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Transient, "{error:?}");
                continue;
            }
        };
        let end = Instant::now();
        let loaded = match held.load().await {
            Ok(record) => Some(record.map_or(0, |record| record.cursor.sequence.get())),
            Err(CursorStoreError::Fenced { .. }) => continue,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Transient, "{error:?}");
                None
            }
        };
        seen.held.push(Held {
            holding,
            begin,
            end,
            loaded,
        });
        for _ in 0..20 + random.below(100) {
            let (number, begin) = (1 + numbers.save.fetch_add(1, Ordering::SeqCst), Instant::now());
            let saved = held.save(&record(number)).await;
            let fenced = matches!(saved, Err(CursorStoreError::Fenced { .. }));
            if let Err(error) = &saved {
                assert!(fenced || error.kind() == ErrorKind::Transient, "{error:?}");
            }
            // Who was taken over before the answer came is fenced, and may have saved before.
            seen.saves.push(Save {
                holding,
                number,
                begin,
                end: Instant::now(),
                done: saved.is_ok(),
            });
            if fenced || over.load(Ordering::Relaxed) {
                break;
            }
        }
    }
    seen
}

fn record(number: u64) -> CursorRecord {
    let start = Cursor::start_of(LogIdentity::new("ORDERS", Timestamp::from_nanos(1)));
    let cursor = start.at(Sequence::new(number), Timestamp::from_nanos(2));
    CursorRecord::new(cursor, Scope::all())
}

/// Numbers are given out in the order in which saves can succeed: one holder's follow each other, and whoever takes over
/// begins after the one before it has ended.
fn check(seen: &Seen, last: u64) {
    let done = || seen.saves.iter().filter(|save| save.done);
    let was_saved = |number: u64| number == 0 || seen.saves.iter().any(|save| save.number == number);
    let holdings: BTreeMap<u64, &Held> = seen.held.iter().map(|held| (held.holding, held)).collect();
    for held in &seen.held {
        for save in done() {
            let Some(former) = holdings.get(&save.holding) else {
                continue;
            };
            assert!(
                former.end > held.begin || save.begin < held.end || former.holding == held.holding,
                "{} was saved by who was fenced",
                save.number
            );
            if let Some(loaded) = held.loaded
                && save.end < held.begin
            {
                assert!(
                    loaded >= save.number,
                    "{loaded} was loaded after {} had been saved",
                    save.number
                );
            }
        }
        assert!(held.loaded.is_none_or(was_saved), "{:?} was loaded", held.loaded);
    }
    let newest = done().map(|save| save.number).max().unwrap_or_default();
    assert!(
        last >= newest && was_saved(last),
        "{last} is left, {newest} was saved"
    );
    let unanswered = seen.saves.iter().filter(|save| !save.done).count();
    eprintln!(
        "{} holdings, {} saves, {unanswered} without an answer",
        seen.held.len(),
        done().count()
    );
    let enough = if full() { 2_000 } else { 300 };
    assert!(
        done().count() > enough && seen.held.len() > 10,
        "hardly anything was saved"
    );
}
