//! What is news of a replica, since when by the wall clock, and when to say it again.

use std::time::{Duration, Instant};

use alluvium::{Plan, State, Status, Timestamp};

use crate::human::now;

/// A state that lasts is told again when it has lasted for so long, and then for twice as long, and so on.
const FIRST_REMINDER: Duration = Duration::from_mins(1);
/// But no more seldom than so often.
const LONGEST_REMINDER: Duration = Duration::from_hours(1);

/// Tells by the wall clock since when a replica is in its state: the same for as long as it is.
#[derive(Debug, Default)]
pub(super) struct Clock(Option<(Instant, Timestamp)>);

impl Clock {
    pub(super) fn since(&mut self, status: &Status) -> Timestamp {
        match self.0 {
            Some((instant, at)) if instant == status.since => at,
            _ => {
                let nanos = i64::try_from(status.since.elapsed().as_nanos()).unwrap_or(i64::MAX);
                let at = Timestamp::from_nanos(now().as_nanos().saturating_sub(nanos));
                self.0 = Some((status.since, at));
                at
            }
        }
    }
}

/// What was told last.
#[derive(Debug, Default)]
pub(super) struct News {
    state: Option<State>,
    since: Option<Instant>,
    plan: Option<Plan>,
}

impl News {
    /// As if this state had been told.
    pub(super) fn after(state: State) -> Self {
        Self {
            state: Some(state),
            ..Self::default()
        }
    }

    pub(super) fn is_news(&self, status: &Status) -> bool {
        self.state != Some(status.state) || self.plan.as_ref() != reason_of(status)
    }

    /// Tells it. Gives the state that was told before, and since when it was in that.
    pub(super) fn told(&mut self, status: &Status) -> Option<(State, Instant)> {
        let before = self.state.zip(self.since);
        self.state = Some(status.state);
        self.since = Some(status.since);
        self.plan = reason_of(status).cloned();
        before
    }
}

/// What the reason for a state is, where another one is news. What keeps it stalled is said in other words each time.
fn reason_of(status: &Status) -> Option<&Plan> {
    let plan = status.plan.as_ref();
    plan.filter(|_| {
        matches!(
            status.state,
            State::Reconciling | State::Restoring | State::Refused
        )
    })
}

/// When to tell of a state again that lasts.
#[derive(Debug, Default)]
pub(super) struct Reminder {
    /// The state that it is about began then.
    since: Option<Instant>,
    /// When it has lasted so long.
    after: Duration,
}

impl Reminder {
    /// It has just been told.
    pub(super) fn begin(&mut self, status: &Status) {
        self.since = Some(status.since);
        self.after = next(status.since.elapsed());
    }

    /// Whether it is to be told again. That is counted as done.
    pub(super) fn is_due(&mut self, status: &Status) -> bool {
        let lasts = status.since.elapsed();
        let is_due = self.since == Some(status.since) && lasts >= self.after;
        if is_due {
            self.after = next(lasts);
        }
        is_due
    }
}

fn next(lasts: Duration) -> Duration {
    lasts + lasts.clamp(FIRST_REMINDER, LONGEST_REMINDER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_that_lasts_is_told_ever_more_seldom() {
        let minutes = |number| Duration::from_mins(number);
        assert_eq!(next(Duration::ZERO), minutes(1));
        assert_eq!(next(minutes(1)), minutes(2));
        assert_eq!(next(minutes(2)), minutes(4));
        assert_eq!(next(minutes(600)), minutes(660));
    }
}
