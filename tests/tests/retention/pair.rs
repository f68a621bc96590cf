//! A mirror and an archive of one bucket, and what each has to hold.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use alluvium::{Mode, Replica, ReplicaError};
use alluvium_e2e::NatsServer;
use alluvium_e2e::bucket::Bucket;
use alluvium_e2e::engine::EngineKind;
use alluvium_e2e::state::{OpenState, StateHome};
use async_nats::jetstream::stream;

use crate::written::Written;

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
        let started = Self::try_start_in(home, server, mode).await;
        let started = started.expect("the replica starts");
        tokio::time::timeout(PATIENCE, started.replica.caught_up())
            .await
            .expect("the replica catches up")
            .expect("the replica goes on");
        started
    }

    async fn try_start_in(home: StateHome, server: &NatsServer, mode: Mode) -> Result<Self, ReplicaError> {
        let (state, log, table) = home.parts(server, "b").await;
        let replica = Replica::builder(log, table)
            .mode(mode)
            .bounds_every(EVERY)
            .start()
            .await?;
        Ok(Self {
            replica,
            home,
            state,
            mode,
        })
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

    /// Waits until it holds what the bucket holds.
    pub(crate) async fn holds_what_there_is(&self, bucket: &Bucket) {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("a text");
        let begin = Instant::now();
        loop {
            let truth = bucket.truth().await.into_iter();
            let truth: BTreeMap<_, _> = truth.map(|(key, (value, _))| (text(key), text(value))).collect();
            let rows = self.rows();
            if rows == truth {
                return;
            }
            assert!(
                begin.elapsed() < PATIENCE,
                "the replica holds {:?} and the bucket {:?}; {:?}",
                rows.keys(),
                truth.keys(),
                self.replica.status()
            );
            tokio::time::sleep(EVERY).await;
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

    pub(crate) async fn try_start(self, server: &NatsServer) -> Result<Follower, ReplicaError> {
        Follower::try_start_in(self.home, server, self.mode).await
    }
}

/// A bucket, and a mirror and an archive of it.
pub(crate) struct Pair {
    pub(crate) written: Written,
    pub(crate) mirror: Follower,
    pub(crate) archive: Follower,
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
        let bucket = Bucket::of_stream(server, "b", config.clone()).await;
        Self {
            mirror: Follower::start_in(StateHome::new(engine), server, Mode::Mirror).await,
            archive: Follower::start_in(StateHome::new(engine), server, Mode::Archive).await,
            written: Written::new(bucket, &config),
        }
    }

    /// Waits until both have applied everything that there is now.
    pub(crate) async fn both_come_to_the_end(&self) {
        let last = self.written.bucket.last().await;
        for replica in [&self.archive.replica, &self.mirror.replica] {
            let there = tokio::time::timeout(PATIENCE, replica.wait_for(last)).await;
            there.expect("the replica follows").expect("the replica goes on");
        }
    }

    /// Waits until the mirror holds what the bucket holds, and the archive what it has to keep. What it keeps of what its bucket
    /// forgot is looked at once, when the mirror has forgotten that: it had as much time.
    pub(crate) async fn both_hold_what_they_should(&mut self) {
        self.mirror.holds_what_there_is(&self.written.bucket).await;
        self.written
            .put("last", &self.written.kept.len().to_string())
            .await;
        self.both_come_to_the_end().await;
        let begin = Instant::now();
        while !self.written.evicts && self.archive.rows() != self.written.kept {
            if begin.elapsed() > PATIENCE {
                break;
            }
            tokio::time::sleep(EVERY).await;
        }
        assert_eq!(self.archive.rows(), self.written.kept);
    }

    /// Both are stopped, this is done, and both are started again.
    pub(crate) async fn while_stopped(
        self,
        server: &NatsServer,
        done: impl AsyncFnOnce(&mut Written),
    ) -> Self {
        let (mirror, archive) = (self.mirror.stop().await, self.archive.stop().await);
        let mut written = self.written;
        done(&mut written).await;
        Self {
            mirror: mirror.start(server).await,
            archive: archive.start(server).await,
            written,
        }
    }

    pub(crate) async fn end(self) {
        self.mirror.stop().await;
        self.archive.stop().await;
        self.written.remove_the_bucket().await;
    }
}

/// A mirror and an archive on each engine follow what is written first, and then the bucket forgets: while they run, and while
/// they are stopped.
pub(crate) async fn on_each(
    config: stream::Config,
    first: impl AsyncFn(&mut Written),
    then: impl AsyncFn(&mut Written),
) {
    let run = async {
        let server = NatsServer::start().await;
        for engine in ENGINES {
            for is_stopped in [false, true] {
                let mut pair = Pair::start(&server, engine, config.clone()).await;
                first(&mut pair.written).await;
                pair.both_come_to_the_end().await;
                if is_stopped {
                    pair = pair.while_stopped(&server, &then).await;
                } else {
                    then(&mut pair.written).await;
                }
                pair.both_hold_what_they_should().await;
                pair.end().await;
            }
        }
    };
    // It is large.
    Box::pin(run).await;
}
