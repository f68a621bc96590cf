//! What survives which failure once a write has returned.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a returned commit has survived.
///
/// Neither ever tears a commit: data and cursor are there together or not at all. The difference is how many
/// of the last commits a failure of the whole machine can take; what it takes is read again from the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// Handed to the operating system: survives the death of the process at any instant, and may lose the last
    /// commits when the machine loses power.
    #[default]
    Buffered,
    /// Forced to the disk (`fsync`) before the commit returns: survives power loss.
    Fsync,
}

impl Durability {
    /// The name as it is written on a command line and in configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Buffered => "buffered",
            Self::Fsync => "fsync",
        }
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Durability {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "buffered" => Ok(Self::Buffered),
            "fsync" => Ok(Self::Fsync),
            other => Err(format!(
                "{other:?} is not a durability: use `buffered` or `fsync`"
            )),
        }
    }
}
