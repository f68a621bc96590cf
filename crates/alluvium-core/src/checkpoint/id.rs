//! The names of checkpoints.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::{Builder, Uuid, Version};

use super::CheckpointError;

/// The name of one checkpoint: a UUID of version 7, so that names sort by the time at which they were made.
///
/// As text it is what a UUID always looks like, in lower case: that is the directory of the checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CheckpointId(Uuid);

/// The last millisecond that fits into 48 bits.
const LAST_MILLIS: u64 = (1 << 48) - 1;

impl CheckpointId {
    /// A new name, that sorts after `previous` even where the clock went back since that one was made.
    ///
    /// `millis` is the time in milliseconds since 1970-01-01T00:00:00Z. `random` tells names of one millisecond apart:
    /// take ten bytes from a good source.
    ///
    /// ```
    /// use alluvium_core::CheckpointId;
    ///
    /// let first = CheckpointId::after(None, 1_700_000_000_000, [7; 10]);
    /// let second = CheckpointId::after(Some(first), 1_600_000_000_000, [1; 10]);
    /// assert!(second > first);
    /// assert_eq!(second.to_string().parse::<CheckpointId>()?, second);
    /// # Ok::<(), alluvium_core::CheckpointError>(())
    /// ```
    #[must_use]
    pub fn after(previous: Option<Self>, millis: u64, random: [u8; 10]) -> Self {
        let least = previous.map_or(0, |previous| previous.millis() + 1);
        let millis = millis.max(least).min(LAST_MILLIS);
        Self(Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    /// When the name was made, in milliseconds since 1970-01-01T00:00:00Z.
    pub fn millis(self) -> u64 {
        let (high, _) = self.0.as_u64_pair();
        high >> 16
    }
}

impl FromStr for CheckpointId {
    type Err = CheckpointError;

    /// The name that is written like this, and only like this.
    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        let parsed = Uuid::try_parse(text).ok().map(Self);
        parsed
            .filter(|id| id.0.get_version() == Some(Version::SortRand) && id.to_string() == text)
            .ok_or_else(|| {
                CheckpointError::Invalid(format!(
                    "{text:?} is not the id of a checkpoint: ids look like 018bcfe5-6800-7707-8707-070707070707"
                ))
            })
    }
}

impl TryFrom<String> for CheckpointId {
    type Error = CheckpointError;

    fn try_from(text: String) -> Result<Self, CheckpointError> {
        text.parse()
    }
}

impl From<CheckpointId> for String {
    fn from(id: CheckpointId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for CheckpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_by_time_and_as_text_too() {
        let mut previous: Option<CheckpointId> = None;
        // A clock that stands still, jumps ahead, and goes back.
        for millis in [5, 5, 5, 1 << 40, 3, 1 << 39, LAST_MILLIS - 1] {
            let id = CheckpointId::after(previous, millis, [0; 10]);
            assert!(previous < Some(id));
            assert!(previous.map(String::from) < Some(String::from(id)));
            previous = Some(id);
        }
        // The end of time is no panic.
        let _ = CheckpointId::after(previous, u64::MAX, [255; 10]);
    }

    #[test]
    fn a_name_is_written_in_one_way() {
        let id = CheckpointId::after(None, 1_700_000_000_000, [0xab; 10]);
        let text = id.to_string();
        assert_eq!(text.parse::<CheckpointId>().unwrap(), id);
        assert_eq!(id.millis(), 1_700_000_000_000);
        for wrong in [
            text.to_uppercase(),
            text.replace('-', ""),
            format!("{{{text}}}"),
            format!("urn:uuid:{text}"),
            // Version 4.
            "936da01f-9abd-4d9d-80c7-02af85c822a8".to_owned(),
            "../other".to_owned(),
            String::new(),
        ] {
            assert!(wrong.parse::<CheckpointId>().is_err(), "{wrong}");
        }
    }
}
