//! Which round of the checkpoint protocol.

use std::fmt;
use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

use crate::BackendError;

/// One round of the checkpoint protocol: 1 to `u64::MAX - 1`, rising.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Epoch(NonZeroU64);

impl Epoch {
    /// The first epoch.
    pub const FIRST: Self = Self(NonZeroU64::MIN);
    /// The last epoch there can be.
    pub const LAST: Self = match NonZeroU64::new(u64::MAX - 1) {
        Some(number) => Self(number),
        None => Self::FIRST,
    };

    /// The epoch with this number.
    ///
    /// # Errors
    ///
    /// [`BackendError::Invalid`] for 0 and for `u64::MAX`.
    pub fn new(number: u64) -> Result<Self, BackendError> {
        match NonZeroU64::new(number) {
            Some(positive) if Self(positive) <= Self::LAST => Ok(Self(positive)),
            _ => Err(BackendError::Invalid(format!(
                "{number} is not an epoch: epochs are 1 to {}",
                Self::LAST
            ))),
        }
    }

    /// The number, from 1.
    pub const fn get(self) -> u64 {
        self.0.get()
    }

    /// The epoch right after this one; `None` after the last.
    pub fn next(self) -> Option<Self> {
        Self::new(self.get() + 1).ok()
    }
}

impl TryFrom<u64> for Epoch {
    type Error = BackendError;

    fn try_from(number: u64) -> Result<Self, BackendError> {
        Self::new(number)
    }
}

impl From<Epoch> for u64 {
    fn from(epoch: Epoch) -> Self {
        epoch.get()
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn epochs_are_1_to_one_below_the_largest_number() {
        for fine in [1, 2, u64::MAX - 1] {
            assert_eq!(Epoch::new(fine).unwrap().get(), fine);
        }
        for wrong in [0, u64::MAX] {
            assert_eq!(Epoch::new(wrong).unwrap_err().kind(), ErrorKind::Invalid);
            assert!(serde_json::from_value::<Epoch>(wrong.into()).is_err());
        }
    }

    #[test]
    fn the_last_epoch_has_no_next() {
        assert_eq!(Epoch::FIRST.next(), Some(Epoch::new(2).unwrap()));
        assert_eq!(Epoch::LAST.next(), None);
    }
}
