//! A worker, for the tests that kill it: see `alluvium_e2e::worker`, which starts it.

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alluvium::{
    Action, BoxError, CursorStore, Delivery, ErrorKind, FileCursorStore, Handler, KvCursorStore, LogCursor,
    RestartPolicy, Scope, StateBackend, StreamLog, Table, TableCursorStore, Worker,
};
use alluvium_e2e::feed::Random;
use alluvium_e2e::participant::program::{self, tell};
use alluvium_e2e::worker::{CursorPlace, MAX_BATCH, NAME, Orders, STOP, STREAM, Told};
use anyhow::{Result, bail};
use async_nats::Client;
use async_trait::async_trait;

fn main() -> ExitCode {
    program::run(run())
}

async fn run() -> Result<()> {
    let orders: Orders = program::orders()?;
    let mut lines = program::lines();
    let client = program::connect(&orders.server).await?;
    let (cursors, open) = cursors(&client, &orders.cursor).await?;
    let log = Arc::new(StreamLog::open(client, STREAM).await?);
    let clerk = Clerk {
        random: Mutex::new(Random(orders.seed)),
        sums: open.as_ref().map(|open| Arc::clone(&open.table)),
    };
    let builder = Worker::builder(LogCursor::builder(log, Scope::all()).held_in(cursors, NAME))
        .max_batch(MAX_BATCH, usize::MAX)
        .pauses(Duration::from_millis(1), Duration::from_millis(20))
        .restart(RestartPolicy::Bounded {
            max_restarts: u32::MAX,
            within: Duration::MAX,
        });
    // One half of the workers blocks.
    let worker = if orders.seed.is_multiple_of(2) {
        builder.start(clerk).await?
    } else {
        builder
            .start_blocking(move |delivery| clerk.work(delivery))
            .await?
    };
    let mut status = worker.watch_status();
    tokio::select! {
        said = lines.recv() => if said.as_deref() != Some(STOP) {
            bail!("whoever has started this is gone");
        },
        _ = status.wait_for(|status| status.state.is_over()) => {},
    }
    match worker.stop_and_join().await {
        Ok(cursor) => tell(&Told::Stopped(cursor.sequence.get())),
        Err(error) if error.kind() == ErrorKind::Fenced => tell(&Told::Fenced),
        Err(error) => return Err(error.into()),
    }
    if let Some(open) = open {
        open.state.close().await?;
    }
    Ok(())
}

/// A state that is open, and the table in it.
struct Open {
    state: Arc<dyn StateBackend>,
    table: Arc<dyn Table>,
}

async fn cursors(client: &Client, place: &CursorPlace) -> Result<(Arc<dyn CursorStore>, Option<Open>)> {
    Ok(match place {
        CursorPlace::Table(url) => {
            let state = alluvium::open(url).await?;
            let table = state.open_table(NAME).await?;
            let store = TableCursorStore::new(Arc::clone(&table));
            (Arc::new(store), Some(Open { state, table }))
        }
        CursorPlace::Files(directory) => (Arc::new(FileCursorStore::open(directory)?), None),
        CursorPlace::Kv(bucket) => (Arc::new(KvCursorStore::open(client.clone(), bucket).await?), None),
    })
}

/// A handler that sums up the accounts, if it is not at fault.
struct Clerk {
    random: Mutex<Random>,
    /// Where the sums are, if they go with the cursor.
    sums: Option<Arc<dyn Table>>,
}

#[async_trait]
impl Handler for Clerk {
    async fn handle(&self, delivery: Delivery) -> Result<Action, BoxError> {
        let pause = self.fault()?;
        tokio::time::sleep(pause).await;
        self.sum_up(&delivery)
    }
}

impl Clerk {
    fn work(&self, delivery: &Delivery) -> Result<Action, BoxError> {
        std::thread::sleep(self.fault()?);
        self.sum_up(delivery)
    }

    /// Now and then it panics, fails, or takes its time.
    fn fault(&self) -> Result<Duration, BoxError> {
        let chance = self
            .random
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .below(100);
        match chance {
            // Without a word on the standard error.
            0..3 => std::panic::resume_unwind(Box::new("at random")),
            3..6 => Err("at random".into()),
            6..10 => Ok(Duration::from_millis(chance)),
            _ => Ok(Duration::ZERO),
        }
    }

    fn sum_up(&self, delivery: &Delivery) -> Result<Action, BoxError> {
        if let Some(table) = &self.sums {
            let mut sums = HashMap::new();
            for message in delivery {
                let amount = message.value().ok_or("an order without an amount")?;
                let amount: u64 = std::str::from_utf8(amount)?.parse()?;
                *sums.entry(&message.key).or_insert(0_u64) += amount;
            }
            for (account, sum) in sums {
                let before: u64 = match table.get(account)? {
                    Some(row) => std::str::from_utf8(&row.value)?.parse()?,
                    None => 0,
                };
                delivery.put(account.clone(), (before + sum).to_string());
            }
        }
        tell(&Told::Handled {
            first: delivery.evidence().first.get(),
            last: delivery.evidence().last.get(),
            count: delivery.messages().len() as u64,
        });
        Ok(Action::Continue)
    }
}
