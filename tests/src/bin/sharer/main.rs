//! A process that shares partitions, for the tests that kill and stop it: see `alluvium_e2e::sharer`, which starts it.

mod effects;
mod hand;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use alluvium::{
    Action, Assigned, BoxError, Delivery, KvCursorStore, KvLeaseStore, PartitionScopes, Partitions,
    RestartPolicy, StreamLog, Worker, WorkerBuilder,
};
use alluvium_e2e::participant::program::{self, tell};
use alluvium_e2e::sharer::{CURSORS, Command, LEASES, MAX_BATCH, NAME, Orders, PARTITIONS, STREAM, Told};
use anyhow::{Context as _, Result};
use tokio::runtime::Handle;

use crate::effects::Effects;
use crate::hand::Hand;

fn main() -> ExitCode {
    program::run(run())
}

async fn run() -> Result<()> {
    let orders: Orders = program::orders()?;
    let mut lines = program::lines();
    let client = program::connect(&orders.server).await?;
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
        let said = lines.recv().await.context("whoever has started this is gone")?;
        match serde_json::from_str(&said).context("that is no command")? {
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
