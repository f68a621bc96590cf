//! What has to hold before RocksDB is let into a directory.
//!
//! ```text
//! <dir>/rocksdb.json           what the last close left: see `inventory`
//! <dir>/data/CURRENT           the name of the manifest in force
//! <dir>/data/MANIFEST-<n>      which column families and tables there are, as a log of changes
//! <dir>/data/<n>.log           journals
//! <dir>/data/<n>.sst           tables, in blocks that each have a checksum
//! <dir>/data/OPTIONS-<n>       for people to read
//! <dir>/data/ingest/           tables that are being made
//! ```
//!
//! RocksDB checks blocks of tables as it reads them, and at each open that all tables are there and as long as the
//! manifest says. What it would take for the end of a crash is judged here, at the cost of reading the journals once
//! more.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use alluvium_engine::EngineError;

use crate::error::{corrupt, io_error};
use crate::files::FileKind;
use crate::inventory::Inventory;
use crate::journal::{self, JournalError};

/// The manifest that a database begins with, and has until its first open is through.
const FIRST_MANIFEST: &str = "MANIFEST-000001";

/// What is wrong with a file other than a journal.
#[derive(Debug, thiserror::Error)]
enum DamageError {
    #[error("it is missing")]
    Missing,
    #[error("it names no manifest that is there")]
    Current,
    #[error("there is no journal, not even an empty one")]
    NoJournal,
    #[error("the column family of the space {0} is not in it")]
    Space(String),
    #[error("what is recorded of the space {0} makes no sense")]
    Record(String),
}

/// What was found.
#[derive(Debug)]
pub(crate) enum Found {
    /// Nothing was ever committed here.
    Nothing,
    /// A database. With it the journals that end in a commit that never returned.
    Database(Vec<PathBuf>),
}

/// Checks the database of a state directory.
///
/// # Errors
///
/// [`EngineError::Corrupt`]; nothing is changed then.
pub(crate) fn check(dir: &Path, data: &Path) -> Result<Found, EngineError> {
    let inventory = Inventory::load(dir)?;
    if !data.try_exists().map_err(io_error("look at", data))? {
        return match inventory {
            None => Ok(Found::Nothing),
            Some(_) => Err(corrupt(data, DamageError::Missing)),
        };
    }
    let Some(manifest) = manifest(data, inventory.as_ref())? else {
        return Ok(Found::Nothing);
    };
    let journals = journal::list(data)?;
    if journals.is_empty() && manifest != FIRST_MANIFEST {
        return Err(corrupt(data, DamageError::NoJournal));
    }
    let manifest = data.join(manifest);
    let manifest_ends_at = journal::check_records(&manifest)?;
    let torn = journal::check(&journals)?;
    if inventory.is_some() {
        // A close that went well leaves nothing that was cut short.
        let manifest = manifest_ends_at.map(|at| (&manifest, at));
        if let Some((path, at)) = manifest.or(torn.first().map(|(path, at)| (path, *at))) {
            return Err(corrupt(path, JournalError::Torn(at)));
        }
    }
    Ok(Found::Database(torn.into_iter().map(|(path, _)| path).collect()))
}

/// The name of the manifest in force; `None` if nothing was ever committed.
fn manifest(data: &Path, inventory: Option<&Inventory>) -> Result<Option<String>, EngineError> {
    let current = data.join("CURRENT");
    let named = match fs::read(&current) {
        Ok(content) => manifest_name(&content),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // A creation that was cut short: nothing is committed before there is a journal.
            let content = |kind| matches!(kind, FileKind::Journal(_) | FileKind::Table(_));
            return if inventory.is_none() && !any_file(data, content)? {
                Ok(None)
            } else {
                Err(corrupt(current, DamageError::Missing))
            };
        }
        Err(source) => return Err(io_error("read", &current)(source)),
    };
    if let Some(inventory) = inventory {
        inventory.check(data)?;
    }
    let expected = |name: &String| inventory.is_none_or(|inventory| inventory.manifest == *name);
    match named.filter(expected) {
        None => Err(corrupt(current, DamageError::Current)),
        Some(named) if data.join(&named).is_file() => Ok(Some(named)),
        Some(named) => {
            // Whether that file is gone or this one named another.
            let others = any_file(data, |kind| matches!(kind, FileKind::Manifest(_)))?;
            let at = if others { current } else { data.join(named) };
            Err(corrupt(at, DamageError::Current))
        }
    }
}

/// The manifest in force in a data directory.
pub(crate) fn manifest_in_force(data: &Path) -> Result<String, EngineError> {
    let current = data.join("CURRENT");
    let content = fs::read(&current).map_err(io_error("read", &current))?;
    manifest_name(&content).ok_or_else(|| corrupt(current, DamageError::Current))
}

/// The manifest does not have the column family of a space.
pub(crate) fn without_space(data: &Path, space: &str) -> EngineError {
    match manifest_in_force(data) {
        Ok(manifest) => corrupt(data.join(manifest), DamageError::Space(space.into())),
        Err(error) => error,
    }
}

/// A record of the catalog cannot be what was written.
pub(crate) fn not_a_record(data: &Path, space: &[u8]) -> EngineError {
    corrupt(
        data,
        DamageError::Record(String::from_utf8_lossy(space).into_owned()),
    )
}

/// Empties a data directory in which nothing was ever committed, or makes it.
pub(crate) fn clear(data: &Path) -> Result<(), EngineError> {
    match fs::remove_dir_all(data) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(io_error("empty", data)(error));
        }
        _ => {}
    }
    fs::create_dir_all(data).map_err(io_error("create", data))?;
    // The directory itself, so that a loss of power does not take it and leave the rest of the state directory.
    let dir = data.parent().unwrap_or(data);
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(io_error("sync", dir))
}

fn manifest_name(content: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(content).ok()?.strip_suffix('\n')?;
    matches!(FileKind::of(name), Some(FileKind::Manifest(_))).then(|| name.to_owned())
}

fn any_file(data: &Path, is_one: impl Fn(FileKind) -> bool) -> Result<bool, EngineError> {
    for entry in fs::read_dir(data).map_err(io_error("read", data))? {
        let entry = entry.map_err(io_error("read", data))?;
        if entry
            .file_name()
            .to_str()
            .and_then(FileKind::of)
            .is_some_and(&is_one)
        {
            return Ok(true);
        }
    }
    Ok(false)
}
