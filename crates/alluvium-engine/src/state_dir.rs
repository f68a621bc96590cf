//! The directory that an engine on disk lives in.
//!
//! ```text
//! <dir>/alluvium.json     what this is: format version, engine (written once, at creation)
//! <dir>/lock              held (flock) by the process that has the directory open
//! <dir>/data/             the engine's own files
//! <dir>/cursors/          cursors, if any are kept there: see `FileCursorStore`
//! ```
//!
//! `alluvium.json` is written to a temporary name, fsynced and renamed, so a kill during creation leaves either a
//! directory that is not a state directory yet, or a whole one.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use alluvium_core::ErrorKind;
use serde::{Deserialize, Serialize};

const RECORD: &str = "alluvium.json";
const LOCK: &str = "lock";
const DATA: &str = "data";
/// May be there before the engine is.
const CURSORS: &str = "cursors";
/// Raised when the layout of the directory, or of what tables put into engines, changes incompatibly.
const FORMAT: u32 = 1;

/// An open state directory: nobody else has it open while this lives.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    engine: String,
    /// Held until the drop.
    _lock: Lock,
}

/// The locked lock file.
#[derive(Debug)]
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a child that another thread has just forked holds the same open file until its exec,
        // and the lock with it. What fails here ends with the process at the latest.
        let _ = self.0.unlock();
    }
}

#[derive(Serialize, Deserialize)]
struct Record {
    format: u32,
    engine: String,
}

#[derive(Deserialize)]
struct Versioned {
    format: u32,
}

/// What can go wrong with a state directory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateDirError {
    /// There is nothing, or an empty directory.
    #[error("{} holds no state yet: replicate into it first, or mend the path", path.display())]
    Missing {
        /// The directory asked for.
        path: PathBuf,
    },
    /// There is something else.
    #[error("{} is not empty and not a state directory of Alluvium: use another directory", path.display())]
    NotOurs {
        /// The directory asked for.
        path: PathBuf,
    },
    /// The directory belongs to another engine.
    #[error("{} belongs to the engine {stored}, not {expected}: use that engine or another directory", path.display())]
    OtherEngine {
        /// The directory.
        path: PathBuf,
        /// The engine it was made for.
        stored: String,
        /// The engine asked for.
        expected: String,
    },
    /// Written by a newer Alluvium.
    #[error("{} has format {found}, this Alluvium reads format {supported}: use the newer Alluvium that wrote it", path.display())]
    OtherFormat {
        /// The directory.
        path: PathBuf,
        /// The format found.
        found: u32,
        /// The format that can be read.
        supported: u32,
    },
    /// The record of what the directory is cannot be read.
    #[error("{} is damaged: move the state directory away and let it be rebuilt", path.display())]
    Corrupt {
        /// The damaged file.
        path: PathBuf,
        /// What was found.
        source: serde_json::Error,
    },
    /// Another process has it open.
    #[error("{} is in use by another process: stop that one first", path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file or directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl StateDirError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Missing { .. } => ErrorKind::NotFound,
            Self::NotOurs { .. } | Self::OtherEngine { .. } | Self::OtherFormat { .. } => ErrorKind::Invalid,
            Self::Corrupt { .. } => ErrorKind::Corrupt,
            Self::Locked { .. } | Self::Io { .. } => ErrorKind::Unavailable,
        }
    }
}

impl StateDir {
    /// Opens the state directory of an engine, made if there is nothing or an empty directory.
    ///
    /// # Errors
    ///
    /// Every [`StateDirError`] but `Missing`. The directory is as it was then.
    pub fn open_or_create(path: &Path, engine: &str) -> Result<Self, StateDirError> {
        match Self::stored_engine(path) {
            Ok(_) => Self::open(path, engine),
            Err(StateDirError::Missing { .. }) => {
                fs::create_dir_all(path.join(DATA)).map_err(io_error("create", path))?;
                let lock = Self::lock(path)?;
                // Another process may have created it between the look and the lock.
                if !path.join(RECORD).exists() {
                    Self::write_record(path, engine)?;
                }
                drop(lock);
                Self::open(path, engine)
            }
            Err(other) => Err(other),
        }
    }

    /// Opens the state directory of an engine that exists already.
    ///
    /// # Errors
    ///
    /// Every [`StateDirError`].
    pub fn open(path: &Path, engine: &str) -> Result<Self, StateDirError> {
        let stored = Self::stored_engine(path)?;
        if stored != engine {
            return Err(StateDirError::OtherEngine {
                path: path.into(),
                stored,
                expected: engine.into(),
            });
        }
        Ok(Self {
            path: path.into(),
            engine: stored,
            _lock: Self::lock(path)?,
        })
    }

    /// The engine that a state directory was made for, without opening it.
    ///
    /// # Errors
    ///
    /// [`StateDirError::Missing`], `NotOurs`, `OtherFormat`, `Corrupt` or `Io`.
    pub fn stored_engine(path: &Path) -> Result<String, StateDirError> {
        let record = path.join(RECORD);
        let bytes = match fs::read(&record) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(if Self::is_vacant(path)? {
                    StateDirError::Missing { path: path.into() }
                } else {
                    StateDirError::NotOurs { path: path.into() }
                });
            }
            Err(source) => return Err(io_error("read", &record)(source)),
        };
        let corrupt = |source| StateDirError::Corrupt {
            path: record.clone(),
            source,
        };
        // The format first, alone: another format's record may not decode as this one.
        let Versioned { format } = serde_json::from_slice(&bytes).map_err(corrupt)?;
        if format != FORMAT {
            return Err(StateDirError::OtherFormat {
                path: path.into(),
                found: format,
                supported: FORMAT,
            });
        }
        let record: Record = serde_json::from_slice(&bytes).map_err(corrupt)?;
        Ok(record.engine)
    }

    /// Where the engine keeps its files.
    pub fn data(&self) -> PathBuf {
        self.path.join(DATA)
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The engine it was made for.
    pub fn engine(&self) -> &str {
        &self.engine
    }

    /// Whether there is nothing, or nothing but what a creation that was cut short leaves.
    fn is_vacant(path: &Path) -> Result<bool, StateDirError> {
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
            Err(source) => return Err(io_error("read", path)(source)),
        };
        for entry in entries {
            let entry = entry.map_err(io_error("read", path))?;
            let name = entry.file_name();
            let empty_data = name == DATA
                && fs::read_dir(entry.path())
                    .map_err(io_error("read", path))?
                    .next()
                    .is_none();
            if !(empty_data
                || name == CURSORS
                || name == LOCK
                || name.to_string_lossy() == format!("{RECORD}.tmp"))
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn lock(path: &Path) -> Result<Lock, StateDirError> {
        let lock = path.join(LOCK);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock)
            .map_err(io_error("open", &lock))?;
        match file.try_lock() {
            Ok(()) => Ok(Lock(file)),
            Err(TryLockError::WouldBlock) => Err(StateDirError::Locked { path: path.into() }),
            Err(TryLockError::Error(source)) => Err(io_error("lock", &lock)(source)),
        }
    }

    fn write_record(path: &Path, engine: &str) -> Result<(), StateDirError> {
        let target = path.join(RECORD);
        let temporary = path.join(format!("{RECORD}.tmp"));
        let record = serde_json::json!({ "format": FORMAT, "engine": engine }).to_string() + "\n";
        let write = || {
            let mut file = File::create(&temporary)?;
            file.write_all(record.as_bytes())?;
            file.sync_all()?;
            fs::rename(&temporary, &target)?;
            File::open(path)?.sync_all()
        };
        write().map_err(io_error("write", &target))
    }
}

fn io_error(doing: &'static str, path: &Path) -> impl Fn(io::Error) -> StateDirError {
    move |source| StateDirError::Io {
        doing,
        path: path.into(),
        source,
    }
}

#[cfg(test)]
mod tests;
