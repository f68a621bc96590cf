//! A node of a fleet in a process of its own: a replica that exports in rounds, or one that begins with an artifact.
//!
//! The process is the binary `node`. It shares with others nothing but the nats-server and the store.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Depot;
use crate::participant::Participant;

/// A running node. Dropping it kills it.
pub type Node = Participant<Told>;

/// What a node is and has to do: the first line that it reads. Its bucket is `b`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Orders {
    /// The nats-server.
    pub server: String,
    /// Its state directory, with its engine.
    pub state: String,
    /// Where it fetches artifacts to.
    pub scratch: PathBuf,
    /// Where artifacts and leases are.
    pub depot: Depot,
    /// The key of the artifacts.
    pub key: String,
    /// Its part.
    pub part: Part,
}

/// The part of a node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Part {
    /// Follows the bucket and exports in rounds, until it is killed. Each artifact tells by which acquisition of the lease it
    /// was made: its exporter is the name of the node and the token.
    Exports {
        /// Its name.
        name: String,
        /// How often there is a round.
        every: Duration,
        /// How long the lease lasts.
        ttl: Duration,
        /// How many artifacts are kept.
        keep: std::num::NonZeroU32,
        /// How long what is not needed stays.
        grace: Duration,
    },
    /// Begins with an artifact, catches up, tells how it went and waits to be killed.
    Begins,
}

/// What a node tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Told {
    /// Its table is open.
    Opened,
    /// Its bootstrap has come a little further.
    Progress,
    /// It has caught up.
    CaughtUp(CaughtUp),
}

/// How a node has caught up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaughtUp {
    /// The artifact that it began with; none if its table needed none.
    pub artifact: Option<Artifact>,
    /// Where its table was at before.
    pub started_at: u64,
    /// How many messages it has received.
    pub received: u64,
}

/// What a node has fetched of an artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// Where it is exact at.
    pub sequence: u64,
    /// Segments that were fetched.
    pub fetched: u64,
    /// Segments that were there before.
    pub reused: u64,
}
