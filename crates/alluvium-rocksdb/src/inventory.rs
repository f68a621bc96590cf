//! What a close has left: the files that have to be there at the next open, and how long they are.
//!
//! ```text
//! <dir>/rocksdb.json      one line of JSON, then one line with its CRC-32C in hexadecimal
//! ```
//!
//! After a kill much has to be taken as it is found: a journal may end anywhere, so may the manifest, and the newest
//! journal may be missing. After a close nothing of the sort is true. So a close that went well writes down what it
//! leaves, and the next open holds the directory against it and removes it before anything changes. Like RocksDB's own
//! files it is fsynced before it is renamed into its place.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use alluvium_engine::EngineError;
use serde::{Deserialize, Serialize};

use crate::error::{corrupt, io_error};
use crate::files::FileKind;

const FILE: &str = "rocksdb.json";
const FORMAT: u32 = 1;

/// The files that a close left in the data directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Inventory {
    format: u32,
    /// The manifest in force.
    pub(crate) manifest: String,
    /// Journals, tables and the manifest, and their bytes.
    files: BTreeMap<String, u64>,
}

/// Why an inventory cannot be read.
#[derive(Debug, thiserror::Error)]
enum InventoryError {
    #[error("it does not end in its checksum")]
    Checksum,
    #[error("it cannot be decoded")]
    Decode(#[source] serde_json::Error),
    #[error("it has format {0}, and this Alluvium reads format {FORMAT}")]
    Format(u32),
}

/// How a file differs from what a close left.
#[derive(Debug, thiserror::Error)]
enum Difference {
    #[error("it is missing")]
    Missing,
    #[error("it has {found} bytes instead of {left}")]
    Length { left: u64, found: u64 },
}

impl Inventory {
    /// Where the inventory of a state directory is.
    pub(crate) fn path(dir: &Path) -> PathBuf {
        dir.join(FILE)
    }

    /// Takes down what lies in a data directory in which `manifest` is in force.
    pub(crate) fn of(data: &Path, manifest: String) -> Result<Self, EngineError> {
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(data).map_err(io_error("read", data))? {
            let entry = entry.map_err(io_error("read", data))?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            let matters = matches!(
                FileKind::of(&name),
                Some(FileKind::Journal(_) | FileKind::Table(_))
            );
            if matters || name == manifest {
                let found = entry.metadata().map_err(io_error("look at", &entry.path()))?;
                files.insert(name, found.len());
            }
        }
        Ok(Self {
            format: FORMAT,
            manifest,
            files,
        })
    }

    /// The inventory that the last close left, if it did.
    ///
    /// # Errors
    ///
    /// [`EngineError::Corrupt`] if it cannot be read.
    pub(crate) fn load(dir: &Path) -> Result<Option<Self>, EngineError> {
        let path = Self::path(dir);
        match fs::read(&path) {
            Ok(bytes) => Self::decode(&bytes)
                .map(Some)
                .map_err(|error| corrupt(path, error)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(io_error("read", &path)(source)),
        }
    }

    /// Checks that everything is there as it was left.
    ///
    /// # Errors
    ///
    /// [`EngineError::Corrupt`] naming the first file that is not.
    pub(crate) fn check(&self, data: &Path) -> Result<(), EngineError> {
        for (name, left) in &self.files {
            let path = data.join(name);
            match fs::metadata(&path) {
                Ok(found) if found.len() == *left => {}
                Ok(found) => {
                    return Err(corrupt(
                        path,
                        Difference::Length {
                            left: *left,
                            found: found.len(),
                        },
                    ));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Err(corrupt(path, Difference::Missing));
                }
                Err(source) => return Err(io_error("look at", &path)(source)),
            }
        }
        Ok(())
    }

    /// Leaves the inventory in a state directory.
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

    /// Removes the inventory of a state directory: from now on it is not true any more.
    pub(crate) fn remove(dir: &Path) -> Result<(), EngineError> {
        let path = Self::path(dir);
        let remove = || {
            match fs::remove_file(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                other => other?,
            }
            File::open(dir)?.sync_all()
        };
        remove().map_err(io_error("remove", &path))
    }

    fn decode(bytes: &[u8]) -> Result<Self, InventoryError> {
        let text = std::str::from_utf8(bytes).map_err(|_| InventoryError::Checksum)?;
        let (json, checksum) = text.split_once('\n').ok_or(InventoryError::Checksum)?;
        if checksum != checksum_line(json) {
            return Err(InventoryError::Checksum);
        }
        let inventory: Self = serde_json::from_str(json).map_err(InventoryError::Decode)?;
        if inventory.format == FORMAT {
            Ok(inventory)
        } else {
            Err(InventoryError::Format(inventory.format))
        }
    }

    fn encode(&self) -> Result<String, serde_json::Error> {
        let json = serde_json::to_string(self)?;
        let checksum = checksum_line(&json);
        Ok(json + "\n" + &checksum)
    }
}

fn checksum_line(json: &str) -> String {
    format!("{:08x}\n", crc32c::crc32c(json.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inventory_is_read_as_it_was_written_and_no_byte_of_it_can_change_unseen() {
        let inventory = Inventory {
            format: FORMAT,
            manifest: "MANIFEST-000005".into(),
            files: [("000004.log".into(), 7), ("MANIFEST-000005".into(), 300)].into(),
        };
        let text = inventory.encode().unwrap();
        assert_eq!(Inventory::decode(text.as_bytes()).unwrap(), inventory);
        for position in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[position] ^= 1;
            assert!(Inventory::decode(&bytes).is_err(), "byte {position}");
            assert!(
                Inventory::decode(&text.as_bytes()[..position]).is_err(),
                "cut at {position}"
            );
        }
    }

    #[test]
    fn an_inventory_knows_what_is_missing_or_of_another_length() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, content: &str| fs::write(dir.path().join(name), content).unwrap();
        for name in [
            "000004.log",
            "000007.sst",
            "MANIFEST-000005",
            "OPTIONS-000009",
            "MANIFEST-000001",
        ] {
            write(name, "content");
        }
        let inventory = Inventory::of(dir.path(), "MANIFEST-000005".into()).unwrap();
        assert_eq!(inventory.files.len(), 3);
        inventory.check(dir.path()).unwrap();
        for name in inventory.files.keys() {
            write(name, "conten");
            assert!(matches!(
                inventory.check(dir.path()),
                Err(EngineError::Corrupt { path, .. }) if path.ends_with(name)
            ));
            fs::remove_file(dir.path().join(name)).unwrap();
            assert!(inventory.check(dir.path()).is_err());
            write(name, "content");
        }
    }
}
