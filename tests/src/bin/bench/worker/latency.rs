//! From `publish` to the handler, one message at a time, on an idle machine.

use std::sync::Arc;
use std::time::{Duration, Instant};

use alluvium::{Action, Delivery, LogCursor, MemoryCursorStore, Scope, StartAt, StreamLog, Worker};
use alluvium_e2e::NatsServer;
use anyhow::{Context as _, Result};
use async_nats::jetstream;
use futures_util::StreamExt as _;
use serde_json::json;
use tokio::sync::mpsc;

use crate::feed::value;
use crate::report::{Report, quantile, rounded};

const MESSAGES: u64 = 2_000;
/// Not counted: connections, caches and clocks settle.
const WARM_UP: u64 = 200;
/// What a worker may add to the bare subscription, in ms.
const ALLOWED_MS: f64 = 0.3;

pub(crate) async fn run(report: &mut Report) -> Result<()> {
    let server = NatsServer::start().await;
    let context = jetstream::new(server.client().await);
    let config = jetstream::stream::Config {
        name: "REST".to_owned(),
        subjects: vec!["rest".to_owned()],
        ..jetstream::stream::Config::default()
    };
    context.create_stream(config).await?;

    let mut subscription = server.client().await.subscribe("rest").await?;
    let (told, mut arrivals) = mpsc::unbounded_channel();
    let bare = tokio::spawn(async move {
        while subscription.next().await.is_some() && told.send(Instant::now()).is_ok() {}
    });
    let mut bare_ms = measure(&context, &mut arrivals).await?;
    bare.abort();

    let (told, mut arrivals) = mpsc::unbounded_channel();
    let log = Arc::new(StreamLog::open(server.client().await, "REST").await?);
    let cursor = LogCursor::builder(log, Scope::all())
        .held_in(Arc::new(MemoryCursorStore::new()), "rest")
        .start_at(StartAt::Next);
    let handler = move |_: Delivery| {
        let _ = told.send(Instant::now());
        async { Ok(Action::Continue) }
    };
    let worker = Worker::builder(cursor).start(handler).await?;
    let mut ours_ms = measure(&context, &mut arrivals).await?;
    worker.stop_and_join().await?;

    let (bare_p50, bare_p99) = (quantile(&mut bare_ms, 0.5), quantile(&mut bare_ms, 0.99));
    let (p50, p99) = (quantile(&mut ours_ms, 0.5), quantile(&mut ours_ms, 0.99));
    let figures = json!({
        "p50_ms": rounded(p50), "p99_ms": rounded(p99),
        "bare_p50_ms": rounded(bare_p50), "bare_p99_ms": rounded(bare_p99), "messages": MESSAGES,
    });
    report.result(
        "worker_latency_p50",
        "stream",
        (bare_p50 + ALLOWED_MS) / p50,
        1.0,
        &figures,
    );
    Ok(())
}

/// Publishes one message after another, each when the one before has arrived and is stored. Gives how long each took, in ms.
async fn measure(
    context: &jetstream::Context,
    arrivals: &mut mpsc::UnboundedReceiver<Instant>,
) -> Result<Vec<f64>> {
    let mut taken = Vec::new();
    for index in 0..WARM_UP + MESSAGES {
        let begin = Instant::now();
        let stored = context.publish("rest", value(index)).await?;
        let arrived = tokio::time::timeout(Duration::from_secs(10), arrivals.recv()).await?;
        let arrived = arrived.context("the receiver goes on")?;
        stored.await?;
        if index >= WARM_UP {
            taken.push(arrived.duration_since(begin).as_secs_f64() * 1_000.0);
        }
    }
    Ok(taken)
}
