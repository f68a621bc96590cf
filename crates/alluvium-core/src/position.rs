//! Where a message stands in its log, and when it was stored.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

/// A message's position in its log. The first message has sequence 1.
///
/// [`Sequence::ZERO`] stands before the first message: a cursor there has applied nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sequence(u64);

impl Sequence {
    /// Before the first message.
    pub const ZERO: Self = Self(0);
    /// The first message of a log.
    pub const FIRST: Self = Self(1);

    /// The sequence with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number, from 1; 0 before the first message.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The sequence right after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The sequence right before this one; [`Sequence::ZERO`] stays where it is.
    #[must_use]
    pub const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// How many sequences lie between `earlier` and this one, 0 when `earlier` is not earlier.
    pub const fn distance_from(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl From<u64> for Sequence {
    fn from(number: u64) -> Self {
        Self(number)
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An instant in nanoseconds since 1970-01-01T00:00:00Z, as the NATS server stamps messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The instant `nanos` nanoseconds after the Unix epoch.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the Unix epoch.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// The instant of a [`SystemTime`]. One that nanoseconds in 64 bits cannot tell is the nearest that they can.
    pub fn from_system_time(time: SystemTime) -> Self {
        let nanos = |span: Duration| i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
        Self(match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => nanos(after),
            Err(before) => -nanos(before.duration()),
        })
    }

    /// The instant so much later, or the last one that there is.
    #[must_use]
    pub fn saturating_add(self, span: Duration) -> Self {
        let nanos = i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(nanos))
    }

    /// How long this is after an earlier instant, zero if that is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        let nanos = i128::from(self.0) - i128::from(earlier.0);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
    }

    /// The same instant as a [`SystemTime`].
    pub fn to_system_time(self) -> SystemTime {
        let nanos = Duration::from_nanos(self.0.unsigned_abs());
        if self.0 >= 0 {
            SystemTime::UNIX_EPOCH + nanos
        } else {
            SystemTime::UNIX_EPOCH - nanos
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_nanoseconds_cannot_tell_are_the_nearest() {
        for nanos in [i64::MIN + 1, -1, 0, 1, i64::MAX] {
            let instant = Timestamp::from_nanos(nanos);
            assert_eq!(Timestamp::from_system_time(instant.to_system_time()), instant);
        }
        let last = Timestamp::from_nanos(i64::MAX);
        assert_eq!(Timestamp::from_nanos(1).saturating_add(Duration::MAX), last);
        assert_eq!(
            last.since(Timestamp::from_nanos(i64::MIN)),
            Duration::from_nanos(u64::MAX)
        );
        assert_eq!(Timestamp::from_nanos(i64::MIN).since(last), Duration::ZERO);
    }
}
