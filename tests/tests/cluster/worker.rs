//! Workers on a stream of three replicas whose leader changes, one with its cursor in the table of its sums, one with its
//! cursor in a bucket of the same cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alluvium::{
    Action, BoxError, CursorStore, Delivery, ErrorKind, Handler, KeyRange, KvCursorStore, LogCursor,
    RestartPolicy, Scope, StreamLog, Table, TableCursorStore, Worker, WorkerState,
};
use alluvium_e2e::engine::EngineKind;
use alluvium_e2e::feed::Random;
use alluvium_e2e::nats_cluster::{NODES, PATIENCE};
use alluvium_e2e::state::{StateHome, TABLE, open_table};
use alluvium_e2e::worker::order;
use alluvium_e2e::{NatsCluster, wait};
use async_nats::jetstream::{self, message::PublishMessage, stream};
use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;

use crate::bucket::consumers_become;
use crate::faults::{Fault, storm};

const STREAM: &str = "ORDERS";
/// A table has the cursor of its own name.
const NAME: &str = TABLE;
const CURSORS: &str = "cursors";
/// So many messages at least.
const MESSAGES: u64 = 50_000;
/// So many wait for their acknowledgement.
const UNDER_WAY: usize = 200;
/// After every tenth message: the storm is to last longer than the messages.
const LULL: Duration = Duration::from_millis(4);
/// Between two attempts at a message: all that are under way fail at a time, and a cluster in trouble has enough to do.
const PAUSE: Duration = Duration::from_millis(50);
/// Until an acknowledgement is not waited for any longer.
const ANSWER: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_message_is_handled_in_order_and_sums_are_exact() {
    let mut cluster = NatsCluster::start().await;
    create_stream(&cluster).await;
    let home = StateHome::new(EngineKind::Fjall);
    let (state, table) = open_table(&home.path(), EngineKind::Fjall).await;
    let over = Arc::new(AtomicBool::new(false));
    let in_table = Clerk::new(Some(Arc::clone(&table)));
    let in_bucket = Clerk::new(None);
    let cursors: Arc<dyn CursorStore> = Arc::new(TableCursorStore::new(Arc::clone(&table)));
    let kv = KvCursorStore::builder(cluster.client().await, CURSORS)
        .create(NODES)
        .open()
        .await
        .expect("the bucket is opened");
    let workers = [
        tokio::spawn(employ(
            log(&cluster).await,
            cursors,
            in_table.clone(),
            Arc::clone(&over),
        )),
        tokio::spawn(employ(
            log(&cluster).await,
            Arc::new(kv),
            in_bucket.clone(),
            Arc::clone(&over),
        )),
    ];
    let context = jetstream::ContextBuilder::new()
        .timeout(ANSWER)
        .build(cluster.client().await);
    let feeding = tokio::spawn(publish(context, Arc::clone(&over)));
    storm(&mut cluster, STREAM, &Fault::ALL, Duration::from_mins(3)).await;
    over.store(true, Ordering::Relaxed);
    let published = feeding.await.expect("the publisher ends well");
    cluster.usable().await;
    cluster.in_step(STREAM).await;
    let truth = Truth::read(&cluster).await;
    let missing = (1..=published)
        .filter(|number| !truth.numbers.contains(number))
        .count();
    assert_eq!(missing, 0, "acknowledged messages are not in the stream");

    for clerk in [&in_table, &in_bucket] {
        clerk.reaches(truth.sequences.len()).await;
    }
    consumers_become(&cluster, STREAM, workers.len()).await;
    for (clerk, worker) in [&in_table, &in_bucket].into_iter().zip(workers) {
        clerk.dismiss();
        let hired = worker.await.expect("a worker ends well");
        eprintln!(
            "{published} messages, {} stored; worker started {hired} times, {} deliveries",
            truth.sequences.len(),
            clerk.deliveries().len()
        );
        check(&clerk.deliveries(), &truth.sequences, hired);
    }
    assert_eq!(sums(table.as_ref()), truth.sums);
    let cursor = table.cursor().expect("a cursor").sequence.get();
    assert_eq!(Some(&cursor), truth.sequences.last());
    consumers_become(&cluster, STREAM, 0).await;
    drop(state);
}

async fn create_stream(cluster: &NatsCluster) {
    let config = stream::Config {
        name: STREAM.to_owned(),
        subjects: vec!["orders.>".to_owned()],
        num_replicas: NODES,
        ..stream::Config::default()
    };
    let created = jetstream::new(cluster.client().await).create_stream(config).await;
    created.expect("the stream is created");
}

async fn log(cluster: &NatsCluster) -> Arc<StreamLog> {
    let builder = StreamLog::builder(cluster.client().await, STREAM);
    let log = builder.request_timeout(Duration::from_secs(2)).open().await;
    Arc::new(log.expect("the stream is opened"))
}

/// Publishes until the storm is over, and enough. What is not acknowledged is published again under its id, so that in the
/// end everything is stored. Gives how many messages there are.
async fn publish(context: jetstream::Context, over: Arc<AtomicBool>) -> u64 {
    let (mut number, mut under_way) = (0, FuturesUnordered::new());
    loop {
        let done = number >= MESSAGES && over.load(Ordering::Relaxed);
        if done && under_way.is_empty() {
            return number;
        }
        if !done && under_way.len() < UNDER_WAY {
            number += 1;
            under_way.push(store(&context, number));
            if number % 10 == 0 {
                tokio::time::sleep(LULL).await;
            }
            continue;
        }
        under_way.next().await;
    }
}

/// Publishes one message until it is acknowledged.
async fn store(context: &jetstream::Context, number: u64) {
    let (subject, amount) = order(number);
    let begin = Instant::now();
    loop {
        let message = PublishMessage::build()
            .message_id(number.to_string())
            .payload(amount.to_string().into());
        let stored = async { context.send_publish(subject.clone(), message).await?.await };
        match tokio::time::timeout(ANSWER, stored).await {
            Ok(Ok(_)) => return,
            _ => assert!(
                begin.elapsed() < PATIENCE,
                "message {number} is never acknowledged"
            ),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// What the stream holds, read by the bare client.
#[derive(Default)]
struct Truth {
    sequences: Vec<u64>,
    numbers: BTreeSet<u64>,
    sums: BTreeMap<String, u64>,
}

impl Truth {
    async fn read(cluster: &NatsCluster) -> Self {
        let context = jetstream::new(cluster.client().await);
        let stream = context.get_stream(STREAM).await.expect("the stream is there");
        let config = jetstream::consumer::pull::OrderedConfig::default();
        let consumer = stream.create_consumer(config).await.expect("a consumer is made");
        let mut messages = consumer.messages().await.expect("the consumer is read");
        let mut truth = Self::default();
        while let Some(message) = messages.next().await {
            let message = message.expect("a message");
            let info = message.info().expect("a message of a stream");
            truth.sequences.push(info.stream_sequence);
            let amount: u64 = text(&message.payload).parse().expect("an amount");
            *truth.sums.entry(message.subject.to_string()).or_default() += amount;
            let headers = message.headers.as_ref().expect("headers");
            let id = headers.get("Nats-Msg-Id").expect("an id").as_str();
            truth.numbers.insert(id.parse().expect("a number"));
            if info.pending == 0 {
                break;
            }
        }
        truth
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("a text")
}

/// What a handler was given, and whether it failed then.
#[derive(Clone)]
struct Given {
    sequences: Vec<u64>,
    failed: bool,
    /// How often a worker had been started by then.
    hired: u32,
}

/// A handler that writes down what it was given, sums up where it can, and fails now and then.
#[derive(Clone)]
struct Clerk(Arc<Desk>);

struct Desk {
    sums: Option<Arc<dyn Table>>,
    given: Mutex<Vec<Given>>,
    random: Mutex<Random>,
    hired: Mutex<u32>,
    dismissed: AtomicBool,
}

impl Clerk {
    fn new(sums: Option<Arc<dyn Table>>) -> Self {
        Self(Arc::new(Desk {
            sums,
            given: Mutex::default(),
            random: Mutex::new(Random(5)),
            hired: Mutex::default(),
            dismissed: AtomicBool::new(false),
        }))
    }

    fn deliveries(&self) -> Vec<Given> {
        self.0.given.lock().unwrap().clone()
    }

    fn dismiss(&self) {
        self.0.dismissed.store(true, Ordering::Relaxed);
    }

    /// Waits until it was given so many different messages.
    async fn reaches(&self, messages: usize) {
        wait::until_ok(PATIENCE, &format!("{messages} messages are handled"), || async {
            let handled: BTreeSet<u64> = self
                .deliveries()
                .into_iter()
                .filter(|given| !given.failed)
                .flat_map(|given| given.sequences)
                .collect();
            if handled.len() >= messages {
                Ok(())
            } else {
                Err(handled.len())
            }
        })
        .await;
    }

    fn sum_up(&self, delivery: &Delivery) -> Result<(), BoxError> {
        let Some(table) = &self.0.sums else { return Ok(()) };
        let before = sums(table.as_ref());
        let mut after = BTreeMap::new();
        for message in delivery {
            let account = text(&message.key).to_owned();
            let sum = after
                .entry(account)
                .or_insert_with_key(|account| before.get(account).copied().unwrap_or_default());
            *sum += text(message.value().ok_or("no amount")?).parse::<u64>()?;
        }
        for (account, sum) in after {
            delivery.put(account, sum.to_string());
        }
        Ok(())
    }
}

#[async_trait]
impl Handler for Clerk {
    async fn handle(&self, delivery: Delivery) -> Result<Action, BoxError> {
        let failed = self.0.random.lock().unwrap().below(50) == 0;
        self.sum_up(&delivery)?;
        self.0.given.lock().unwrap().push(Given {
            sequences: delivery.iter().map(|message| message.sequence.get()).collect(),
            failed,
            hired: *self.0.hired.lock().unwrap(),
        });
        if failed {
            return Err("at random".into());
        }
        Ok(Action::Continue)
    }
}

/// Keeps a worker at work, until the clerk is dismissed. One that cannot save its cursor stops, and another one begins. Gives how
/// many there were.
async fn employ(
    log: Arc<StreamLog>,
    cursors: Arc<dyn CursorStore>,
    clerk: Clerk,
    over: Arc<AtomicBool>,
) -> u32 {
    let cursor = LogCursor::builder(log, Scope::all()).held_in(cursors, NAME);
    loop {
        *clerk.0.hired.lock().unwrap() += 1;
        let started = Worker::builder(cursor.clone())
            .max_batch(500, 1 << 20)
            .pauses(Duration::from_millis(10), Duration::from_millis(500))
            .restart(RestartPolicy::Bounded {
                max_restarts: u32::MAX,
                within: Duration::MAX,
            })
            .start(clerk.clone())
            .await;
        let ended = match started {
            Ok(worker) => {
                let mut status = worker.watch_status();
                while !clerk.0.dismissed.load(Ordering::Relaxed) {
                    let over = status.wait_for(|status| status.state.is_over());
                    if tokio::time::timeout(Duration::from_millis(100), over)
                        .await
                        .is_ok()
                    {
                        break;
                    }
                }
                let state = worker.status().state;
                let ended = worker.stop_and_join().await;
                assert!(ended.is_ok() || state != WorkerState::Stopped);
                ended.map(drop)
            }
            Err(error) => Err(error),
        };
        match ended {
            Ok(()) => return *clerk.0.hired.lock().unwrap(),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Transient, "{error:?}");
                let calm = over.load(Ordering::Relaxed);
                eprintln!("a worker stops{}: {error:?}", if calm { " in calm" } else { "" });
            }
        }
    }
}

/// Deliveries follow one another as the stream does; what failed is given again from its beginning, and what was handled is
/// not, unless another worker began.
fn check(deliveries: &[Given], sequences: &[u64], hired: u32) {
    let mut next = 0;
    let mut before = 1;
    for given in deliveries {
        if given.hired != before {
            // It begins where the cursor was saved: after what its predecessor was given last, or before that.
            let begin = given
                .sequences
                .first()
                .and_then(|first| sequences.binary_search(first).ok());
            let begin = begin.expect("it begins with a message of the stream");
            assert!(begin <= next, "a new worker left out {next} to {begin}");
            (next, before) = (begin, given.hired);
        }
        let end = next + given.sequences.len();
        assert_eq!(
            sequences.get(next..end),
            Some(given.sequences.as_slice()),
            "a delivery is not what comes next"
        );
        if !given.failed {
            next = end;
        }
    }
    assert_eq!(next, sequences.len(), "not everything was handled");
    assert!(before <= hired);
    assert!(deliveries.iter().any(|given| given.failed), "nothing ever failed");
}

fn sums(table: &dyn Table) -> BTreeMap<String, u64> {
    let snapshot = table.snapshot().expect("a snapshot");
    let rows = snapshot.scan(&KeyRange::all()).expect("a scan");
    rows.map(|row| {
        let (account, sum) = row.expect("a row");
        (
            text(&account).to_owned(),
            text(&sum.value).parse().expect("a sum"),
        )
    })
    .collect()
}
