//! A partitioned counter: how many orders each customer has placed, counted by as many processes as there are, and each order
//! once.
//!
//! The server puts the number of a partition into every subject, so that all orders of one customer are in one partition. Each
//! process counts some of the partitions. Kill one, stop one, start one more: the counts stay right.
//!
//! ```console
//! $ nats-server --jetstream --port 4222
//! $ cargo run --package alluvium --example partitioned_counter -- nats://127.0.0.1:4222
//! ```

use std::sync::Arc;
use std::time::Duration;

use alluvium::{
    Action, AssignmentVersion, BoxError, Delivery, KvCursorStore, KvLeaseStore, PartitionScopes, Partitions,
    Sequence, StreamLog,
};
use async_nats::jetstream::kv::UpdateErrorKind;
use async_nats::jetstream::stream::SubjectTransform;
use async_nats::jetstream::{self, kv, stream};
use async_nats::{Client, connect};
use serde::{Deserialize, Serialize};

/// How many partitions there are.
const PARTITIONS: u32 = 4;

/// What is counted of a customer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Count {
    /// How many orders.
    pub orders: u64,
    /// The last order that was counted: one that comes again is told by it.
    pub last: Sequence,
    /// By which assignment: nobody with an older one counts after that.
    pub version: AssignmentVersion,
}

/// Makes what the processes share: the stream, and buckets for counts, leases and cursors.
pub(crate) async fn prepare(client: &Client) -> Result<kv::Store, BoxError> {
    let context = jetstream::new(client.clone());
    let orders = stream::Config {
        name: "ORDERS".to_owned(),
        subjects: vec!["orders.*".to_owned()],
        subject_transform: Some(SubjectTransform {
            source: "orders.*".to_owned(),
            destination: format!("orders.{{{{partition({PARTITIONS},1)}}}}.{{{{wildcard(1)}}}}"),
        }),
        ..Default::default()
    };
    context.get_or_create_stream(orders).await?;
    KvLeaseStore::builder(client.clone(), "leases")
        .create(1)
        .open()
        .await?;
    KvCursorStore::builder(client.clone(), "cursors")
        .create(1)
        .open()
        .await?;
    let counts = kv::Config {
        bucket: "counts".to_owned(),
        ..Default::default()
    };
    Ok(context.create_or_update_key_value(counts).await?)
}

/// The part of one process. It has the partitions that nobody else has, up to its share.
pub(crate) async fn counter(
    client: &Client,
    counts: kv::Store,
    process: &str,
) -> Result<Partitions, BoxError> {
    let log = StreamLog::open(client.clone(), "ORDERS").await?;
    let leases = KvLeaseStore::open(client.clone(), "leases").await?;
    let cursors = KvCursorStore::open(client.clone(), "cursors").await?;
    let scopes = PartitionScopes::new("orders.{partition}.*", PARTITIONS)?;
    let partitions = Partitions::builder(
        "counter",
        Arc::new(log),
        scopes,
        Arc::new(leases),
        Arc::new(cursors),
    )
    .held_by(process)
    .ttl(Duration::from_secs(3))
    .start(move |assigned, worker| {
        let counts = counts.clone();
        async move {
            let handler = move |orders: Delivery| {
                let counts = counts.clone();
                async move {
                    for order in &orders {
                        let subject = std::str::from_utf8(&order.key)?;
                        let customer = subject.rsplit('.').next().unwrap_or_default();
                        count(&counts, customer, order.sequence, assigned.version).await?;
                    }
                    Ok(Action::Continue)
                }
            };
            Ok(worker.start(handler).await?)
        }
    })?;
    Ok(partitions)
}

/// Counts one order, unless it was counted before, or by somebody who has taken over since.
async fn count(
    counts: &kv::Store,
    customer: &str,
    order: Sequence,
    version: AssignmentVersion,
) -> Result<(), BoxError> {
    loop {
        let (revision, before) = match counts.entry(customer).await? {
            Some(entry) => (entry.revision, serde_json::from_slice(&entry.value)?),
            None => (0, Count::default()),
        };
        if before.version > version {
            return Err(format!("{customer} is counted by another process").into());
        }
        if before.last >= order {
            return Ok(());
        }
        let now = Count {
            orders: before.orders + 1,
            last: order,
            version,
        };
        match counts
            .update(customer, serde_json::to_vec(&now)?.into(), revision)
            .await
        {
            Ok(_) => return Ok(()),
            // Somebody has counted meanwhile: it is looked at again.
            Err(error) if error.kind() == UpdateErrorKind::WrongLastRevision => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[allow(dead_code, reason = "the tests have it as a module, too")]
#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let server = std::env::args().nth(1);
    let client = connect(server.as_deref().unwrap_or("nats://127.0.0.1:4222")).await?;
    let counts = prepare(&client).await?;
    // Two in one program; in two programs it is the same.
    let first = counter(&client, counts.clone(), "first").await?;
    let second = counter(&client, counts.clone(), "second").await?;

    let context = jetstream::new(client);
    for order in 0..1_000 {
        let customer = ["ada", "bob", "eve", "kim", "leo"][order % 5];
        context
            .publish(format!("orders.{customer}"), "2 lemons".into())
            .await?
            .await?;
    }
    let mut all = 0;
    while all < 1_000 {
        all = 0;
        for customer in ["ada", "bob", "eve", "kim", "leo"] {
            if let Some(value) = counts.get(customer).await? {
                all += serde_json::from_slice::<Count>(&value)?.orders;
            }
        }
        println!("{all} orders are counted");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for record in first.survey().await? {
        let by = record.held.map_or_else(|| "nobody".to_owned(), |(by, _)| by);
        println!(
            "partition {}: {by}, by assignment {}",
            record.partition, record.version
        );
    }
    first.stop_and_join().await?;
    second.stop_and_join().await?;
    Ok(())
}
