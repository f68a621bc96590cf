//! Three processes share 16 partitions under load. One is killed every few seconds, and one is stopped with its work in hand until
//! its successor has begun.

use std::time::{Duration, Instant};

use alluvium::lease::LeaseState;
use alluvium::{KvLeaseStore, LeaseStore as _};
use alluvium_e2e::feed::Random;
use alluvium_e2e::sharer::{self, Command, LEASES, NAME, Orders, PARTITIONS, Sharer, Told};
use alluvium_e2e::{NatsServer, wait};
use async_nats::jetstream;

use super::load::Load;
use super::watch::{Seen, Watch};

const PROCESSES: usize = 3;
const TTL: Duration = Duration::from_millis(1_500);
const PATIENCE: Duration = Duration::from_mins(2);

/// One process after the other, each under a name of its own.
struct Member {
    name: String,
    orders: Orders,
    sharer: Sharer,
    lives: u32,
}

impl Member {
    async fn new(server: &NatsServer, index: usize) -> Self {
        let orders = Orders {
            server: server.url(),
            name: format!("node-{index}"),
            ttl: TTL,
        };
        Self {
            sharer: Sharer::start(env!("CARGO_BIN_EXE_sharer"), &orders).await,
            name: orders.name.clone(),
            orders,
            lives: 1,
        }
    }

    async fn say(&mut self, command: Command) {
        self.sharer.say(&serde_json::to_string(&command).unwrap()).await;
    }

    /// Kills it, and starts another one under another name. What the killed one had, and by which version.
    async fn replace(&mut self, watch: &Watch) -> Vec<(u32, u64)> {
        let name = format!("{}-{}", self.name, self.lives);
        let by = std::mem::replace(&mut self.orders.name, name);
        self.lives += 1;
        let successor = Sharer::start(env!("CARGO_BIN_EXE_sharer"), &self.orders).await;
        let killed = std::mem::replace(&mut self.sharer, successor);
        let told = killed.kill().await;
        assert!(told.iter().all(|told| *told != Told::Stopped), "{told:?}");
        let seen = watch.seen();
        let had = seen.holders.iter().filter(|(_, holder)| holder.by == by);
        had.map(|(partition, holder)| (*partition, holder.version))
            .collect()
    }

    /// Stops it while a handler has its work in hand, until the partition is another's; then lets it go on. The effect is refused.
    async fn stop_past_the_lease(&mut self, watch: &Watch) {
        self.say(Command::Hold).await;
        let (partition, version) = loop {
            match self.sharer.told().await {
                Told::InHand { partition, version } => break (partition, version),
                Told::Refused { .. } => {}
                Told::Stopped => panic!("nobody told it to stop"),
            }
        };
        self.sharer.stop().await;
        wait::until(
            PATIENCE,
            "the partition of a stopped process is taken over",
            || watch.seen().holders[&partition].version > version,
        )
        .await;
        self.say(Command::GoOn).await;
        self.sharer.cont();
        let refused = Told::Refused { partition, version };
        while self.sharer.told().await != refused {}
    }
}

/// Whether each of them has about as many partitions as the others.
fn is_fair(seen: &Seen, members: &[Member]) -> bool {
    let shares = members.iter().map(|member| {
        let of_member = |by: &str| by == member.orders.name;
        seen.holders
            .values()
            .filter(|holder| of_member(&holder.by))
            .count()
    });
    let shares: Vec<usize> = shares.collect();
    let fair = PARTITIONS as usize / PROCESSES;
    shares.iter().sum::<usize>() == PARTITIONS as usize
        && shares.iter().all(|share| (fair..=fair + 1).contains(share))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_killed_or_stopped_nothing_is_lost_and_nothing_is_done_by_two() {
    let (length, pause) = if alluvium_e2e::full() {
        (Duration::from_mins(2), Duration::from_secs(5))
    } else {
        (Duration::from_secs(16), Duration::from_secs(4))
    };
    let server = sharer::server().await;
    let client = server.client().await;
    let context = jetstream::new(client.clone());
    let (watch, watching) = Watch::start(&context).await;
    let load = Load::start(context.clone());
    let mut members = Vec::new();
    for index in 0..PROCESSES {
        members.push(Member::new(&server, index).await);
    }
    wait::until(PATIENCE, "three share fairly", || {
        is_fair(&watch.seen(), &members)
    })
    .await;

    let mut random = Random(47);
    let begin = Instant::now();
    let (mut kills, mut stops, mut slowest) = (0, 0, Duration::ZERO);
    while begin.elapsed() < length {
        let next = Instant::now() + pause;
        let victim = usize::try_from(random.below(PROCESSES as u64)).unwrap();
        let killed = Instant::now();
        let had = members[victim].replace(&watch).await;
        kills += 1;
        wait::until(
            PATIENCE,
            "the partitions of a killed process are taken over",
            || {
                let seen = watch.seen();
                had.iter()
                    .all(|(partition, version)| seen.holders[partition].version > *version)
            },
        )
        .await;
        for (partition, _) in &had {
            let since = watch.seen().holders[partition].since;
            slowest = slowest.max(since.saturating_duration_since(killed));
        }
        // One that was not killed, so that it has something in hand.
        members[(victim + 1) % PROCESSES]
            .stop_past_the_lease(&watch)
            .await;
        stops += 1;
        tokio::time::sleep_until(next.into()).await;
    }
    let published = load.stop().await;
    wait::until(PATIENCE, "every message is handled", || {
        watch.seen().handled == published
    })
    .await;
    wait::until(PATIENCE, "three share fairly again", || {
        is_fair(&watch.seen(), &members)
    })
    .await;
    for member in &mut members {
        member.say(Command::Stop).await;
    }
    for mut member in members {
        while member.sharer.told().await != Told::Stopped {}
        member.sharer.ended().await;
    }
    // Who stops leaves everything free.
    let leases = KvLeaseStore::open(client, LEASES).await.unwrap();
    for partition in 0..PARTITIONS {
        let record = leases.read(&format!("{NAME}/partition-{partition}")).await;
        let record = record.unwrap().unwrap();
        assert!(matches!(record.state, LeaseState::Free { .. }), "{record:?}");
    }
    assert!(!watching.is_finished(), "an effect was not what it should be");
    let seen = watch.seen();
    assert_eq!(seen.handled, published);
    assert!(kills > 1 && stops > 1);
    eprintln!(
        "{} messages in {} effects; {} assignments of {PARTITIONS} partitions over {kills} kills and {stops} stops; the \
         partitions of a killed process were taken over within {slowest:?}, with leases of {TTL:?}",
        published.values().sum::<u64>(),
        seen.effects,
        seen.assignments
    );
}
