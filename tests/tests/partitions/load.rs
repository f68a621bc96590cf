//! Messages of many keys, each numbered by its key from 1.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::jetstream;
use tokio::task::JoinHandle;

/// How many keys there are.
const KEYS: u64 = 200;
/// So many messages at a time, of different keys, and after each of them a pause.
const AT_ONCE: u64 = 20;
const PAUSE: Duration = Duration::from_millis(20);

/// What was published: how many messages of each key.
pub(super) type Published = BTreeMap<String, u64>;

pub(super) struct Load {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Published>,
}

impl Load {
    pub(super) fn start(context: jetstream::Context) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(publish(context, Arc::clone(&stop)));
        Self { stop, task }
    }

    pub(super) async fn stop(self) -> Published {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap()
    }
}

async fn publish(context: jetstream::Context, stop: Arc<AtomicBool>) -> Published {
    let mut published = Published::new();
    let mut next = 0;
    while !stop.load(Ordering::Relaxed) {
        let mut sent = Vec::new();
        for _ in 0..AT_ONCE {
            let key = format!("k{}", next % KEYS);
            next += 1;
            let number = published.entry(key.clone()).or_insert(0);
            *number += 1;
            let message = context.publish(format!("orders.{key}"), number.to_string().into());
            sent.push(message.await.unwrap());
        }
        // No two of a key are on their way at a time: they are stored in order.
        for stored in sent {
            stored.await.unwrap();
        }
        tokio::time::sleep(PAUSE).await;
    }
    published
}
