//! A log that counts the values it is asked for, and changes when it is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use alluvium_core::{
    Bounds, Change, Holdings, KeyStream, ListStream, Log, LogError, LogStream, Scope, Sequence, Survey,
};
use alluvium_memory::MemoryLog;
use async_trait::async_trait;

type OnFetch = Box<dyn FnMut(&MemoryLog, Sequence) + Send>;

/// A log in memory that is watched.
pub(crate) struct Watched {
    pub(crate) log: MemoryLog,
    fetched: AtomicU64,
    listings_with_values: AtomicU64,
    listings: AtomicU64,
    surveys: AtomicU64,
    on_fetch: Mutex<OnFetch>,
    /// Whether it tells what it holds, or cannot.
    tells: bool,
}

impl Watched {
    pub(crate) fn new(log: MemoryLog) -> Arc<Self> {
        Self::with(log, |_, _| {})
    }

    /// One that has this done before each message it is asked for.
    pub(crate) fn with(
        log: MemoryLog,
        on_fetch: impl FnMut(&MemoryLog, Sequence) + Send + 'static,
    ) -> Arc<Self> {
        Arc::new(Self::parts(log, Box::new(on_fetch), false))
    }

    /// One that tells what it holds, as the others cannot, and has this done before each message it is asked for, before it tells, and
    /// before it is asked for its bounds.
    pub(crate) fn telling(
        log: MemoryLog,
        on_fetch: impl FnMut(&MemoryLog, Sequence) + Send + 'static,
    ) -> Arc<Self> {
        Arc::new(Self::parts(log, Box::new(on_fetch), true))
    }

    fn parts(log: MemoryLog, on_fetch: OnFetch, tells: bool) -> Self {
        Self {
            log,
            fetched: AtomicU64::new(0),
            listings_with_values: AtomicU64::new(0),
            listings: AtomicU64::new(0),
            surveys: AtomicU64::new(0),
            on_fetch: Mutex::new(on_fetch),
            tells,
        }
    }

    fn changes(&self, sequence: Sequence) {
        (self.on_fetch.lock().unwrap())(&self.log, sequence);
    }

    /// How many single messages were asked for.
    pub(crate) fn fetched(&self) -> u64 {
        self.fetched.load(Ordering::Relaxed)
    }

    /// How many listings brought the values along.
    pub(crate) fn listings_with_values(&self) -> u64 {
        self.listings_with_values.load(Ordering::Relaxed)
    }

    /// How many listings did not.
    pub(crate) fn listings(&self) -> u64 {
        self.listings.load(Ordering::Relaxed)
    }

    /// How often it was asked for its numbers.
    pub(crate) fn surveys(&self) -> u64 {
        self.surveys.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Log for Watched {
    fn name(&self) -> &str {
        self.log.name()
    }

    async fn bounds(&self) -> Result<Bounds, LogError> {
        if self.tells {
            self.changes(Sequence::ZERO);
        }
        self.log.bounds().await
    }

    async fn survey(&self) -> Result<Survey, LogError> {
        self.surveys.fetch_add(1, Ordering::Relaxed);
        self.log.survey().await
    }

    async fn holdings(&self, most: u64) -> Result<Option<Holdings>, LogError> {
        if !self.tells {
            return Ok(None);
        }
        self.changes(Sequence::ZERO);
        self.log.holdings(most).await
    }

    async fn read(&self, from: Sequence, scope: &Scope) -> Result<LogStream, LogError> {
        self.log.read(from, scope).await
    }

    async fn current(&self, scope: &Scope) -> Result<LogStream, LogError> {
        self.listings_with_values.fetch_add(1, Ordering::Relaxed);
        self.log.current(scope).await
    }

    async fn list(&self, scope: &Scope) -> Result<ListStream, LogError> {
        self.listings.fetch_add(1, Ordering::Relaxed);
        self.log.list(scope).await
    }

    async fn keys(&self, scope: &Scope) -> Result<KeyStream, LogError> {
        self.log.keys(scope).await
    }

    async fn message_at(&self, sequence: Sequence) -> Result<Option<Change>, LogError> {
        self.fetched.fetch_add(1, Ordering::Relaxed);
        self.changes(sequence);
        self.log.message_at(sequence).await
    }
}
