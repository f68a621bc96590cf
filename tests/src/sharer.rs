//! A process that shares the partitions of a stream with others, and leaves effects that can be checked.
//!
//! The process is the binary `sharer`. For every delivery it publishes one [`Effect`] to the subject of the partition, which
//! expects the one before to be the last there: what a process does after another has begun is refused by the server.

use std::time::Duration;

use async_nats::jetstream;
use serde::{Deserialize, Serialize};

use crate::NatsServer;
use crate::participant::Participant;

/// The stream that is shared. Whoever publishes to `orders.<key>` publishes to `orders.<partition>.<key>`.
pub const STREAM: &str = "ORDERS";
/// The stream of effects, with a subject `effects.<partition>` for each partition.
pub const EFFECTS: &str = "EFFECTS";
/// The bucket of the leases.
pub const LEASES: &str = "leases";
/// The bucket of the cursors.
pub const CURSORS: &str = "cursors";
/// What is shared is called so.
pub const NAME: &str = "counter";
/// How many partitions there are.
pub const PARTITIONS: u32 = 16;
/// The most messages of a delivery.
pub const MAX_BATCH: usize = 50;

/// A running process. Dropping it kills it, stopped or not.
pub type Sharer = Participant<Told>;

/// What a process is: the first line that it reads.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Orders {
    /// The nats-server.
    pub server: String,
    /// Its name.
    pub name: String,
    /// How long leases last.
    pub ttl: Duration,
}

/// What it can be told: every other line that it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// The next handler that is called says so, and waits until it may go on.
    Hold,
    /// It may.
    GoOn,
    /// Everything is to be left.
    Stop,
}

/// What it tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Told {
    /// A handler waits.
    InHand {
        /// On which partition.
        partition: u32,
        /// By which assignment version.
        version: u64,
    },
    /// An effect was refused, for there is one by a newer assignment.
    Refused {
        /// On which partition.
        partition: u32,
        /// By which assignment version.
        version: u64,
    },
    /// It was told to stop, and has.
    Stopped,
}

/// What is done for a delivery. The first one of an assignment has no messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    /// By whom.
    pub by: String,
    /// By which assignment version.
    pub version: u64,
    /// The last message of the partition for which there is an effect by now.
    pub done: u64,
    /// The keys and numbers of the messages, in order.
    pub messages: Vec<(String, u64)>,
}

/// A server that partitions by subject, with everything that processes need.
///
/// # Panics
///
/// If it cannot be had.
pub async fn server() -> NatsServer {
    let mapping = format!(
        "mappings {{ \"orders.*\": \"orders.{{{{partition({PARTITIONS},1)}}}}.{{{{wildcard(1)}}}}\" }}"
    );
    let server = NatsServer::start_with(&mapping).await;
    let client = server.client().await;
    let context = jetstream::new(client.clone());
    for (name, subjects) in [(STREAM, "orders.*.*"), (EFFECTS, "effects.*")] {
        let config = jetstream::stream::Config {
            name: name.to_owned(),
            subjects: vec![subjects.to_owned()],
            ..Default::default()
        };
        context.create_stream(config).await.expect("a stream is created");
    }
    let leases = alluvium::KvLeaseStore::builder(client.clone(), LEASES).create(1);
    leases.open().await.expect("the leases are created");
    let cursors = alluvium::KvCursorStore::builder(client, CURSORS).create(1);
    cursors.open().await.expect("the cursors are created");
    server
}

/// The subject of a partition's effects.
pub fn effects_of(partition: u32) -> String {
    format!("effects.{partition}")
}
