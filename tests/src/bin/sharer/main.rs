//! A process that shares partitions, for the tests that kill and stop it: see `alluvium_e2e::sharer`, which starts it.

mod effects;
mod hand;

use std::io::{BufRead as _, Write as _, stdin, stdout};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use alluvium::{
    Action, Assigned, BoxError, Delivery, KvCursorStore, KvLeaseStore, PartitionScopes, Partitions,
    RestartPolicy, StreamLog, Worker, WorkerBuilder,
};
use alluvium_e2e::sharer::{CURSORS, Command, LEASES, MAX_BATCH, NAME, Orders, PARTITIONS, STREAM, Told};
use anyhow::{Context as _, Result};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::effects::Effects;
use crate::hand::Hand;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let mut line = String::new();
    stdin().read_line(&mut line)?;
    let orders: Orders = serde_json::from_str(&line).context("the first line is no orders")?;
    let mut commands = commands();
    let client = async_nats::ConnectOptions::new()
        .reconnect_delay_callback(|_| Duration::from_millis(50))
        .connect(&orders.server)
        .await?;
    let log = Arc::new(StreamLog::open(client.clone(), STREAM).await?);
    let leases = Arc::new(KvLeaseStore::open(client.clone(), LEASES).await?);
    let cursors = Arc::new(KvCursorStore::open(client.clone(), CURSORS).await?);
    let scopes = PartitionScopes::new("orders.{partition}.*", PARTITIONS)?;
    let hand = Arc::new(Hand::default());
    let held = Arc::clone(&hand);
    let by = orders.name.clone();
    let partitions = Partitions::builder(NAME, log, scopes, leases, cursors)
        .held_by(orders.name)
        .ttl(orders.ttl)
        .start(move |assigned, worker| {
            let effects = Effects::begin(client.clone(), by.clone(), assigned.clone());
            let held = Arc::clone(&held);
            async move { start(assigned, worker, effects.await?, held).await }
        })?;
    loop {
        match commands
            .recv()
            .await
            .context("whoever has started this is gone")?
        {
            Command::Hold => hand.hold(),
            Command::GoOn => hand.go_on(),
            Command::Stop => break,
        }
    }
    partitions.stop_and_join().await?;
    tell(&Told::Stopped);
    Ok(())
}

/// A handler that blocks: what it has begun it does, whatever the worker thinks of it by then.
async fn start(
    assigned: Assigned,
    worker: WorkerBuilder,
    effects: Effects,
    hand: Arc<Hand>,
) -> Result<Worker, BoxError> {
    let runtime = Handle::current();
    let handler = move |delivery: &Delivery| -> Result<Action, BoxError> {
        hand.pass(|| {
            tell(&Told::InHand {
                partition: assigned.partition,
                version: assigned.version.get(),
            });
        });
        if delivery.evidence().assignment != assigned.version {
            return Err("the evidence tells of another assignment".into());
        }
        runtime.block_on(effects.of(delivery))?;
        Ok(Action::Continue)
    };
    let worker = worker
        .max_batch(MAX_BATCH, usize::MAX)
        .pauses(Duration::from_millis(5), Duration::from_millis(100))
        .restart(RestartPolicy::Bounded {
            max_restarts: u32::MAX,
            within: Duration::MAX,
        });
    Ok(worker.start_blocking(handler).await?)
}

/// What it is told, by a thread that reads.
fn commands() -> mpsc::UnboundedReceiver<Command> {
    let (said, commands) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in stdin().lock().lines() {
            let Ok(line) = line else { return };
            match serde_json::from_str(&line) {
                Ok(command) if said.send(command).is_ok() => {}
                _ => return,
            }
        }
    });
    commands
}

pub(crate) fn tell(told: &Told) {
    let line = serde_json::to_string(told).expect("what is told is JSON");
    let mut output = stdout().lock();
    // Whoever does not listen any more has killed this process, or is gone.
    let _ = writeln!(output, "{line}").and_then(|()| output.flush());
}
