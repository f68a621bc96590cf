//! What a table is worth beside its log.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a table keeps of what its log forgets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Nothing: the table holds exactly the keys that the log holds.
    #[default]
    Mirror,
    /// All of it: every write minus every real delete.
    Archive,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mirror => "mirror",
            Self::Archive => "archive",
        })
    }
}
