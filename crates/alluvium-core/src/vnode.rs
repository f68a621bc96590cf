//! Which part of the keys: virtual nodes.

use std::fmt;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::BackendError;

/// A virtual node: one of a fixed number of key partitions, counted from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Vnode(u32);

impl Vnode {
    /// The vnode with this number. Whether there is such a one, [`VnodeCount::check`] tells.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number, from 0.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl From<u32> for Vnode {
    fn from(number: u32) -> Self {
        Self(number)
    }
}

impl fmt::Display for Vnode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How many vnodes there are, 1 to 65,536. Fixed for the life of a state: another count would put keys elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct VnodeCount(NonZeroU32);

impl VnodeCount {
    /// The most vnodes there can be.
    pub const MAX: u32 = 65_536;

    /// This many vnodes.
    ///
    /// # Errors
    ///
    /// [`BackendError::Invalid`] for 0 and for more than [`VnodeCount::MAX`].
    pub fn new(count: u32) -> Result<Self, BackendError> {
        match NonZeroU32::new(count) {
            Some(positive) if count <= Self::MAX => Ok(Self(positive)),
            _ => Err(BackendError::Invalid(format!(
                "there cannot be {count} vnodes: use 1 to {}",
                Self::MAX
            ))),
        }
    }

    /// The number of vnodes.
    pub const fn get(self) -> u32 {
        self.0.get()
    }

    /// Every vnode, rising.
    pub fn vnodes(self) -> impl DoubleEndedIterator<Item = Vnode> + ExactSizeIterator {
        (0..self.get()).map(Vnode)
    }

    /// Checks that there is such a vnode.
    ///
    /// # Errors
    ///
    /// [`BackendError::VnodeOutOfRange`] if there is not.
    pub fn check(self, vnode: Vnode) -> Result<(), BackendError> {
        if vnode.0 < self.get() {
            Ok(())
        } else {
            Err(BackendError::VnodeOutOfRange { vnode, count: self })
        }
    }
}

impl Default for VnodeCount {
    /// 256 vnodes.
    fn default() -> Self {
        Self(NonZeroU32::MIN.saturating_add(255))
    }
}

impl TryFrom<u32> for VnodeCount {
    type Error = BackendError;

    fn try_from(count: u32) -> Result<Self, BackendError> {
        Self::new(count)
    }
}

impl From<VnodeCount> for u32 {
    fn from(count: VnodeCount) -> Self {
        count.get()
    }
}

impl fmt::Display for VnodeCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn counts_are_1_to_65_536() {
        assert_eq!(VnodeCount::default().get(), 256);
        for fine in [1, 256, 65_536] {
            assert_eq!(VnodeCount::new(fine).unwrap().get(), fine);
        }
        for wrong in [0, 65_537, u32::MAX] {
            assert_eq!(VnodeCount::new(wrong).unwrap_err().kind(), ErrorKind::Invalid);
            assert!(serde_json::from_value::<VnodeCount>(wrong.into()).is_err());
        }
    }

    #[test]
    fn vnodes_are_counted_from_0() {
        let count = VnodeCount::new(3).unwrap();
        assert_eq!(count.vnodes().map(Vnode::get).collect::<Vec<_>>(), [0, 1, 2]);
        assert!(count.check(Vnode::new(2)).is_ok());
        assert!(matches!(
            count.check(Vnode::new(3)),
            Err(BackendError::VnodeOutOfRange { vnode, .. }) if vnode.get() == 3
        ));
    }
}
