//! A log in memory that is reached by connections, which break, and that keeps something for each of its readers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alluvium_conformance::{LogHarness, LogOwner};
use alluvium_core::{Log, LogError, Sequence};
use alluvium_memory::MemoryLog;
use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::watch;

use super::sinner::{Sin, Sinner};

/// The harness of such logs.
pub(super) struct Sinful(pub(super) Sin);

#[async_trait]
impl LogHarness for Sinful {
    async fn make_log(&self, history: u64) -> Box<dyn LogOwner> {
        Box::new(Owner {
            sin: self.0,
            world: World {
                log: MemoryLog::with_history("log", history),
                connection: Arc::new(watch::Sender::new(Connection { up: true, cuts: 0 })),
                seats: Arc::default(),
            },
            backed_up: Mutex::default(),
        })
    }

    fn in_flight(&self) -> u64 {
        0
    }

    fn patience(&self) -> Duration {
        // Of a sound one nothing is waited for in vain.
        Duration::from_secs(if self.0 == Sin::None { 30 } else { 2 })
    }
}

/// The log and the way to it.
#[derive(Clone)]
pub(super) struct World {
    pub(super) log: MemoryLog,
    pub(super) connection: Arc<watch::Sender<Connection>>,
    seats: Arc<AtomicUsize>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Connection {
    pub(super) up: bool,
    pub(super) cuts: u64,
}

/// What the server keeps for a reader.
pub(super) struct Seat(Arc<AtomicUsize>);

impl World {
    pub(super) fn seat(&self) -> Seat {
        self.seats.fetch_add(1, Ordering::AcqRel);
        Seat(Arc::clone(&self.seats))
    }
}

impl Seat {
    /// Has the server keep it for ever.
    pub(super) fn leave(self) {
        std::mem::forget(self);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

struct Owner {
    sin: Sin,
    world: World,
    backed_up: Mutex<Sequence>,
}

#[async_trait]
impl LogOwner for Owner {
    async fn open(&self) -> Result<Arc<dyn Log>, LogError> {
        Ok(Arc::new(Sinner::new(self.sin, self.world.clone())))
    }

    async fn put(&self, key: &str, value: Bytes) -> Sequence {
        tokio::task::yield_now().await;
        self.world.log.put(key.to_owned(), value)
    }

    async fn remove(&self, sequence: Sequence) {
        assert!(self.world.log.remove(sequence), "{sequence} is there");
    }

    async fn evict_before(&self, first: Sequence) {
        self.world.log.evict_before(first);
    }

    async fn destroy(&self) {
        self.world.log.destroy();
    }

    async fn recreate(&self) {
        self.world.log.replace();
    }

    async fn delete(&self, key: &str) -> Sequence {
        self.world.log.delete(key.to_owned())
    }

    async fn purge(&self, key: &str) -> Sequence {
        self.world.log.purge(key.to_owned())
    }

    async fn put_with_headers(&self, key: &str, value: Bytes, headers: &[(&str, &str)]) -> Sequence {
        let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned()));
        self.world
            .log
            .put_with_headers(key.to_owned(), value, headers.collect())
    }

    async fn back_up(&self) {
        let last = self.world.log.bounds().await.unwrap().last;
        *self.backed_up.lock().unwrap() = last;
    }

    async fn put_back(&self) {
        self.world.log.cut_after(*self.backed_up.lock().unwrap());
    }

    async fn disconnect(&self) {
        self.world.connection.send_modify(|connection| {
            connection.up = false;
            connection.cuts += 1;
        });
    }

    async fn reconnect(&self) {
        self.world
            .connection
            .send_modify(|connection| connection.up = true);
    }

    async fn readers(&self) -> usize {
        self.world.seats.load(Ordering::Acquire)
    }
}
