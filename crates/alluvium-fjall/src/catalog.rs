//! The file that says what a directory holds, beside fjall's own.
//!
//! ```text
//! <dir>/fjall.json        one line of JSON, then one line with its XXH3 checksum in hexadecimal
//! ```
//!
//! fjall forgets on its own: a keyspace whose manifest is missing is taken for one whose creation was cut short, and
//! removed; a journal that is missing is taken for one that was compacted. The catalog is written to a temporary
//! name, fsynced and renamed
//!
//! - after a space was made or filled, before its caller hears of it: a keyspace that the catalog does not name was
//!   never told to anybody and goes at the next open;
//! - before a space is dropped: a kill in between leaves a keyspace that the catalog does not name;
//! - soon after fjall began a new journal.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use alluvium_engine::EngineError;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::error::io_error;
use crate::options::SpaceOptions;

const FILE: &str = "fjall.json";
const FORMAT: u32 = 1;

/// What a directory holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Catalog {
    format: u32,
    /// The number of the newest journal seen. There is none newer than the newest one on disk.
    pub(crate) journal: u64,
    /// The number of the keyspace that counts commits.
    pub(crate) commits: u64,
    /// The spaces by name.
    pub(crate) spaces: BTreeMap<String, SpaceRecord>,
}

/// What the catalog knows about a space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SpaceRecord {
    /// The number of its keyspace, which names the keyspace's folder.
    pub(crate) keyspace: u64,
    /// What it was made with.
    pub(crate) options: SpaceOptions,
}

/// Why a catalog cannot be read.
#[derive(Debug, thiserror::Error)]
enum CatalogError {
    #[error("it does not end in a checksum")]
    Unchecked,
    #[error("its checksum is wrong")]
    Checksum,
    #[error("it cannot be decoded")]
    Decode(#[source] serde_json::Error),
    #[error("it has format {0}, and this Alluvium reads format {FORMAT}")]
    Format(u32),
}

impl Catalog {
    pub(crate) fn new(commits: u64) -> Self {
        Self {
            format: FORMAT,
            journal: 0,
            commits,
            spaces: BTreeMap::new(),
        }
    }

    /// Where the catalog of a state directory is.
    pub(crate) fn path(dir: &Path) -> PathBuf {
        dir.join(FILE)
    }

    /// The catalog of a state directory; `None` if there is none.
    pub(crate) fn load(dir: &Path) -> Result<Option<Self>, EngineError> {
        let path = Self::path(dir);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(io_error("read", &path)(source)),
        };
        Self::decode(&bytes)
            .map(Some)
            .map_err(|source| EngineError::Corrupt {
                path,
                source: source.into(),
            })
    }

    fn decode(bytes: &[u8]) -> Result<Self, CatalogError> {
        let text = std::str::from_utf8(bytes).map_err(|_| CatalogError::Checksum)?;
        let (json, checksum) = text.split_once('\n').ok_or(CatalogError::Unchecked)?;
        if checksum != checksum_line(json) {
            return Err(CatalogError::Checksum);
        }
        let catalog: Self = serde_json::from_str(json).map_err(CatalogError::Decode)?;
        if catalog.format == FORMAT {
            Ok(catalog)
        } else {
            Err(CatalogError::Format(catalog.format))
        }
    }

    fn encode(&self) -> Result<String, serde_json::Error> {
        let json = serde_json::to_string(self)?;
        let checksum = checksum_line(&json);
        Ok(json + "\n" + &checksum)
    }

    /// Writes the catalog. It is on disk when this returns, or as it was.
    pub(crate) fn store(&self, dir: &Path) -> Result<(), EngineError> {
        let path = Self::path(dir);
        let temporary = dir.join(format!("{FILE}.tmp"));
        let write = || {
            let text = self.encode().map_err(io::Error::other)?;
            let mut file = File::create(&temporary)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&temporary, &path)?;
            File::open(dir)?.sync_all()
        };
        write().map_err(io_error("write", &path))
    }
}

fn checksum_line(json: &str) -> String {
    format!("{:016x}\n", xxh3_64(json.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FjallOptions;

    #[test]
    fn a_catalog_is_read_as_it_was_written_and_no_byte_of_it_can_change_unseen() {
        let mut catalog = Catalog::new(1);
        catalog.journal = 7;
        catalog.spaces.insert(
            "routes".into(),
            SpaceRecord {
                keyspace: 3,
                options: FjallOptions::default().space(),
            },
        );
        let text = catalog.encode().unwrap();
        assert_eq!(Catalog::decode(text.as_bytes()).unwrap(), catalog);
        for position in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[position] ^= 1;
            assert!(Catalog::decode(&bytes).is_err(), "byte {position}");
            assert!(
                Catalog::decode(&text.as_bytes()[..position]).is_err(),
                "cut at {position}"
            );
        }
    }
}
