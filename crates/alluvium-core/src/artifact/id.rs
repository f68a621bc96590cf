//! The names of manifests and packs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::{Builder, Uuid, Version};

use super::TransportError;
use crate::{Digest, Sequence};

/// The name of a published artifact in the history of its key: the sequence that it is exact at and the first eight digits of the
/// digest of its manifest. As text, names sort by sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ManifestId {
    sequence: Sequence,
    digest: [u8; 4],
}

impl ManifestId {
    /// The name of a manifest of this sequence, with this digest.
    ///
    /// ```
    /// use alluvium_core::artifact::ManifestId;
    /// use alluvium_core::{Digest, Sequence};
    ///
    /// let id = ManifestId::new(Sequence::new(1_234), &Digest::from_bytes([0xab; 32]));
    /// assert_eq!(id.to_string(), "00000000000000001234-abababab");
    /// assert_eq!(id.to_string().parse::<ManifestId>()?, id);
    /// # Ok::<(), alluvium_core::TransportError>(())
    /// ```
    pub fn new(sequence: Sequence, digest: &Digest) -> Self {
        let [a, b, c, d, ..] = *digest.as_bytes();
        Self {
            sequence,
            digest: [a, b, c, d],
        }
    }

    /// The sequence that the artifact is exact at.
    pub fn sequence(self) -> Sequence {
        self.sequence
    }
}

impl fmt::Display for ManifestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digest = u32::from_be_bytes(self.digest);
        write!(f, "{:020}-{digest:08x}", self.sequence.get())
    }
}

impl FromStr for ManifestId {
    type Err = TransportError;

    /// The name that is written like this, and only like this.
    fn from_str(text: &str) -> Result<Self, TransportError> {
        let parsed = text.split_once('-').and_then(|(sequence, digest)| {
            Some(Self {
                sequence: Sequence::new(sequence.parse().ok()?),
                digest: u32::from_str_radix(digest, 16).ok()?.to_be_bytes(),
            })
        });
        parsed.filter(|id| id.to_string() == text).ok_or_else(|| {
            TransportError::Invalid(format!(
                "{text:?} is not the name of an artifact: names look like 00000000000000001234-9f86d081"
            ))
        })
    }
}

/// The name of a pack: a UUID of version 7, so that names sort by the time at which they were made.
///
/// A pack is uploaded while it is made, and so has a name before its digest is known: it is its segments that are named by
/// their digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PackId(Uuid);

impl PackId {
    /// A new name. `millis` is the time in milliseconds since 1970-01-01T00:00:00Z; what tells names apart is `random`: take ten
    /// bytes from a good source.
    #[must_use]
    pub fn new(millis: u64, random: [u8; 10]) -> Self {
        Self(Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }
}

impl fmt::Display for PackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for PackId {
    type Err = TransportError;

    /// The name that is written like this, and only like this.
    fn from_str(text: &str) -> Result<Self, TransportError> {
        let parsed = Uuid::try_parse(text).ok();
        parsed
            .filter(|id| id.get_version() == Some(Version::SortRand) && id.hyphenated().to_string() == text)
            .map(Self)
            .ok_or_else(|| TransportError::Invalid(format!("{text:?} is not the name of a pack")))
    }
}

macro_rules! as_text {
    ($($name:ident)*) => {$(
        impl TryFrom<String> for $name {
            type Error = TransportError;

            fn try_from(text: String) -> Result<Self, TransportError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }
    )*};
}

as_text!(ManifestId PackId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_written_in_one_way() {
        let manifest = ManifestId::new(Sequence::new(7), &Digest::from_bytes([0xab; 32])).to_string();
        for wrong in [
            manifest.to_uppercase(),
            manifest.replacen('0', "", 1),
            manifest.replacen('0', "+", 1),
            format!("{manifest}0"),
            format!("../{manifest}"),
            String::new(),
        ] {
            assert!(wrong.parse::<ManifestId>().is_err(), "{wrong}");
        }
        let pack = PackId::new(1_700_000_000_000, [0xab; 10]).to_string();
        assert_eq!(pack.parse::<PackId>().unwrap().to_string(), pack);
        for wrong in [
            pack.to_uppercase(),
            pack.replace('-', ""),
            "../x".to_owned(),
            String::new(),
        ] {
            assert!(wrong.parse::<PackId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn names_of_artifacts_sort_by_sequence_as_text_too() {
        let digest = Digest::from_bytes([0; 32]);
        let ids = [0, 9, 10, 1 << 40, u64::MAX].map(|number| ManifestId::new(Sequence::new(number), &digest));
        assert!(ids.is_sorted() && ids.map(String::from).is_sorted());
    }
}
