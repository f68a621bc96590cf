//! Somebody who writes a bucket at random, and knows what was acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use alluvium_e2e::NatsCluster;
use alluvium_e2e::bucket::Rows;
use alluvium_e2e::feed::Random;
use async_nats::HeaderMap;
use async_nats::jetstream::{self, message::PublishMessage};
use tokio::task::JoinHandle;

/// How many keys there are.
const KEYS: u64 = 300;
/// Between two writes: a few hundred a second.
const LULL: Duration = Duration::from_millis(2);
/// After a write without an answer: some fail at once.
const PAUSE: Duration = Duration::from_millis(50);
/// Until an acknowledgement is not waited for any longer.
const ANSWER: Duration = Duration::from_secs(2);

/// What was written.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Of each key the last write that was acknowledged: its sequence, and its value, none for a delete.
    acknowledged: BTreeMap<String, (u64, Option<String>)>,
    /// Writes without an acknowledgement: they may have been stored, then or later.
    maybe: BTreeMap<String, BTreeSet<Option<String>>>,
    pub(crate) acknowledgements: u64,
    pub(crate) unanswered: u64,
}

impl Ledger {
    /// Whether a bucket that holds this can have been written so.
    pub(crate) fn check(&self, truth: &Rows) {
        for (key, (sequence, value)) in &self.acknowledged {
            let found = truth.get(key.as_bytes());
            let stored = found.map(|(value, _)| String::from_utf8_lossy(value).into_owned());
            if stored == *value && found.is_none_or(|(_, found)| found == sequence) {
                continue;
            }
            let maybe = self.maybe.get(key).is_some_and(|maybe| maybe.contains(&stored));
            let later = found.is_none_or(|(_, found)| found > sequence);
            assert!(
                maybe && later,
                "{key} was acknowledged as {value:?} at {sequence}, and the bucket has {found:?}"
            );
        }
        for key in truth.keys() {
            let key = String::from_utf8_lossy(key).into_owned();
            assert!(
                self.acknowledged.contains_key(&key) || self.maybe.contains_key(&key),
                "nobody wrote {key}"
            );
        }
    }
}

/// A writer at work.
pub(crate) struct Writer {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Ledger>,
}

impl Writer {
    pub(crate) async fn start(cluster: &NatsCluster, bucket: &'static str, seed: u64) -> Self {
        let context = jetstream::ContextBuilder::new()
            .timeout(ANSWER)
            .build(cluster.client().await);
        let stop = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(write(context, bucket, Random(seed), Arc::clone(&stop)));
        Self { stop, task }
    }

    pub(crate) async fn stop(self) -> Ledger {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.expect("the writer ends well")
    }
}

async fn write(
    context: jetstream::Context,
    bucket: &'static str,
    mut random: Random,
    stop: Arc<AtomicBool>,
) -> Ledger {
    let mut ledger = Ledger::default();
    for number in 0_u64.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let key = format!("key.{}", random.below(KEYS));
        let value = (random.below(4) > 0).then(|| format!("{number}:{}", random.number()));
        if let Some(sequence) = send(&context, bucket, &key, value.as_deref()).await {
            ledger.acknowledgements += 1;
            ledger.acknowledged.insert(key, (sequence, value));
        } else {
            ledger.unanswered += 1;
            ledger.maybe.entry(key).or_default().insert(value);
            tokio::time::sleep(PAUSE).await;
        }
        tokio::time::sleep(LULL).await;
    }
    ledger
}

/// Writes once. The sequence, if that was acknowledged.
async fn send(context: &jetstream::Context, bucket: &str, key: &str, value: Option<&str>) -> Option<u64> {
    let mut headers = HeaderMap::new();
    if value.is_none() {
        headers.insert("KV-Operation", "DEL");
    }
    let publish = PublishMessage::build()
        .headers(headers)
        .payload(value.unwrap_or_default().to_owned().into());
    let sent = context.send_publish(format!("$KV.{bucket}.{key}"), publish);
    let acknowledgement = tokio::time::timeout(ANSWER, async { sent.await.ok()?.await.ok() });
    Some(acknowledgement.await.ok()??.sequence)
}
