//! A process that reads the whole stream: as a worker, or as a durable consumer that acknowledges.

use std::sync::Arc;
use std::time::{Duration, Instant};

use alluvium::{
    Action, CursorStore, Delivery, EngineTable, FileCursorStore, FjallEngine, FjallOptions, KvCursorStore,
    LogCursor, MemoryCursorStore, Scope, StreamLog, TableCursorStore, Worker,
};
use anyhow::{Context as _, Result};
use async_nats::Client;
use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::{self, AckKind};
use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};

use crate::feed::BUCKET;

/// The messages of a delivery, and of a batch that is acknowledged at once.
const BATCH: usize = 1_024;

/// Who reads.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Reader {
    /// A worker whose handler does nothing.
    Worker(Store),
    /// A durable pull consumer; each message is acknowledged.
    PullAckEach,
    /// A durable pull consumer; the last message of a batch is acknowledged, for all of them.
    PullAckBatch,
}

/// Where a worker's cursor is saved for each batch.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Store {
    Memory,
    Files,
    Kv,
    Table,
}

impl Reader {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Worker(Store::Memory) => "cursor in memory",
            Self::Worker(Store::Files) => "cursor in a file",
            Self::Worker(Store::Kv) => "cursor in a bucket",
            Self::Worker(Store::Table) => "cursor in a fjall table",
            Self::PullAckEach => "pull consumer, each acknowledged",
            Self::PullAckBatch => "pull consumer, batches acknowledged",
        }
    }
}

/// Reads so many messages, and gives how long that took.
pub(crate) async fn here(url: &str, reader: &str, messages: u64) -> Result<(Duration, u64)> {
    let client = async_nats::connect(url).await?;
    match serde_json::from_str(reader)? {
        Reader::Worker(store) => work(client, store, messages).await,
        Reader::PullAckEach => pull(client, AckPolicy::Explicit, messages).await,
        Reader::PullAckBatch => pull(client, AckPolicy::All, messages).await,
    }
}

async fn work(client: Client, store: Store, messages: u64) -> Result<(Duration, u64)> {
    let directory = tempfile::tempdir()?;
    let cursors: Arc<dyn CursorStore> = match store {
        Store::Memory => Arc::new(MemoryCursorStore::new()),
        Store::Files => Arc::new(FileCursorStore::open(directory.path())?),
        Store::Kv => {
            let builder = KvCursorStore::builder(client.clone(), "cursors").create(1);
            let cursors = builder.open().await?;
            cursors.remove("bench").await?;
            Arc::new(cursors)
        }
        Store::Table => {
            let engine = FjallEngine::open(directory.path().join("table"), FjallOptions::default())?;
            Arc::new(TableCursorStore::new(Arc::new(EngineTable::open(
                Arc::new(engine),
                "bench",
            )?)))
        }
    };
    let log = Arc::new(StreamLog::open(client, format!("KV_{BUCKET}")).await?);
    let begin = Instant::now();
    let worker = Worker::builder(LogCursor::builder(log, Scope::all()).held_in(cursors, "bench"))
        .max_batch(BATCH, usize::MAX)
        .start(async |_: Delivery| Ok(Action::Continue))
        .await?;
    let mut status = worker.watch_status();
    let handled = status
        .wait_for(|status| status.handled >= messages || status.state.is_over())
        .await?
        .handled;
    let elapsed = begin.elapsed();
    worker.stop_and_join().await?;
    Ok((elapsed, handled))
}

async fn pull(client: Client, ack_policy: AckPolicy, messages: u64) -> Result<(Duration, u64)> {
    let context = jetstream::new(client);
    let stream = context.get_stream(format!("KV_{BUCKET}")).await?;
    let config = pull::Config {
        durable_name: Some("bench".to_owned()),
        ack_policy,
        max_ack_pending: 65_536,
        ..pull::Config::default()
    };
    let begin = Instant::now();
    let consumer = stream.create_consumer(config).await?;
    let mut arriving = consumer.stream().max_messages_per_batch(BATCH).messages().await?;
    let mut count = 0;
    while count < messages {
        let message = arriving.next().await.context("the consumer goes on")??;
        count += 1;
        if ack_policy == AckPolicy::Explicit || count % BATCH as u64 == 0 || count == messages {
            message.ack_with(AckKind::Ack).await.map_err(anyhow::Error::msg)?;
        }
    }
    let elapsed = begin.elapsed();
    stream.delete_consumer("bench").await?;
    Ok((elapsed, count))
}
