//! The directory that is made: it has its name when it is whole.
//!
//! ```text
//! <to>.converting     what is being made; a kill leaves it, and the next run takes its place
//! <to>                not there, or empty, until that is renamed to it
//! ```

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use alluvium::{OpenError, StateDir, StateDirError};

use crate::error::Failure;

/// What is added to the name of what is being made.
const SUFFIX: &str = ".converting";
/// What a state directory has in it, whichever engine it is of.
const DATA: &str = "data";
const RECORD: &str = "alluvium.json";
const LOCK: &str = "lock";
/// What tells a directory that is being made here from any other of that name.
const MARKER: &str = "unfinished";

pub(super) struct Destination {
    to: PathBuf,
    building: PathBuf,
}

impl Destination {
    /// Makes sure that there is nothing in the way, and removes what an earlier run has left.
    pub(super) fn claim(to: &Path) -> Result<Self, Failure> {
        let name = to.file_name().ok_or_else(|| {
            Failure::Usage(format!(
                "--to: {} cannot be the name of a new directory",
                to.display()
            ))
        })?;
        match fs::read_dir(to) {
            Ok(mut entries) => {
                if entries.next().is_some() {
                    return Err(Failure::Occupied {
                        path: to.display().to_string(),
                    });
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed("read", to)(error)),
        }
        let mut building = name.to_owned();
        building.push(SUFFIX);
        let destination = Self {
            to: to.to_owned(),
            building: to.with_file_name(building),
        };
        destination.clear()?;
        Ok(destination)
    }

    /// Where it is made, for a URL.
    pub(super) fn text(&self) -> Result<&str, Failure> {
        let text = self.building.to_str();
        text.ok_or_else(|| Failure::Usage("--to: the name of the directory is not UTF-8".to_owned()))
    }

    /// Says in the state directory, which has just been made, that it is not finished.
    pub(super) fn mark(&self) -> Result<(), Failure> {
        let marker = self.building.join(MARKER);
        fs::write(&marker, b"").map_err(failed("write", &marker))
    }

    /// Gives it its name.
    pub(super) fn publish(&self) -> Result<(), Failure> {
        let marker = self.building.join(MARKER);
        fs::remove_file(&marker).map_err(failed("remove", &marker))?;
        fs::rename(&self.building, &self.to).map_err(failed("make", &self.to))?;
        let parent = match self.to.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let synced = File::open(parent).and_then(|parent| parent.sync_all());
        synced.map_err(failed("sync", parent))
    }

    /// Removes what was made of it. What cannot be removed is left to the next run.
    pub(super) fn discard(&self) {
        if let Err(failure) = self.clear() {
            tracing::warn!(path = %self.building.display(), error = failure.line(), "what was made is still there");
            return;
        }
        // An empty one, or none at all. Whatever else there is was not made here, and stays.
        let _ = fs::remove_file(self.building.join(MARKER));
        let _ = fs::remove_file(self.building.join(LOCK));
        let _ = fs::remove_dir(self.building.join(DATA));
        let _ = fs::remove_dir(&self.building);
    }

    /// Takes everything out of it, if it is what an earlier run has left and nobody has it open.
    fn clear(&self) -> Result<(), Failure> {
        let marker = self.building.join(MARKER);
        let engine = match StateDir::stored_engine(&self.building) {
            Ok(engine) => engine,
            Err(StateDirError::Missing { .. }) => return Ok(()),
            // An earlier run was killed while it took everything out.
            Err(StateDirError::NotOurs { .. }) if self.others()?.is_empty() => {
                return fs::remove_file(&marker).map_err(failed("remove", &marker));
            }
            Err(error) => return Err(OpenError::from(error).into()),
        };
        if !marker.exists() {
            return Err(Failure::Occupied {
                path: self.building.display().to_string(),
            });
        }
        let open = StateDir::open(&self.building, &engine).map_err(OpenError::from)?;
        for path in self.others()? {
            let removed = if path.is_dir() && !path.is_symlink() {
                fs::remove_dir_all(&path)
            } else {
                fs::remove_file(&path)
            };
            removed.map_err(failed("remove", &path))?;
        }
        // In this order: what is left at any instant is told from everything else.
        let record = self.building.join(RECORD);
        fs::remove_file(&record).map_err(failed("remove", &record))?;
        fs::remove_file(&marker).map_err(failed("remove", &marker))?;
        drop(open);
        Ok(())
    }

    /// What is in it beside what every one has.
    fn others(&self) -> Result<Vec<PathBuf>, Failure> {
        let failed = || failed("read", &self.building);
        let mut others = Vec::new();
        for entry in fs::read_dir(&self.building).map_err(failed())? {
            let entry = entry.map_err(failed())?;
            if ![RECORD, LOCK, MARKER]
                .iter()
                .any(|known| entry.file_name() == *known)
            {
                others.push(entry.path());
            }
        }
        Ok(others)
    }
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Failure {
    let path = path.display().to_string();
    move |source| Failure::Disk { doing, path, source }
}
