//! The line to whoever has started this process.

use std::sync::{Mutex, PoisonError};

use alluvium_e2e::participant::{Step, Told, program};

/// The line to the parent: one question at a time. Without a parent there is nothing to do: each method panics then.
#[derive(Debug, Default)]
pub(crate) struct Parent {
    asking: Mutex<()>,
}

impl Parent {
    /// Tells it something.
    #[expect(clippy::unused_self, reason = "only who has a parent can tell it something")]
    pub(crate) fn tell(&self, told: &Told) {
        program::try_tell(told).expect("the parent reads");
    }

    /// Tells it of a step, and stands still until it says to go on.
    pub(crate) fn ask(&self, step: Step) {
        tokio::task::block_in_place(|| {
            let _asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
            self.tell(&Told::Step(step));
            self.line();
        });
    }

    /// The next line that it says.
    #[expect(clippy::unused_self, reason = "only who has a parent can be told something")]
    pub(crate) fn line(&self) -> String {
        let line = program::line().expect("the parent speaks");
        assert!(!line.is_empty(), "the parent is gone");
        line
    }
}
