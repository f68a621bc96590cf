//! A log to which something happens in the middle of what a replica asks it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use alluvium_core::{
    Bounds, Change, KeyStream, ListEvent, ListStream, Listed, Log, LogError, LogStream, Scope, Sequence,
    Survey,
};
use alluvium_memory::MemoryLog;
use async_trait::async_trait;
use futures_util::StreamExt as _;

pub(super) type Act = Box<dyn FnOnce() + Send>;

/// A log to which something happens at one step of what a replica asks it, be it in the middle of an answer.
pub(super) struct Stepped {
    pub(super) log: MemoryLog,
    /// Whether the steps count yet.
    pub(super) is_armed: AtomicBool,
    pub(super) steps: AtomicU64,
    /// Whether they are steps, too. They come while the applying thread is at work.
    pub(super) surveys_are_steps: bool,
    pub(super) surveys: AtomicU64,
    pub(super) act: Mutex<Option<(u64, Act)>>,
    /// What each listing has beside what the log holds.
    pub(super) also_lists: Option<Listed>,
}

impl Stepped {
    pub(super) fn new(log: &MemoryLog) -> Self {
        Self {
            log: log.clone(),
            is_armed: AtomicBool::new(false),
            steps: AtomicU64::new(0),
            surveys_are_steps: true,
            surveys: AtomicU64::new(0),
            act: Mutex::new(None),
            also_lists: None,
        }
    }

    fn step(&self) {
        if !self.is_armed.load(Ordering::SeqCst) {
            return;
        }
        let step = self.steps.fetch_add(1, Ordering::SeqCst);
        let mut act = self.act.lock().unwrap();
        if let Some((_, act)) = act.take_if(|(at, _)| *at == step) {
            act();
        }
    }

    pub(super) fn has_acted(&self) -> bool {
        self.act.lock().unwrap().is_none()
    }
}

#[async_trait]
impl Log for Stepped {
    fn name(&self) -> &str {
        self.log.name()
    }

    /// As a server does: what it may evict is looked up first, and what it holds after that.
    async fn bounds(&self) -> Result<Bounds, LogError> {
        self.step();
        let retention = self.log.bounds().await?.retention;
        self.step();
        let bounds = self.log.bounds().await?;
        Ok(Bounds { retention, ..bounds })
    }

    async fn survey(&self) -> Result<Survey, LogError> {
        let bounds = if self.surveys_are_steps {
            self.bounds().await?
        } else {
            self.log.bounds().await?
        };
        let keys = self.log.survey().await?.keys;
        self.surveys.fetch_add(1, Ordering::SeqCst);
        Ok(Survey { bounds, keys })
    }

    async fn read(&self, from: Sequence, scope: &Scope) -> Result<LogStream, LogError> {
        self.log.read(from, scope).await
    }

    async fn current(&self, scope: &Scope) -> Result<LogStream, LogError> {
        self.log.current(scope).await
    }

    async fn list(&self, scope: &Scope) -> Result<ListStream, LogError> {
        self.step();
        let listed = self.log.list(scope).await?;
        self.step();
        let also = self.also_lists.clone().map(|also| Ok(ListEvent::Key(also)));
        Ok(Box::pin(futures_util::stream::iter(also).chain(listed)))
    }

    async fn keys(&self, scope: &Scope) -> Result<KeyStream, LogError> {
        self.log.keys(scope).await
    }

    async fn message_at(&self, sequence: Sequence) -> Result<Option<Change>, LogError> {
        self.log.message_at(sequence).await
    }
}
