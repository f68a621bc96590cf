//! How much of what was kept for later stays.

use std::num::NonZeroU32;
use std::time::Duration;

/// What is kept when checkpoints or artifacts are pruned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetentionPolicy {
    /// How many of the newest are kept, beside what they need.
    pub keep: NonZeroU32,
    /// How long something that is not needed any more is kept all the same, for whoever is still reading it, and how
    /// long one may take to be written. By the clock of the store.
    pub grace: Duration,
    /// Whether it is only told what would be removed; `false` by default.
    pub dry_run: bool,
}

impl Default for RetentionPolicy {
    /// The newest 3, with a grace period of an hour.
    fn default() -> Self {
        Self {
            keep: NonZeroU32::MIN.saturating_add(2),
            grace: Duration::from_hours(1),
            dry_run: false,
        }
    }
}

impl RetentionPolicy {
    /// The same, keeping so many.
    #[must_use]
    pub fn keep(mut self, keep: NonZeroU32) -> Self {
        self.keep = keep;
        self
    }

    /// The same, with this grace period.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// The same, removing nothing.
    #[must_use]
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }
}
