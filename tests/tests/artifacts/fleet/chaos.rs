//! What befalls the nodes, and what their lease tells meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alluvium::lease::LeaseState;
use alluvium::{Cursor, LeaseStore};
use alluvium_e2e::engine::EngineKind;
use alluvium_e2e::feed::Random;
use alluvium_e2e::node::{Node, Orders, Part};
use alluvium_e2e::state::StateHome;
use alluvium_e2e::{Depot, NatsServer};

use super::{EVERY, GRACE, KEEP, KEY, LEASE, NODES, TTL};

/// Between two looks at the lease.
const LOOK: Duration = Duration::from_millis(5);
/// So many are stopped at a time at most.
const MOST_STOPPED: usize = 3;

/// Five nodes.
pub(super) struct Fleet {
    nodes: Vec<Member>,
    leases: Arc<dyn LeaseStore>,
    random: Random,
    rounds: Rounds,
}

struct Member {
    orders: Orders,
    engine: EngineKind,
    home: StateHome,
    /// None for a moment only, between two lives.
    node: Option<Node>,
    /// Until when it is stopped, if it is.
    stopped: Option<Instant>,
}

/// What the lease told, as often as it was looked at.
#[derive(Default)]
pub(super) struct Rounds {
    /// Who had acquired it, by token.
    pub(super) holders: BTreeMap<String, String>,
    /// The cursor that was noted when it was completed, by token.
    pub(super) notes: BTreeMap<String, u64>,
}

/// What has befallen the nodes.
#[derive(Debug, Default)]
pub(super) struct Blows {
    pub(super) kills: u32,
    pub(super) lost_disks: u32,
    pub(super) long_stops: u32,
    pub(super) short_stops: u32,
    /// How many of them hit a node that held the lease.
    pub(super) holders: u32,
}

impl Member {
    async fn new(server: &NatsServer, depot: &Depot, index: usize) -> Self {
        let engine = EngineKind::ALL[index % 3];
        let home = StateHome::new(engine);
        let part = Part::Exports {
            name: name(index),
            every: EVERY,
            ttl: TTL,
            keep: KEEP,
            grace: GRACE,
        };
        let orders = Orders {
            server: server.url(),
            state: home.url(),
            scratch: home.path().with_file_name("scratch"),
            depot: depot.clone(),
            key: KEY.to_owned(),
            part,
        };
        let mut member = Self {
            orders,
            engine,
            home,
            node: None,
            stopped: None,
        };
        member.begin().await;
        member
    }

    async fn begin(&mut self) {
        self.node = Some(Node::start(env!("CARGO_BIN_EXE_node"), &self.orders).await);
    }

    fn node(&self) -> &Node {
        self.node.as_ref().expect("it is alive")
    }

    async fn kill(&mut self) {
        self.stopped = None;
        self.node.take().expect("it is alive").kill().await;
    }

    /// Has it begin anew, with nothing.
    fn lose_disk(&mut self) {
        self.home = StateHome::new(self.engine);
        self.orders.state = self.home.url();
        self.orders.scratch = self.home.path().with_file_name("scratch");
    }

    fn go_on(&mut self) {
        if self.stopped.take().is_some() {
            self.node().cont();
        }
    }
}

fn name(index: usize) -> String {
    format!("node-{index}")
}

impl Fleet {
    pub(super) async fn start(server: &NatsServer, depot: &Depot, seed: u64) -> Self {
        let mut nodes = Vec::new();
        for index in 0..NODES {
            nodes.push(Member::new(server, depot, index).await);
        }
        Self {
            nodes,
            leases: depot.leases(),
            random: Random(seed),
            rounds: Rounds::default(),
        }
    }

    /// Looks at the lease. Who holds it.
    async fn look(&mut self) -> Option<String> {
        let record = self.leases.read(LEASE).await.expect("the lease is read")?;
        if let Some(last) = &record.last {
            let cursor: Cursor = serde_json::from_str(&last.note).expect("the note is a cursor");
            let token = last.token.to_string();
            self.rounds.holders.insert(token.clone(), last.by.clone());
            self.rounds.notes.insert(token, cursor.sequence.get());
        }
        match record.state {
            LeaseState::Held { by, token, .. } => {
                let before = self.rounds.holders.insert(token.to_string(), by.clone());
                assert!(
                    before.is_none_or(|before| before == by),
                    "the lease of {by} was another's"
                );
                Some(by)
            }
            LeaseState::Free { .. } => None,
        }
    }

    /// Looks at the lease, and lets go on who was stopped for long enough, until somebody holds the lease or for so long. Who that is.
    async fn await_holder(&mut self, most: Duration, any: bool) -> Option<String> {
        let begin = Instant::now();
        loop {
            let holder = self.look().await;
            for node in &mut self.nodes {
                if node.stopped.is_some_and(|until| until <= Instant::now()) {
                    node.go_on();
                }
            }
            if (holder.is_some() && !any) || begin.elapsed() >= most {
                return holder;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// One blow after the other for so long.
    pub(super) async fn torment(&mut self, length: Duration) -> Blows {
        let begin = Instant::now();
        let mut blows = Blows::default();
        while begin.elapsed() < length {
            let pause = Duration::from_millis(200 + self.random.below(900));
            self.await_holder(pause, true).await;
            // Rather whoever is exporting right now, at any moment of that.
            let holder = self.await_holder(Duration::from_millis(800), false).await;
            let of_holder = (0..NODES).find(|index| holder.as_ref() == Some(&name(*index)));
            let at_random = usize::try_from(self.random.below(NODES as u64)).unwrap_or(0);
            let victim = of_holder
                .filter(|_| self.random.below(4) > 0)
                .unwrap_or(at_random);
            blows.holders += u32::from(of_holder == Some(victim));
            tokio::time::sleep(Duration::from_millis(self.random.below(60))).await;
            let stopped = self.nodes.iter().filter(|node| node.stopped.is_some()).count();
            let may_stop = stopped < MOST_STOPPED && self.nodes[victim].stopped.is_none();
            let (kind, for_long, disk) = (
                self.random.below(5),
                self.random.below(1_000),
                self.random.below(4),
            );
            let node = &mut self.nodes[victim];
            let long = TTL + Duration::from_millis(300 + for_long);
            match kind {
                0 | 1 if may_stop => {
                    node.node().stop().await;
                    node.stopped = Some(Instant::now() + long);
                    blows.long_stops += 1;
                }
                2 if may_stop => {
                    node.node().stop().await;
                    node.stopped = Some(Instant::now() + TTL / 3);
                    blows.short_stops += 1;
                }
                _ => {
                    node.kill().await;
                    blows.kills += 1;
                    if disk == 0 {
                        node.lose_disk();
                        blows.lost_disks += 1;
                    }
                    node.begin().await;
                }
            }
        }
        blows
    }

    /// Lets everybody go on.
    pub(super) fn relieve(&mut self) {
        for node in &mut self.nodes {
            node.go_on();
        }
    }

    /// Kills everybody. What the lease told.
    pub(super) async fn end(mut self) -> Rounds {
        self.look().await;
        for node in &mut self.nodes {
            node.kill().await;
        }
        self.look().await;
        self.rounds
    }
}
