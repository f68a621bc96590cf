//! A log, a store, and what a cursor of them gives.

use std::sync::Arc;
use std::time::Duration;

use alluvium_core::{CursorStore as _, Log as _, Scope, Sequence};
use alluvium_memory::{MemoryCursorStore, MemoryLog};
use alluvium_runtime::{LogCursor, LogCursorBuilder, LogCursorError};
use futures_util::FutureExt as _;

pub(crate) const NAME: &str = "mailer";

pub(crate) struct Place {
    pub(crate) log: MemoryLog,
    pub(crate) store: MemoryCursorStore,
}

impl Place {
    /// A log of so many messages, with keys `a.1`, `b.2`, `a.3` and so on.
    pub(crate) fn of(messages: u64) -> Self {
        let place = Self {
            log: MemoryLog::new("ORDERS"),
            store: MemoryCursorStore::new(),
        };
        place.add(messages);
        place
    }

    pub(crate) fn add(&self, messages: u64) {
        let mut number = self.log_last();
        for _ in 0..messages {
            number += 1;
            let kind = if number % 2 == 1 { "a" } else { "b" };
            self.log.put(format!("{kind}.{number}"), "value");
        }
    }

    fn log_last(&self) -> u64 {
        self.log.bounds().now_or_never().unwrap().unwrap().last.get()
    }

    pub(crate) fn builder(&self) -> LogCursorBuilder {
        self.builder_of(Scope::all())
    }

    pub(crate) fn builder_of(&self, scope: Scope) -> LogCursorBuilder {
        LogCursor::builder(Arc::new(self.log.clone()), scope).held_in(Arc::new(self.store.clone()), NAME)
    }

    pub(crate) async fn open(&self) -> LogCursor {
        self.builder().open().await.unwrap()
    }

    pub(crate) async fn stored(&self) -> Option<u64> {
        let record = self.store.load(NAME).await.unwrap();
        record.map(|record| record.cursor.sequence.get())
    }
}

pub(crate) fn only_a() -> Scope {
    Scope::of(["a.>"]).unwrap()
}

/// The next batch; fails if there is none.
pub(crate) async fn batch(cursor: &mut LogCursor, max: usize) -> Vec<u64> {
    try_batch(cursor, max).await.unwrap()
}

pub(crate) async fn try_batch(cursor: &mut LogCursor, max: usize) -> Result<Vec<u64>, LogCursorError> {
    let batch = tokio::time::timeout(Duration::from_secs(10), cursor.poll_batch(max));
    let batch = batch.await.expect("there is something to come")?;
    Ok(batch.iter().map(|change| change.sequence.get()).collect())
}

/// Nothing comes, as far as can be told without waiting.
pub(crate) fn assert_at_rest(cursor: &mut LogCursor) {
    let came = cursor.poll().now_or_never();
    assert!(came.is_none(), "{came:?}");
}

pub(crate) fn sequence(number: u64) -> Sequence {
    Sequence::new(number)
}
