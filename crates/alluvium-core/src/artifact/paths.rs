//! Where the objects of a key are, below the prefix of the store.
//!
//! ```text
//! <key>.manifest.json                         the pointer: the newest manifest, the one mutable object
//! <key>/manifests/<sequence>-<digest8>.json   every published manifest
//! <key>/packs/<id>.tar                        the new segments of one export
//! ```

use std::fmt;
use std::str::FromStr;

use super::{ManifestId, PackId, TransportError};
use crate::name;

/// The directory of the published manifests of a key.
pub const MANIFESTS: &str = "manifests";
/// The directory of the packs of a key.
pub const PACKS: &str = "packs";
/// What follows the key in the name of its pointer.
pub const POINTER_SUFFIX: &str = ".manifest.json";

/// What artifacts are kept under: one key for one table, in one scope.
///
/// Any text that is not empty. In paths everything but `a-z 0-9 _ -` is percent-encoded byte by byte, upper case too, for some
/// file systems do not tell it from lower case.
///
/// ```
/// use alluvium_core::ArtifactKey;
///
/// let key: ArtifactKey = "../Routes".parse()?;
/// assert_eq!(key.pointer(), "%2E%2E%2F%52outes.manifest.json");
/// # Ok::<(), alluvium_core::TransportError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArtifactKey {
    name: String,
    encoded: String,
}

impl ArtifactKey {
    /// The key as it was given.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// The key that has this directory; nothing if none has.
    pub fn of_directory(directory: &str) -> Option<Self> {
        Some(Self {
            name: name::decode(directory)?,
            encoded: directory.to_owned(),
        })
    }

    /// The directory of everything but the pointer.
    pub fn directory(&self) -> &str {
        &self.encoded
    }

    /// The path of the pointer.
    pub fn pointer(&self) -> String {
        format!("{}{POINTER_SUFFIX}", self.encoded)
    }

    /// The path of a published manifest.
    pub fn manifest(&self, id: ManifestId) -> String {
        format!("{}/{MANIFESTS}/{id}.json", self.encoded)
    }

    /// The path of a pack.
    pub fn pack(&self, id: PackId) -> String {
        format!("{}/{PACKS}/{id}.tar", self.encoded)
    }
}

impl FromStr for ArtifactKey {
    type Err = TransportError;

    fn from_str(name: &str) -> Result<Self, TransportError> {
        let encoded = name::encode(name).map_err(|error| {
            TransportError::Invalid(format!("{name:?} cannot be a key of artifacts: {error}"))
        })?;
        Ok(Self {
            name: name.to_owned(),
            encoded,
        })
    }
}

impl fmt::Display for ArtifactKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
