//! Obligation 5 of buckets: messages become the right changes, with the right keys.

use std::sync::Arc;
use std::time::Duration;

use alluvium::{Change, DeleteReason, KvLog, Log, LogStream, Operation, Scope, Sequence};
use alluvium_e2e::NatsServer;
use alluvium_e2e::bucket::Bucket;
use alluvium_e2e::nats_server::free_port;
use async_nats::HeaderMap;
use async_nats::jetstream::{self, kv, stream};

use crate::support::{BUCKET, Kind, change, event, read};

/// A server with a bucket.
struct Fixture {
    server: NatsServer,
    bucket: Bucket,
}

impl Fixture {
    async fn new() -> Self {
        Self::with_history(1).await
    }

    async fn with_history(history: i64) -> Self {
        let server = NatsServer::start().await;
        let config = kv::Config {
            bucket: BUCKET.to_owned(),
            history,
            ..kv::Config::default()
        };
        let bucket = Bucket::create_with(&server, config).await;
        Self { server, bucket }
    }

    async fn log(&self) -> Arc<dyn Log> {
        open(self.server.client().await).await
    }
}

async fn open(client: async_nats::Client) -> Arc<dyn Log> {
    crate::support::open(Kind::Bucket, client).await
}

fn told(change: &Change) -> (String, Result<String, DeleteReason>) {
    let key = String::from_utf8(change.key.to_vec()).unwrap();
    let value = match &change.operation {
        Operation::Put(value) => Ok(String::from_utf8(value.to_vec()).unwrap()),
        Operation::Delete(reason) => Err(*reason),
    };
    (key, value)
}

async fn next(stream: &mut LogStream) -> (String, Result<String, DeleteReason>) {
    told(&change(stream).await)
}

fn put(key: &str, value: &str) -> (String, Result<String, DeleteReason>) {
    (key.to_owned(), Ok(value.to_owned()))
}

fn gone(key: &str, reason: DeleteReason) -> (String, Result<String, DeleteReason>) {
    (key.to_owned(), Err(reason))
}

#[tokio::test]
async fn obligation_5_puts_deletes_and_purges() {
    let fixture = Fixture::with_history(10).await;
    let log = fixture.log().await;
    let mut stream = read(&log, 1).await;
    fixture.bucket.put("a.b.c", "one").await;
    fixture.bucket.put("empty", "").await;
    fixture.bucket.delete("a.b.c").await;
    fixture.bucket.put("a.b.c", "two").await;
    assert_eq!(next(&mut stream).await, put("a.b.c", "one"));
    assert_eq!(next(&mut stream).await, put("empty", ""));
    assert_eq!(next(&mut stream).await, gone("a.b.c", DeleteReason::Deleted));
    assert_eq!(next(&mut stream).await, put("a.b.c", "two"));
    fixture.bucket.purge("a.b.c").await;
    assert_eq!(next(&mut stream).await, gone("a.b.c", DeleteReason::Purged));
    // Headers that mean nothing here leave a put a put.
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Msg-Id", "1");
    headers.insert("KV-Operation", "PUT");
    let sent = fixture
        .bucket
        .context
        .publish_with_headers("$KV.b.with.headers", headers, "three".into());
    sent.await.unwrap().await.unwrap();
    assert_eq!(next(&mut stream).await, put("with.headers", "three"));
}

#[tokio::test]
async fn obligation_5_timestamps_are_the_servers() {
    let fixture = Fixture::new().await;
    fixture.bucket.put("key", "value").await;
    let log = fixture.log().await;
    let change = change(&mut read(&log, 1).await).await;
    let entry = fixture.bucket.store().entry("key").await.unwrap().unwrap();
    assert_eq!(
        i128::from(change.timestamp.as_nanos()),
        entry.created.unix_timestamp_nanos()
    );
}

#[tokio::test]
async fn obligation_5_expiry_leaves_a_marker_that_says_so() {
    let server = NatsServer::start().await;
    let config = kv::Config {
        bucket: BUCKET.to_owned(),
        history: 1,
        limit_markers: Some(Duration::from_mins(1)),
        ..kv::Config::default()
    };
    let bucket = Bucket::create_with(&server, config).await;
    let log = open(server.client().await).await;
    assert!(log.bounds().await.unwrap().retention.message_ttl);
    let mut stream = read(&log, 1).await;
    bucket
        .store()
        .create_with_ttl("short", "life".into(), Duration::from_secs(1))
        .await
        .unwrap();
    assert_eq!(next(&mut stream).await, put("short", "life"));
    assert_eq!(next(&mut stream).await, gone("short", DeleteReason::Expired));
    // A purge whose marker goes by itself is a purge.
    bucket.put("other", "life").await;
    // The purge takes it: it is read before.
    assert_eq!(next(&mut stream).await, put("other", "life"));
    bucket
        .store()
        .purge_with_ttl("other", Duration::from_mins(1))
        .await
        .unwrap();
    assert_eq!(next(&mut stream).await, gone("other", DeleteReason::Purged));
}

#[tokio::test]
async fn obligation_5_every_reason_that_a_marker_can_have() {
    let fixture = Fixture::new().await;
    let log = fixture.log().await;
    let mut stream = read(&log, 1).await;
    let reasons = [
        ("MaxAge", DeleteReason::Expired),
        ("Purge", DeleteReason::Purged),
        ("Remove", DeleteReason::Deleted),
    ];
    for (text, reason) in reasons {
        // As the server writes them; it has no command that would make it write the last two of a bucket.
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Marker-Reason", text);
        let sent = fixture
            .bucket
            .context
            .publish_with_headers("$KV.b.key", headers, "".into());
        sent.await.unwrap().await.unwrap();
        assert_eq!(next(&mut stream).await, gone("key", reason), "{text}");
    }
}

/// A stream that holds what the bucket `b` holds, by other means than its own subjects.
async fn derived(context: &jetstream::Context, name: &str, config: stream::Config) {
    let config = stream::Config {
        name: format!("KV_{name}"),
        max_messages_per_subject: 1,
        ..config
    };
    context.create_stream(config).await.unwrap();
}

fn source(bucket: &str) -> stream::Source {
    stream::Source {
        name: format!("KV_{bucket}"),
        ..stream::Source::default()
    }
}

#[tokio::test]
async fn obligation_5_keys_of_mirrors_and_of_sourced_buckets() {
    let fixture = Fixture::new().await;
    let context = &fixture.bucket.context;
    let mirror = |of| stream::Config {
        mirror: Some(source(of)),
        ..stream::Config::default()
    };
    derived(context, "mirror", mirror("b")).await;
    derived(context, "mirrored_twice", mirror("mirror")).await;
    let sourced = stream::Config {
        sources: Some(vec![source("b")]),
        ..stream::Config::default()
    };
    derived(context, "sourced", sourced).await;
    let transformed = stream::Config {
        sources: Some(vec![stream::Source {
            subject_transforms: vec![stream::SubjectTransform {
                source: "$KV.b.>".to_owned(),
                destination: "$KV.transformed.>".to_owned(),
            }],
            ..source("b")
        }]),
        subjects: vec!["$KV.transformed.>".to_owned()],
        ..stream::Config::default()
    };
    derived(context, "transformed", transformed).await;
    fixture.bucket.put("eu.a", "one").await;
    fixture.bucket.put("us.a", "two").await;
    fixture.bucket.delete("eu.a").await;
    fixture.bucket.put("eu.b", "three").await;
    for name in ["mirror", "mirrored_twice", "sourced", "transformed"] {
        let log = Arc::new(KvLog::open(fixture.server.client().await, name).await.unwrap()) as Arc<dyn Log>;
        let mut all = read(&log, 1).await;
        let mut got = Vec::new();
        while got.last() != Some(&put("eu.b", "three")) {
            got.push(next(&mut all).await);
        }
        assert!(
            got.ends_with(&[gone("eu.a", DeleteReason::Deleted), put("eu.b", "three")]),
            "{name}: {got:?}"
        );
        // A scope has to find the keys under whatever name they are stored.
        let scope = Scope::of(["eu.b", "us.>"]).unwrap();
        let mut some = log.read(Sequence::FIRST, &scope).await.unwrap();
        assert_eq!(next(&mut some).await, put("us.a", "two"), "{name}");
        assert_eq!(next(&mut some).await, put("eu.b", "three"), "{name}");
    }
}

#[tokio::test]
async fn obligation_5_a_bucket_in_another_domain() {
    let leaf_port = free_port();
    let hub = NatsServer::start_in_domain(
        "hub",
        &format!("leafnodes {{ listen: \"127.0.0.1:{leaf_port}\" }}"),
    )
    .await;
    let leaf = NatsServer::start_in_domain(
        "edge",
        &format!("leafnodes {{ remotes: [{{ url: \"nats://127.0.0.1:{leaf_port}\" }}] }}"),
    )
    .await;
    let bucket = Bucket::create(&hub, BUCKET).await;
    crate::support::fill(Kind::Bucket, &bucket.context, 0, 3_000, 100).await;
    let client = leaf.client().await;
    let begin = tokio::time::Instant::now();
    let log = loop {
        // The servers find each other a little after they are up.
        match KvLog::builder(client.clone(), BUCKET).domain("hub").open().await {
            Ok(log) => break Arc::new(log) as Arc<dyn Log>,
            Err(error) => assert!(begin.elapsed() < crate::support::PATIENCE, "{error:?}"),
        }
    };
    assert!(
        KvLog::open(client.clone(), BUCKET).await.is_err(),
        "the edge has no such bucket"
    );
    let mut stream = read(&log, 1).await;
    crate::support::expect(&mut stream, 1, 3_000).await;
    bucket.put("a.b", "here").await;
    assert_eq!(next(&mut stream).await, put("a.b", "here"));
    assert_eq!(
        event(&mut stream).await,
        alluvium::LogEvent::CaughtUp(Sequence::new(3_001))
    );
    let at = log.message_at(Sequence::new(3_001)).await.unwrap().unwrap();
    assert_eq!(told(&at), put("a.b", "here"));
    client.force_reconnect().await.unwrap();
    bucket.put("a.c", "there").await;
    assert_eq!(next(&mut stream).await, put("a.c", "there"));
}
