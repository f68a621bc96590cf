//! Who writes, and by which assignment: what fences are made of.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::BackendError;

/// The fencing token: the version of the vnode assignment that a writer believes in. Rising; 0 turns the fence off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AssignmentVersion(u64);

impl AssignmentVersion {
    /// No fence.
    pub const OFF: Self = Self(0);

    /// The version with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number; 0 for no fence.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl From<u64> for AssignmentVersion {
    fn from(number: u64) -> Self {
        Self(number)
    }
}

impl fmt::Display for AssignmentVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The name of one participant, the same after a restart: 1 to 100 characters of `A-Z a-z 0-9 . _ -`.
///
/// An epoch that an instance has sealed is sealed for that instance too when it comes back. So two processes that run
/// at the same time must not share a name, unless the assignment version tells them apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InstanceId(Arc<str>);

impl InstanceId {
    /// The instance of this name.
    ///
    /// # Errors
    ///
    /// [`BackendError::Invalid`] saying what a name may be.
    pub fn new(name: &str) -> Result<Self, BackendError> {
        let fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if (1..=100).contains(&name.len()) && name.bytes().all(fine) {
            Ok(Self(name.into()))
        } else {
            Err(BackendError::Invalid(format!(
                "{name:?} cannot name an instance: use 1 to 100 characters of A-Z a-z 0-9 . _ -"
            )))
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for InstanceId {
    type Err = BackendError;

    fn from_str(name: &str) -> Result<Self, BackendError> {
        Self::new(name)
    }
}

impl TryFrom<String> for InstanceId {
    type Error = BackendError;

    fn try_from(name: String) -> Result<Self, BackendError> {
        Self::new(&name)
    }
}

impl From<InstanceId> for String {
    fn from(id: InstanceId) -> Self {
        id.0.as_ref().to_owned()
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instance_names_are_plain() {
        for fine in ["a", "node-1.eu_west", &"x".repeat(100)] {
            assert_eq!(InstanceId::new(fine).unwrap().as_str(), fine);
        }
        for wrong in ["", "a b", "a/b", "ü", "a\0", &"x".repeat(101)] {
            assert!(InstanceId::new(wrong).is_err(), "{wrong:?}");
            assert!(serde_json::from_value::<InstanceId>(wrong.into()).is_err());
        }
    }
}
