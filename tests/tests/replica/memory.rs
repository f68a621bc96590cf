//! A hook that sleeps, against a bucket much larger than the memory that the replica may take.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use alluvium::{KvLog, Replica};
use alluvium_e2e::NatsServer;
use alluvium_e2e::bucket::{Bucket, Rows};
use alluvium_e2e::engine::EngineKind;
use alluvium_e2e::state::{StateHome, open_table, rows};
use async_nats::jetstream::kv;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::process::Command;

/// Set in the process that replicates: the server's address, then the state directory.
const CHILD: &str = "ALLUVIUM_E2E_CHILD";

/// What the replicating process may take at its highest, engine included.
const LIMIT_MB: f64 = 256.0;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sleeping_hook_holds_the_stream_back_and_not_the_memory() {
    if let Ok(child) = std::env::var(CHILD) {
        let (url, state) = child.split_once(' ').expect("two words");
        replicate(url, state).await;
        return;
    }
    // The same order of bytes in both lengths: much more than the limit, were it all received at once.
    let (keys, value) = if alluvium_e2e::full() {
        (1_000_000, 200)
    } else {
        (100_000, 4_000)
    };
    let server = NatsServer::start().await;
    let config = kv::Config {
        bucket: "b".to_owned(),
        history: 1,
        ..kv::Config::default()
    };
    let bucket = Bucket::create_with(&server, config).await;
    fill(&bucket, keys, value).await;

    let home = StateHome::new(EngineKind::Fjall);
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "memory::a_sleeping_hook_holds_the_stream_back_and_not_the_memory",
            "--nocapture",
        ])
        .env(CHILD, format!("{} {}", server.url(), home.path().display()))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let peak: f64 = text
        .lines()
        .find_map(|line| line.split_once("peak_rss_mb ")?.1.trim().parse().ok())
        .expect("the child tells its peak");
    assert!(peak < LIMIT_MB, "the replica took {peak:.0} MiB");
    let (_state, table) = open_table(&home.path(), EngineKind::Fjall).await;
    let (stored, truth): (Rows, Rows) = (rows(table.as_ref()), bucket.truth().await);
    assert_eq!(stored.len(), keys);
    assert!(stored == truth, "the table differs from the bucket");
}

/// Follows until caught up, with a hook that lets everything pile up that can.
async fn replicate(url: &str, state: &str) {
    let log = KvLog::open(async_nats::connect(url).await.unwrap(), "b")
        .await
        .unwrap();
    let (_open, table) = open_table(state.as_ref(), EngineKind::Fjall).await;
    let mut first = true;
    let hook = move |_: &alluvium::Batch| {
        // Long enough for all of the bucket to arrive at first, and a slow applier after that.
        std::thread::sleep(Duration::from_millis(if first { 3_000 } else { 20 }));
        first = false;
        Ok(())
    };
    let replica = Replica::builder(Arc::new(log), table)
        .on_batch(hook)
        .start()
        .await
        .unwrap();
    replica.caught_up().await.unwrap();
    replica.shutdown().await.unwrap();
    println!(
        "peak_rss_mb {}",
        alluvium_e2e::peak_rss_mb().expect("the peak is known")
    );
}

async fn fill(bucket: &Bucket, keys: usize, value: usize) {
    let mut acknowledgements = FuturesUnordered::new();
    let mut random = alluvium_e2e::feed::Random(17);
    for key in 0..keys {
        let mut bytes = Vec::with_capacity(value + 8);
        while bytes.len() < value {
            bytes.extend_from_slice(&random.number().to_le_bytes());
        }
        let sent = bucket
            .context
            .publish(format!("$KV.b.key.{key}"), bytes.into())
            .await
            .unwrap();
        acknowledgements.push(sent.into_future());
        if acknowledgements.len() >= 1_024 {
            acknowledgements.next().await.unwrap().unwrap();
        }
    }
    while let Some(acknowledgement) = acknowledgements.next().await {
        acknowledgement.unwrap();
    }
}
