//! A feed of puts, overwrites and deletes that remembers what it did.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::jetstream;
use tokio::task::JoinHandle;

use crate::bucket::Rows;

/// What one message did: its sequence, its key, and the value, none for a delete.
type Step = (u64, Vec<u8>, Option<Vec<u8>>);

/// Everything a feed has done.
#[derive(Clone, Debug, Default)]
pub struct Ledger(Arc<Mutex<Vec<Step>>>);

impl Ledger {
    /// What a table must hold at a cursor.
    pub fn at(&self, cursor: u64) -> Rows {
        let mut rows = Rows::new();
        for (sequence, key, value) in self
            .steps()
            .iter()
            .take_while(|(sequence, ..)| *sequence <= cursor)
        {
            match value {
                Some(value) => rows.insert(key.clone(), (value.clone(), *sequence)),
                None => rows.remove(key),
            };
        }
        rows
    }

    /// The sequence of the last message; 0 before the first.
    pub fn last(&self) -> u64 {
        self.steps().last().map_or(0, |(sequence, ..)| *sequence)
    }

    /// How many messages there are.
    pub fn len(&self) -> u64 {
        self.steps().len() as u64
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn steps(&self) -> std::sync::MutexGuard<'_, Vec<Step>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Messages in a row before a lull, and the lull: a feed goes on for about as long as it takes to store its messages at
/// a few thousand a second, however fast the machine is.
const BURST: u64 = 20;
const LULL: Duration = Duration::from_millis(4);

/// A running feed. It waits for each acknowledgement, so that the ledger knows every sequence.
#[derive(Debug)]
pub struct Feed {
    ledger: Ledger,
    stop: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Feed {
    /// Feeds a bucket over `keys` keys until it is stopped or has stored `limit` messages. A message that is not
    /// acknowledged is sent again under the same message id, so that it is stored once: feeds of one bucket have different seeds.
    pub fn start(context: jetstream::Context, bucket: &str, seed: u64, keys: u64, limit: u64) -> Self {
        Self::start_with_lulls(context, bucket, seed, keys, limit, LULL)
    }

    /// The same, with so long a lull after every 20 messages.
    pub fn start_with_lulls(
        context: jetstream::Context,
        bucket: &str,
        seed: u64,
        keys: u64,
        limit: u64,
        lull: Duration,
    ) -> Self {
        let (ledger, stop) = (Ledger::default(), Arc::new(AtomicBool::new(false)));
        let task = tokio::spawn(run(
            context,
            bucket.to_owned(),
            Random(seed),
            (keys, limit, lull),
            ledger.clone(),
            Arc::clone(&stop),
        ));
        Self { ledger, stop, task }
    }

    /// What it has done so far.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Whether it has reached its limit.
    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }

    /// Stops it. Gives all it did.
    ///
    /// # Panics
    ///
    /// If the feed did.
    pub async fn stop(self) -> Ledger {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.expect("the feed ends well");
        self.ledger
    }

    /// Waits until it has reached its limit. Gives all it did.
    ///
    /// # Panics
    ///
    /// If the feed did.
    pub async fn finished(self) -> Ledger {
        self.task.await.expect("the feed ends well");
        self.ledger
    }
}

async fn run(
    context: jetstream::Context,
    bucket: String,
    mut random: Random,
    (keys, limit, lull): (u64, u64, Duration),
    ledger: Ledger,
    stop: Arc<AtomicBool>,
) {
    let seed = random.0;
    for step in 0..limit {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        if step % BURST == 0 {
            tokio::time::sleep(lull).await;
        }
        let key = format!("key.{}", random.below(keys));
        let value = (random.below(4) > 0).then(|| {
            format!(
                "{step}:{}",
                "x".repeat(usize::try_from(random.below(120)).unwrap_or(0))
            )
        });
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Nats-Msg-Id", format!("{seed}.{step}").as_str());
        if value.is_none() {
            headers.insert("KV-Operation", "DEL");
        }
        let payload = value.clone().unwrap_or_default();
        let sequence = loop {
            let subject = format!("$KV.{bucket}.{key}");
            let sent = context
                .publish_with_headers(subject, headers.clone(), payload.clone().into())
                .await;
            match sent {
                Ok(acknowledgement) => match acknowledgement.await {
                    Ok(acknowledgement) => break acknowledgement.sequence,
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                },
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        ledger
            .steps()
            .push((sequence, key.into_bytes(), value.map(String::into_bytes)));
    }
}

/// A small generator of reproducible choices (`SplitMix64`: Steele, Lea, Flood 2014).
#[derive(Clone, Copy, Debug)]
pub struct Random(pub u64);

impl Random {
    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// The next number below a bound that is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.number() % bound
    }
}
