//! A log, a store, and a record of what a worker does with them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alluvium_core::{Change, CursorStore as _, Scope};
use alluvium_memory::{MemoryCursorStore, MemoryLog};
use alluvium_runtime::{
    Delivery, LogCursor, LogCursorBuilder, Worker, WorkerBuilder, WorkerEvent, WorkerStatus,
};

pub(crate) const NAME: &str = "mailer";

pub(crate) struct Place {
    pub(crate) log: MemoryLog,
    pub(crate) store: MemoryCursorStore,
}

impl Place {
    /// A log of so many messages, the value of each its own number.
    pub(crate) fn of(messages: u64) -> Self {
        let log = MemoryLog::new("ORDERS");
        for number in 1..=messages {
            log.put(format!("orders.{number}"), number.to_string());
        }
        Self {
            log,
            store: MemoryCursorStore::new(),
        }
    }

    pub(crate) fn cursor(&self) -> LogCursorBuilder {
        LogCursor::builder(Arc::new(self.log.clone()), Scope::all())
            .held_in(Arc::new(self.store.clone()), NAME)
    }

    /// A worker that loses no time with pauses.
    pub(crate) fn worker(&self) -> WorkerBuilder {
        Worker::builder(self.cursor()).pauses(Duration::from_millis(1), Duration::from_millis(1))
    }

    pub(crate) async fn stored(&self) -> u64 {
        let record = self.store.load(NAME).await.unwrap();
        record
            .expect("the worker has stored where it began")
            .cursor
            .sequence
            .get()
    }
}

/// What happened, in order. Clones are the same.
#[derive(Clone)]
pub(crate) struct Seen<T>(Arc<Mutex<Vec<T>>>);

impl<T> Default for Seen<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Clone> Seen<T> {
    pub(crate) fn push(&self, what: T) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }

    pub(crate) fn extend(&self, what: impl IntoIterator<Item = T>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(what);
    }

    pub(crate) fn all(&self) -> Vec<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Seen<WorkerEvent> {
    pub(crate) fn call(&self) -> impl Fn(&WorkerEvent) + Send + Sync + 'static {
        let seen = self.clone();
        move |event| seen.push(event.clone())
    }

    /// Their names.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        let name = |event: &WorkerEvent| match event {
            WorkerEvent::Restarting { .. } => "restarting",
            WorkerEvent::BudgetExhausted { .. } => "budget exhausted",
            WorkerEvent::Parked(_) => "parked",
            WorkerEvent::SaveFailed { .. } => "save failed",
            WorkerEvent::Stalled { .. } => "stalled",
            WorkerEvent::Gaps(_) => "gaps",
            _ => "new",
        };
        self.all().iter().map(name).collect()
    }
}

pub(crate) fn numbers(delivery: &Delivery) -> Vec<u64> {
    delivery.iter().map(|message| message.sequence.get()).collect()
}

pub(crate) fn number(message: &Change) -> u64 {
    let value = message.value().expect("nothing is deleted here");
    std::str::from_utf8(value).unwrap().parse().unwrap()
}

/// Waits until the worker's status is so.
pub(crate) async fn until(worker: &Worker, is: impl FnMut(&WorkerStatus) -> bool) -> WorkerStatus {
    let mut status = worker.watch_status();
    let waited = tokio::time::timeout(Duration::from_mins(1), status.wait_for(is)).await;
    waited
        .expect("the worker gets there")
        .expect("the worker tells")
        .clone()
}

/// A handler that has these, cloned for each delivery.
macro_rules! handler {
    ([$($name:ident),*] |$delivery:ident| $body:block) => {
        move |$delivery: alluvium_runtime::Delivery| {
            $(let $name = $name.clone();)*
            async move $body
        }
    };
}
pub(crate) use handler;
