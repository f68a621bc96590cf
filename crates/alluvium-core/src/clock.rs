//! The wall clock, for the few things that need one: what expires. It is passed in, so that tests can set it.

use std::time::SystemTime;

use crate::Timestamp;

/// What time it is. It may be wrong, and may go backwards.
pub trait Clock: Send + Sync + 'static {
    /// The time.
    fn now(&self) -> Timestamp;
}

/// The clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock that everything else is to be given"
    )]
    fn now(&self) -> Timestamp {
        Timestamp::from_system_time(SystemTime::now())
    }
}

const _: fn(&dyn Clock) = |_| (); // object-safe
