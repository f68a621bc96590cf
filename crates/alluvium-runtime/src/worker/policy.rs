//! How often a handler that fails is tried again.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How often a handler that fails or panics is restarted, from the last commit on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartPolicy {
    /// Not at all: the first failure stops the worker.
    Never,
    /// Once: the second failure in the worker's life stops it.
    Once,
    /// So often within so long: one failure more stops the worker. Failures longer ago no longer count, however many.
    Bounded {
        /// How many restarts.
        max_restarts: u32,
        /// Within how long.
        within: Duration,
    },
}

impl Default for RestartPolicy {
    /// 10 restarts within a minute.
    fn default() -> Self {
        Self::Bounded {
            max_restarts: 10,
            within: Duration::from_mins(1),
        }
    }
}

/// What is left of a [`RestartPolicy`].
#[derive(Debug)]
pub(super) struct Budget {
    policy: RestartPolicy,
    /// When it was restarted, the oldest first. Never more than the policy allows.
    restarts: VecDeque<Instant>,
}

impl Budget {
    pub(super) fn new(policy: RestartPolicy) -> Self {
        Self {
            policy,
            restarts: VecDeque::new(),
        }
    }

    /// Whether a failure now is followed by a restart; counts it if so.
    pub(super) fn spend(&mut self, now: Instant) -> bool {
        let allowed = match self.policy {
            RestartPolicy::Never => 0,
            RestartPolicy::Once => 1,
            RestartPolicy::Bounded { max_restarts, within } => {
                while self
                    .restarts
                    .front()
                    .is_some_and(|restart| now.saturating_duration_since(*restart) >= within)
                {
                    self.restarts.pop_front();
                }
                usize::try_from(max_restarts).unwrap_or(usize::MAX)
            }
        };
        let left = self.restarts.len() < allowed;
        if left {
            self.restarts.push_back(now);
        }
        left
    }

    /// What led to these restarts, the newest, is dealt with: they no longer count.
    pub(super) fn forgive(&mut self, restarts: u32) {
        let restarts = usize::try_from(restarts).unwrap_or(usize::MAX);
        self.restarts
            .truncate(self.restarts.len().saturating_sub(restarts));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of these failures, in seconds, are followed by a restart. The first that is not stops the worker.
    fn restarts(policy: RestartPolicy, failures: &[u64]) -> usize {
        let start = Instant::now();
        let mut budget = Budget::new(policy);
        failures
            .iter()
            .take_while(|after| budget.spend(start + Duration::from_secs(**after)))
            .count()
    }

    #[test]
    fn never_and_once_are_what_they_say() {
        assert_eq!(restarts(RestartPolicy::Never, &[0, 1]), 0);
        assert_eq!(restarts(RestartPolicy::Once, &[0, 86_400]), 1);
    }

    #[test]
    fn only_the_failures_within_the_window_count() {
        let policy = RestartPolicy::Bounded {
            max_restarts: 2,
            within: Duration::from_secs(10),
        };
        assert_eq!(restarts(policy, &[0, 1, 9]), 2, "three within ten seconds");
        assert_eq!(restarts(policy, &[0, 1, 10]), 3, "the first is ten seconds ago");
        assert_eq!(restarts(policy, &[0, 9, 10, 18]), 3, "9, 10 and 18");
        assert_eq!(restarts(policy, &[0, 6, 12, 18, 24, 30]), 6);
        let none = RestartPolicy::Bounded {
            max_restarts: 0,
            within: Duration::MAX,
        };
        assert_eq!(restarts(none, &[0]), 0);
    }

    #[test]
    fn what_is_forgiven_can_be_spent_again() {
        let now = Instant::now();
        let mut budget = Budget::new(RestartPolicy::Bounded {
            max_restarts: 3,
            within: Duration::from_secs(10),
        });
        assert!(budget.spend(now) && budget.spend(now) && budget.spend(now) && !budget.spend(now));
        budget.forgive(2);
        assert!(budget.spend(now) && budget.spend(now) && !budget.spend(now));
        budget.forgive(u32::MAX);
        assert!(budget.spend(now));
    }
}
