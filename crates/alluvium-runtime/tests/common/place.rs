//! A log in memory, and a store for cursors of it.

use std::sync::Arc;

use alluvium_core::{CursorStore as _, Log as _, Scope};
use alluvium_memory::{MemoryCursorStore, MemoryLog};
use alluvium_runtime::{LogCursor, LogCursorBuilder};
use futures_util::FutureExt as _;

/// What the cursor is called.
pub(crate) const NAME: &str = "mailer";

pub(crate) struct Place {
    pub(crate) log: MemoryLog,
    pub(crate) store: MemoryCursorStore,
}

impl Place {
    /// A log of so many messages, with keys `a.1`, `b.2`, `a.3` and so on, and the same numbers as values.
    pub(crate) fn of(messages: u64) -> Self {
        let place = Self {
            log: MemoryLog::new("ORDERS"),
            store: MemoryCursorStore::new(),
        };
        place.add(messages);
        place
    }

    pub(crate) fn add(&self, messages: u64) {
        let bounds = self.log.bounds().now_or_never().unwrap().unwrap();
        let next = bounds.last.get() + 1;
        for number in next..next + messages {
            let kind = if number % 2 == 1 { "a" } else { "b" };
            self.log.put(format!("{kind}.{number}"), number.to_string());
        }
    }

    /// A cursor that is held in the store.
    pub(crate) fn cursor(&self) -> LogCursorBuilder {
        self.cursor_of(Scope::all())
    }

    pub(crate) fn cursor_of(&self, scope: Scope) -> LogCursorBuilder {
        LogCursor::builder(Arc::new(self.log.clone()), scope).held_in(Arc::new(self.store.clone()), NAME)
    }

    /// The position in the store, if there is one.
    pub(crate) async fn stored(&self) -> Option<u64> {
        let record = self.store.load(NAME).await.unwrap();
        record.map(|record| record.cursor.sequence.get())
    }
}
