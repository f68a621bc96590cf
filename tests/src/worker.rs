//! A worker in a process of its own, on a stream whose sums are known.
//!
//! The process is the binary `worker`. Its handler panics, fails and sleeps at random before it does its work, tells what
//! it has done, and is then committed: so whatever is done twice is due to a kill.

use std::collections::BTreeMap;
use std::path::PathBuf;

use async_nats::jetstream;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use serde::{Deserialize, Serialize};

use crate::NatsServer;
use crate::participant::Participant;

/// The stream.
pub const STREAM: &str = "ORDERS";
/// The worker's name, and that of the table of its sums.
pub const NAME: &str = "clerk";
/// The most messages of a delivery.
pub const MAX_BATCH: usize = 500;
/// What it reads on its standard input when it is to stop.
pub const STOP: &str = "stop";
/// How many accounts there are.
const ACCOUNTS: u64 = 97;

/// A running worker. Dropping it kills it.
pub type WorkerProcess = Participant<Told>;

/// What a worker is and has to do: the first line that it reads.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Orders {
    /// The nats-server.
    pub server: String,
    /// Where its cursor is.
    pub cursor: CursorPlace,
    /// What its handler's faults come from.
    pub seed: u64,
}

/// Where the cursor of a worker is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum CursorPlace {
    /// In the table of the sums, in this state.
    Table(String),
    /// In this directory.
    Files(PathBuf),
    /// In this bucket.
    Kv(String),
}

/// What a worker tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Told {
    /// The work on these messages is done. They are not committed yet.
    Handled {
        /// The first.
        first: u64,
        /// The last.
        last: u64,
        /// How many.
        count: u64,
    },
    /// It was told to stop, and has: everything up to here is committed.
    Stopped(u64),
    /// Somebody else has its cursor.
    Fenced,
}

/// What a message is about: an account, and an amount.
pub fn order(number: u64) -> (String, u64) {
    let account = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % ACCOUNTS;
    (format!("orders.{account}"), number % 1_000)
}

/// The sums of the first messages.
pub fn sums(messages: u64) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    for (account, amount) in (1..=messages).map(order) {
        *sums.entry(account).or_default() += amount;
    }
    sums
}

/// A stream of so many messages.
///
/// # Panics
///
/// If the server does not take them.
pub async fn filled_stream(server: &NatsServer, messages: u64) -> jetstream::Context {
    let context = jetstream::new(server.client().await);
    let config = jetstream::stream::Config {
        name: STREAM.to_owned(),
        subjects: vec!["orders.>".to_owned()],
        ..Default::default()
    };
    context
        .create_stream(config)
        .await
        .expect("the stream is created");
    let mut sent = FuturesUnordered::new();
    for (account, amount) in (1..=messages).map(order) {
        let acknowledgement = context.publish(account, amount.to_string().into()).await;
        sent.push(acknowledgement.expect("the message is sent").into_future());
        if sent.len() >= 1_000 {
            sent.next().await.transpose().expect("the message is stored");
        }
    }
    while let Some(stored) = sent.next().await {
        stored.expect("the message is stored");
    }
    context
}

/// Holds what workers tell to what they promise, one after another.
#[derive(Debug, Default)]
pub struct Account {
    /// Up to here everything was handled.
    pub done: u64,
    /// How many messages were handled more than once.
    pub repeated: u64,
    /// The last message that the worker that runs now has handled.
    last: Option<u64>,
}

impl Account {
    /// Another worker goes on.
    pub fn next_worker(&mut self) {
        self.last = None;
    }

    /// What it has told.
    ///
    /// # Panics
    ///
    /// If a message was left out, came out of order, or again although no kill explains it.
    pub fn told(&mut self, told: &Told) {
        let Told::Handled { first, last, count } = *told else {
            return;
        };
        assert_eq!(
            count,
            last + 1 - first,
            "messages are missing from {first} to {last}"
        );
        let expected = self.last.unwrap_or(self.done) + 1;
        if self.last.is_some() {
            assert_eq!(first, expected, "one worker goes on in order");
        } else {
            assert!(first <= expected, "{expected} to {first} were left out");
            let repeated = expected - first;
            assert!(
                repeated <= MAX_BATCH as u64,
                "{repeated} were repeated after one kill"
            );
            self.repeated += repeated;
        }
        self.last = Some(last);
        self.done = self.done.max(last);
    }
}
