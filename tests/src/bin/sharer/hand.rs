//! A handler that can be held, with its work in hand.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// Whoever comes next is held.
    Closed,
    /// Somebody is held.
    Held,
}

pub(crate) struct Hand {
    state: Mutex<State>,
    changed: Condvar,
}

impl Default for Hand {
    fn default() -> Self {
        Self {
            state: Mutex::new(State::Open),
            changed: Condvar::new(),
        }
    }
}

impl Hand {
    pub(crate) fn hold(&self) {
        *self.state() = State::Closed;
    }

    pub(crate) fn go_on(&self) {
        *self.state() = State::Open;
        self.changed.notify_all();
    }

    /// Comes by. Of those who do, one is held.
    pub(crate) fn pass(&self, tell: impl FnOnce()) {
        let mut state = self.state();
        if *state != State::Closed {
            return;
        }
        *state = State::Held;
        tell();
        while *state == State::Held {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
