//! A clock that tests set.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use alluvium_core::{Clock, Timestamp};

/// A clock that stands still until it is moved. Clones are the same clock.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// Moves it on.
    pub fn forward(&self, span: Duration) {
        self.0.fetch_add(nanos(span), Ordering::AcqRel);
    }

    /// Moves it back.
    pub fn back(&self, span: Duration) {
        self.0.fetch_sub(nanos(span), Ordering::AcqRel);
    }
}

fn nanos(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).expect("no test goes on for centuries")
}

impl Default for ManualClock {
    /// Some instant.
    fn default() -> Self {
        Self(Arc::new(AtomicI64::new(1_700_000_000_000_000_000)))
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.0.load(Ordering::Acquire))
    }
}
