//! Orders summed up per customer in a local table. Each counts exactly once: the totals and the cursor are one commit.
//!
//! ```console
//! $ nats-server --jetstream &
//! $ cargo run --example projection -- nats://127.0.0.1:4222 ./totals
//! ```
//!
//! It places some orders, sums up whatever the stream holds beyond where it stopped the last time, and tells the totals. Kill it
//! wherever you like and run it again: they stay right.

use std::collections::BTreeMap;
use std::sync::Arc;

use alluvium::{
    Action, BoxError, Delivery, Handler, KeyRange, LogCursor, Scope, StreamLog, Table, TableCursorStore,
    Worker,
};
use async_nats::jetstream;
use async_trait::async_trait;

/// The table of the totals, and the name of their worker.
const TOTALS: &str = "totals";

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut arguments = std::env::args().skip(1);
    let server = arguments
        .next()
        .unwrap_or_else(|| "nats://127.0.0.1:4222".to_owned());
    let state = arguments.next().unwrap_or_else(|| "./totals".to_owned());
    for (customer, total) in run(&server, &state).await? {
        println!("{customer}: {total}");
    }
    Ok(())
}

/// Places some orders and sums up what the stream holds. Gives the totals.
pub(crate) async fn run(server: &str, state: &str) -> Result<BTreeMap<String, u64>, BoxError> {
    let client = async_nats::connect(server).await?;
    place_orders(&jetstream::new(client.clone())).await?;

    // The worker's cursor lives in the table that its rows go into.
    let state = alluvium::open(state).await?;
    let totals = state.open_table(TOTALS).await?;
    let cursors = Arc::new(TableCursorStore::new(Arc::clone(&totals)));
    let orders = Arc::new(StreamLog::open(client, "ORDERS").await?);
    let cursor = LogCursor::builder(orders, Scope::all()).held_in(cursors, TOTALS);
    let worker = Worker::builder(cursor).start(SumUp(Arc::clone(&totals))).await?;

    // A service would go on for ever; this one stops when it has caught up.
    let mut status = worker.watch_status();
    while worker.lag().await? > 0 {
        status.changed().await?;
    }
    worker.stop_and_join().await?;

    let mut told = BTreeMap::new();
    for row in totals.snapshot()?.scan(&KeyRange::all())? {
        let (customer, total) = row?;
        told.insert(String::from_utf8(customer.to_vec())?, number(&total.value)?);
    }
    drop(totals);
    state.close().await?;
    Ok(told)
}

struct SumUp(Arc<dyn Table>);

#[async_trait]
impl Handler for SumUp {
    async fn handle(&self, orders: Delivery) -> Result<Action, BoxError> {
        let mut added = BTreeMap::new();
        for order in &orders {
            let amount = order.value().ok_or("an order without an amount")?;
            *added.entry(&order.key).or_insert(0) += number(amount)?;
        }
        for (customer, added) in added {
            let before = self.0.get(customer)?.map_or(Ok(0), |row| number(&row.value))?;
            // Becomes visible with the cursor that it belongs to, or not at all.
            orders.put(customer.clone(), (before + added).to_string());
        }
        Ok(Action::Continue)
    }
}

async fn place_orders(context: &jetstream::Context) -> Result<(), BoxError> {
    let config = jetstream::stream::Config {
        name: "ORDERS".to_owned(),
        subjects: vec!["orders.>".to_owned()],
        ..jetstream::stream::Config::default()
    };
    context.get_or_create_stream(config).await?;
    for (customer, amount) in [("anna", 30), ("ben", 5), ("anna", 12), ("cleo", 100)] {
        let order = context.publish(format!("orders.{customer}"), amount.to_string().into());
        order.await?.await?;
    }
    Ok(())
}

fn number(text: &[u8]) -> Result<u64, BoxError> {
    Ok(std::str::from_utf8(text)?.parse()?)
}
