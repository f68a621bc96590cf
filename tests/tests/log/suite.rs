//! The conformance suite on a bucket and on a plain stream: what every log does, and what one on a server has to. The other
//! modules have what it takes this server to bring about.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use alluvium::{Log, LogError, Sequence};
use alluvium_conformance::{LogHarness, LogOwner};
use alluvium_e2e::Proxy;
use async_nats::HeaderMap;
use async_trait::async_trait;
use bytes::Bytes;
use tempfile::TempDir;
use tokio::sync::Mutex;

use crate::support::{Fixture, Kind, PATIENCE, Tuned, client, put, put_all, tuned};

/// So many messages may be in flight: tests have some times more.
const IN_FLIGHT: u64 = 400;

#[derive(Default)]
struct OnServer<const BUCKET: bool>;

#[async_trait]
impl<const BUCKET: bool> LogHarness for OnServer<BUCKET> {
    async fn make_log(&self, history: u64) -> Box<dyn LogOwner> {
        let kind = if BUCKET { Kind::Bucket } else { Kind::Stream };
        let history = i64::try_from(history).unwrap();
        let fixture = Fixture::with_history(kind, history).await;
        Box::new(Owner {
            kind,
            history,
            context: fixture.context.clone(),
            proxy: Proxy::start(fixture.server.port()).await,
            copy: tempfile::tempdir().unwrap(),
            fixture: Mutex::new(fixture),
        })
    }

    fn in_flight(&self) -> u64 {
        IN_FLIGHT
    }
}

struct Owner {
    kind: Kind,
    history: i64,
    context: async_nats::jetstream::Context,
    /// Whoever reads comes by here.
    proxy: Proxy,
    copy: TempDir,
    fixture: Mutex<Fixture>,
}

impl Owner {
    async fn marker(&self, key: &str, headers: &[(&str, &str)]) -> Sequence {
        self.put_with_headers(key, Bytes::new(), headers).await
    }

    /// Has something done to the files of the server while it does not run, and waits until who reads is back.
    async fn with_files(&self, work: impl FnOnce(&Path, &Path)) {
        let mut fixture = self.fixture.lock().await;
        let before = self.proxy.accepted();
        fixture.server.kill().await;
        work(&fixture.server.store_dir(), self.copy.path());
        fixture.server.restart().await;
        self.proxy.accepts_after(before, PATIENCE).await;
    }
}

#[async_trait]
impl LogOwner for Owner {
    async fn open(&self) -> Result<Arc<dyn Log>, LogError> {
        let few = Tuned {
            messages: IN_FLIGHT,
            ..Tuned::default()
        };
        tuned(self.kind, client(&self.proxy.url()).await, few).await
    }

    async fn put(&self, key: &str, value: Bytes) -> Sequence {
        put(self.kind, &self.context, key, value, HeaderMap::new()).await
    }

    async fn put_all(&self, keys: Vec<String>, value: Bytes) {
        put_all(self.kind, &self.context, keys, &value).await;
    }

    async fn remove(&self, sequence: Sequence) {
        let stream = self.fixture.lock().await.stream().await;
        assert!(stream.delete_message(sequence.get()).await.unwrap());
    }

    async fn evict_before(&self, first: Sequence) {
        let stream = self.fixture.lock().await.stream().await;
        stream.purge().sequence(first.get()).await.unwrap();
    }

    async fn destroy(&self) {
        self.fixture.lock().await.delete().await;
    }

    async fn recreate(&self) {
        self.fixture.lock().await.create(self.history).await;
    }

    async fn delete(&self, key: &str) -> Sequence {
        self.marker(key, &[("KV-Operation", "DEL")]).await
    }

    async fn purge(&self, key: &str) -> Sequence {
        self.marker(key, &[("KV-Operation", "PURGE"), ("Nats-Rollup", "sub")])
            .await
    }

    async fn put_with_headers(&self, key: &str, value: Bytes, headers: &[(&str, &str)]) -> Sequence {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, *value);
        }
        put(self.kind, &self.context, key, value, map).await
    }

    async fn back_up(&self) {
        self.with_files(copy_all).await;
    }

    async fn put_back(&self) {
        self.with_files(|files, copy| {
            fs::remove_dir_all(files).unwrap();
            copy_all(copy, files);
        })
        .await;
    }

    async fn disconnect(&self) {
        self.proxy.disconnect();
    }

    async fn reconnect(&self) {
        self.proxy.reconnect(PATIENCE).await;
    }

    async fn readers(&self) -> usize {
        self.fixture.lock().await.consumers().await.len()
    }
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_all(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

mod bucket {
    type Bucket = super::OnServer<true>;

    alluvium_conformance::log_suite!(Bucket, markers, tail, served);
}

mod stream {
    type Stream = super::OnServer<false>;

    alluvium_conformance::log_suite!(Stream, headers, tail, served);
}
