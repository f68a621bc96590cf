//! The pauses between attempts at what fails.

use std::time::Duration;

use backoff::backoff::Backoff as _;
use backoff::{ExponentialBackoff, ExponentialBackoffBuilder};

/// Pauses that double with every failure, each a little different from the others'.
#[derive(Debug)]
pub(crate) struct Pauses(ExponentialBackoff);

impl Pauses {
    /// From the first to the longest, give or take a half.
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        Self(
            ExponentialBackoffBuilder::new()
                .with_initial_interval(first)
                .with_multiplier(2.0)
                .with_max_interval(longest)
                .with_max_elapsed_time(None)
                .build(),
        )
    }

    /// How long to wait before the next attempt.
    pub(crate) fn next(&mut self) -> Duration {
        self.0.next_backoff().unwrap_or(self.0.max_interval)
    }

    /// It went well: the next one is the first again.
    pub(crate) fn reset(&mut self) {
        self.0.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_longest_and_start_again() {
        let longest = Duration::from_secs(8);
        let mut pauses = Pauses::new(Duration::from_millis(100), longest);
        let all: Vec<Duration> = (0..20).map(|_| pauses.next()).collect();
        assert!(all[0] <= Duration::from_millis(150), "{all:?}");
        assert!(all[19] >= longest / 2 && all[19] <= longest * 3 / 2, "{all:?}");
        pauses.reset();
        assert!(pauses.next() <= Duration::from_millis(150));
    }
}
