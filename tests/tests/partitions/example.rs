//! The example of the facade, on a real server.

use std::collections::BTreeMap;
use std::time::Duration;

use alluvium_e2e::{NatsServer, wait};
use async_nats::jetstream;

#[path = "../../../crates/alluvium/examples/partitioned_counter.rs"]
mod partitioned_counter;

use partitioned_counter::{Count, counter, prepare};

/// Waits until the customers have so many orders.
async fn until_counted(
    counts: &jetstream::kv::Store,
    orders: &BTreeMap<String, u64>,
) -> BTreeMap<String, Count> {
    wait::until_ok(Duration::from_mins(2), "everything is counted", || async {
        let mut found = BTreeMap::new();
        for customer in orders.keys() {
            if let Some(value) = counts.get(customer).await.unwrap() {
                let count: Count = serde_json::from_slice(&value).unwrap();
                found.insert(customer.clone(), count);
            }
        }
        let counted = |customer: &String| found.get(customer).map_or(0, |count| count.orders);
        let mut all = orders.iter();
        if all.all(|(customer, orders)| counted(customer) >= *orders) {
            Ok(found)
        } else {
            Err(found)
        }
    })
    .await
}

/// Each order is counted once, whoever comes and goes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_partitioned_counter_counts() {
    let server = NatsServer::start().await;
    let client = server.client().await;
    let counts = prepare(&client).await.unwrap();
    let context = jetstream::new(client.clone());
    let mut orders: BTreeMap<String, u64> = BTreeMap::new();
    let mut running = Vec::new();
    for round in 0..4 {
        running.push(
            counter(&client, counts.clone(), &format!("process {round}"))
                .await
                .unwrap(),
        );
        for order in 0..300 {
            let customer = format!("c{}", order % 23);
            *orders.entry(customer.clone()).or_default() += 1;
            let published = context
                .publish(format!("orders.{customer}"), "2 lemons".into())
                .await;
            published.unwrap().await.unwrap();
        }
        if round == 2 {
            running.remove(0).stop_and_join().await.unwrap();
        }
    }
    let found = until_counted(&counts, &orders).await;
    for (customer, count) in &found {
        assert_eq!(count.orders, orders[customer], "{customer}");
    }
    let survey = running[0].survey().await.unwrap();
    assert_eq!(survey.len(), 4);
    for process in running {
        process.stop_and_join().await.unwrap();
    }
}
