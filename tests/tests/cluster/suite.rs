//! The conformance suite of logs on buckets of three replicas, where every consumer is on whatever node. One cluster for all of it,
//! and nothing goes wrong there: what does is in the other modules.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use alluvium::{KvLog, Log, LogError, Sequence};
use alluvium_conformance::{LogHarness, LogOwner};
use alluvium_e2e::nats_cluster::{NODES, PATIENCE};
use alluvium_e2e::{NatsCluster, Proxy};
use async_nats::jetstream::{self, stream};
use async_nats::{ConnectOptions, HeaderMap};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use tokio::sync::OnceCell;
use tokio::time::Instant;

/// So many messages may be in flight: tests have some times more.
const IN_FLIGHT: u64 = 400;

static CLUSTER: OnceCell<NatsCluster> = OnceCell::const_new();
/// How many logs there were.
static LOGS: AtomicU64 = AtomicU64::new(0);

#[derive(Default)]
struct OnCluster;

#[async_trait]
impl LogHarness for OnCluster {
    async fn make_log(&self, history: u64) -> Box<dyn LogOwner> {
        let cluster = CLUSTER.get_or_init(NatsCluster::start).await;
        let number = LOGS.fetch_add(1, Ordering::Relaxed);
        let node = usize::try_from(number).unwrap_or_default() % NODES;
        let owner = Owner {
            bucket: format!("log{number}"),
            history: i64::try_from(history).expect("a history"),
            context: jetstream::new(cluster.client().await),
            proxy: Proxy::start(cluster.port(node)).await,
        };
        owner.recreate().await;
        Box::new(owner)
    }

    fn in_flight(&self) -> u64 {
        IN_FLIGHT
    }

    fn patience(&self) -> Duration {
        PATIENCE
    }
}

struct Owner {
    bucket: String,
    history: i64,
    context: jetstream::Context,
    /// Whoever reads comes by here.
    proxy: Proxy,
}

impl Owner {
    async fn stream(&self) -> stream::Stream {
        let stream = self.context.get_stream(format!("KV_{}", self.bucket)).await;
        stream.expect("the stream is there")
    }

    async fn send(
        &self,
        key: &str,
        value: Bytes,
        headers: &[(&str, &str)],
    ) -> jetstream::context::PublishAckFuture {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, *value);
        }
        let subject = format!("$KV.{}.{key}", self.bucket);
        let sent = self.context.publish_with_headers(subject, map, value).await;
        sent.expect("the message is sent")
    }

    async fn store(&self, key: &str, value: Bytes, headers: &[(&str, &str)]) -> Sequence {
        let stored = self.send(key, value, headers).await.await;
        Sequence::new(stored.expect("the message is stored").sequence)
    }

    /// Waits until no node has a message any more. What is acknowledged, the leader has done, and the others do next.
    async fn gone_everywhere(&self, sequence: Sequence) {
        let cluster = CLUSTER.get().expect("it was started");
        for node in 0..NODES {
            let context = jetstream::new(cluster.client_of(node).await);
            let stream = context.get_stream(format!("KV_{}", self.bucket)).await;
            let stream = stream.expect("the stream is there");
            let begin = Instant::now();
            // The node that is asked answers itself.
            while stream.direct_get(sequence.get()).await.is_ok() {
                assert!(begin.elapsed() < PATIENCE, "node {node} keeps {sequence}");
            }
        }
    }
}

#[async_trait]
impl LogOwner for Owner {
    async fn open(&self) -> Result<Arc<dyn Log>, LogError> {
        let client = ConnectOptions::new()
            .reconnect_delay_callback(|_| Duration::from_millis(5))
            .ignore_discovered_servers()
            .connect(self.proxy.url())
            .await
            .expect("a client connects");
        let builder = KvLog::builder(client, &self.bucket).max_in_flight_messages(IN_FLIGHT);
        Ok(Arc::new(builder.open().await?))
    }

    async fn put(&self, key: &str, value: Bytes) -> Sequence {
        self.store(key, value, &[]).await
    }

    async fn put_all(&self, keys: Vec<String>, value: Bytes) {
        for keys in keys.chunks(100) {
            let mut sent = Vec::new();
            for key in keys {
                sent.push(self.send(key, value.clone(), &[]).await);
            }
            for sent in sent {
                sent.await.expect("the message is stored");
            }
        }
    }

    async fn remove(&self, sequence: Sequence) {
        let removed = self.stream().await.delete_message(sequence.get()).await;
        assert!(removed.expect("the message is removed"));
        self.gone_everywhere(sequence).await;
    }

    async fn evict_before(&self, first: Sequence) {
        let evicted = self.stream().await.purge().sequence(first.get()).await;
        evicted.expect("messages are evicted");
        self.gone_everywhere(first.previous()).await;
    }

    async fn destroy(&self) {
        let deleted = self.context.delete_key_value(&self.bucket).await;
        deleted.expect("the bucket is deleted");
    }

    async fn recreate(&self) {
        // As clients make buckets, but for messages that can be taken away.
        let config = stream::Config {
            name: format!("KV_{}", self.bucket),
            subjects: vec![format!("$KV.{}.>", self.bucket)],
            max_messages_per_subject: self.history,
            num_replicas: NODES,
            allow_rollup: true,
            allow_direct: true,
            discard: stream::DiscardPolicy::New,
            ..stream::Config::default()
        };
        let created = self.context.create_stream(config).await;
        created.expect("the bucket is made");
    }

    async fn delete(&self, key: &str) -> Sequence {
        self.store(key, Bytes::new(), &[("KV-Operation", "DEL")]).await
    }

    async fn purge(&self, key: &str) -> Sequence {
        let headers = [("KV-Operation", "PURGE"), ("Nats-Rollup", "sub")];
        self.store(key, Bytes::new(), &headers).await
    }

    async fn disconnect(&self) {
        self.proxy.disconnect();
    }

    async fn reconnect(&self) {
        self.proxy.reconnect(PATIENCE).await;
    }

    async fn readers(&self) -> usize {
        let consumers: Result<Vec<String>, _> = self.stream().await.consumer_names().try_collect().await;
        consumers.expect("the consumers are listed").len()
    }
}

alluvium_conformance::log_suite!(OnCluster, markers, served);
