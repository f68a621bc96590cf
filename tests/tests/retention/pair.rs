//! A mirror and an archive of one bucket, and what each has to hold.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use alluvium::{Mode, Replica, Sequence};
use alluvium_e2e::NatsServer;
use alluvium_e2e::bucket::Bucket;
use alluvium_e2e::engine::EngineKind;
use alluvium_e2e::state::{OpenState, StateHome};
use async_nats::HeaderMap;
use async_nats::jetstream::stream;

/// Until something comes to hold that comes to hold within a second or two on an idle machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
/// How often a replica looks at its log.
pub(crate) const EVERY: Duration = Duration::from_millis(100);
/// The engines that need no library.
pub(crate) const ENGINES: [EngineKind; 2] = [EngineKind::Memory, EngineKind::Fjall];

/// A replica of a bucket, in its place.
pub(crate) struct Follower {
    pub(crate) replica: Replica,
    home: StateHome,
    state: OpenState,
    mode: Mode,
}

impl Follower {
    async fn start_in(home: StateHome, server: &NatsServer, mode: Mode) -> Self {
        let (state, log, table) = home.parts(server, "b").await;
        let replica = Replica::builder(log, table)
            .mode(mode)
            .bounds_every(EVERY)
            .start()
            .await
            .expect("the replica starts");
        tokio::time::timeout(PATIENCE, replica.caught_up())
            .await
            .expect("the replica catches up")
            .expect("the replica goes on");
        Self {
            replica,
            home,
            state,
            mode,
        }
    }

    /// Stops the replica, and leaves what it has for another one.
    pub(crate) async fn stop(self) -> Stopped {
        self.replica.shutdown().await.expect("the replica stops");
        drop(self.state);
        Stopped {
            home: self.home,
            mode: self.mode,
        }
    }

    fn rows(&self) -> BTreeMap<String, String> {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("a text");
        let rows = self.home.rows(&self.replica);
        rows.into_iter()
            .map(|(key, (value, _))| (text(key), text(value)))
            .collect()
    }
}

/// What a replica left.
pub(crate) struct Stopped {
    home: StateHome,
    mode: Mode,
}

impl Stopped {
    pub(crate) async fn start(self, server: &NatsServer) -> Follower {
        Follower::start_in(self.home, server, self.mode).await
    }
}

/// A bucket, a mirror and an archive of it, and everything that was written and not deleted.
pub(crate) struct Pair {
    pub(crate) bucket: Bucket,
    pub(crate) mirror: Follower,
    pub(crate) archive: Follower,
    kept: BTreeMap<String, String>,
}

/// The stream behind a bucket `b` that forgets nothing.
pub(crate) fn config() -> stream::Config {
    stream::Config {
        name: "KV_b".to_owned(),
        subjects: vec!["$KV.b.>".to_owned()],
        max_messages_per_subject: 1,
        allow_direct: true,
        allow_rollup: true,
        discard: stream::DiscardPolicy::Old,
        ..stream::Config::default()
    }
}

impl Pair {
    pub(crate) async fn start(server: &NatsServer, engine: EngineKind, config: stream::Config) -> Self {
        let bucket = Bucket::of_stream(server, "b", config).await;
        Self {
            mirror: Follower::start_in(StateHome::new(engine), server, Mode::Mirror).await,
            archive: Follower::start_in(StateHome::new(engine), server, Mode::Archive).await,
            bucket,
            kept: BTreeMap::new(),
        }
    }

    pub(crate) async fn put(&mut self, key: &str, value: &str) -> Sequence {
        self.kept.insert(key.to_owned(), value.to_owned());
        self.bucket.put(key, value).await
    }

    /// Puts so many keys of one prefix.
    pub(crate) async fn fill(&mut self, prefix: &str, keys: u32) {
        for key in 0..keys {
            self.put(&format!("{prefix}.{key}"), &format!("of {prefix}"))
                .await;
        }
    }

    /// Puts a value that the server lets expire after a second.
    pub(crate) async fn put_for_a_second(&mut self, key: &str) {
        self.kept.insert(key.to_owned(), "short".to_owned());
        let mut headers = HeaderMap::new();
        headers.insert("Nats-TTL", "1s");
        let subject = format!("$KV.b.{key}");
        let publish = self
            .bucket
            .context
            .publish_with_headers(subject, headers, "short".into());
        publish.await.expect("it is sent").await.expect("it is stored");
    }

    pub(crate) async fn delete(&mut self, key: &str) -> Sequence {
        self.kept.remove(key);
        self.bucket.delete(key).await
    }

    /// Waits until the bucket holds so many keys.
    pub(crate) async fn bucket_holds(&self, keys: usize) {
        let begin = Instant::now();
        loop {
            let held = self.bucket.truth().await.len();
            if held == keys {
                return;
            }
            assert!(
                begin.elapsed() < PATIENCE,
                "the bucket holds {held} keys and not {keys}"
            );
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Waits until the mirror holds what the bucket holds.
    pub(crate) async fn mirror_holds_what_it_should(&self) {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("a text");
        let begin = Instant::now();
        loop {
            let truth = self.bucket.truth().await.into_iter();
            let truth: BTreeMap<_, _> = truth.map(|(key, (value, _))| (text(key), text(value))).collect();
            let rows = self.mirror.rows();
            if rows == truth {
                return;
            }
            assert!(
                begin.elapsed() < PATIENCE,
                "the mirror holds {:?} and the bucket {:?}; {:?}",
                rows.keys(),
                truth.keys(),
                self.mirror.replica.status()
            );
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Waits until the mirror holds what the bucket holds, and then looks whether the archive holds everything that was
    /// written and not deleted: it had as much time.
    pub(crate) async fn both_hold_what_they_should(&mut self) {
        self.mirror_holds_what_it_should().await;
        let last = self.put("last", &self.kept.len().to_string()).await;
        for replica in [&self.archive.replica, &self.mirror.replica] {
            let there = tokio::time::timeout(PATIENCE, replica.wait_for(last)).await;
            there.expect("the replica follows").expect("the replica goes on");
        }
        assert_eq!(self.archive.rows(), self.kept);
    }

    /// Both are stopped, this is done, and both are started again.
    pub(crate) async fn while_stopped(
        self,
        server: &NatsServer,
        done: impl AsyncFnOnce(&mut Bucket),
    ) -> Self {
        let (mirror, archive) = (self.mirror.stop().await, self.archive.stop().await);
        let mut bucket = self.bucket;
        done(&mut bucket).await;
        Self {
            mirror: mirror.start(server).await,
            archive: archive.start(server).await,
            bucket,
            kept: self.kept,
        }
    }

    pub(crate) async fn end(self) {
        self.mirror.stop().await;
        self.archive.stop().await;
        self.bucket
            .context
            .delete_stream("KV_b")
            .await
            .expect("the stream goes");
    }
}
