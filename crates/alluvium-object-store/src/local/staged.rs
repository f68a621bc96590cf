//! Content that is being written and has no name yet that others can see.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::error::{Failure, refused};

/// The name begins with this and ends with its number: a form that lists hide and that no key can have.
const PREFIX: &str = ".alluvium-staged#";
const MICROS: u64 = 1_000_000;

/// The name of the content of this number.
pub(super) fn path(root: &Path, number: u64) -> PathBuf {
    root.join(format!("{PREFIX}{number}"))
}

/// Content that is being written. Removed when dropped, unless it has got its name.
#[derive(Debug)]
pub(super) struct Staged {
    /// Locked as long as this lives, so that nobody takes it for one that was left over.
    file: File,
    path: PathBuf,
    number: u64,
}

impl Staged {
    /// Begins content of this number. The caller holds the directory's lock, so that nobody looks for what was left
    /// over between the creation and the lock. `None` if the number is taken.
    pub(super) fn begin(root: &Path, number: u64) -> Result<Option<Self>, Failure> {
        let path = path(root, number);
        let file = match OpenOptions::new().create_new(true).write(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
            Err(error) => return Err(refused("create", &path)(error)),
        };
        let staged = Self { file, path, number };
        staged.file.lock().map_err(refused("lock", &staged.path))?;
        Ok(Some(staged))
    }

    /// Writes at the end.
    pub(super) fn append(&self, bytes: &[u8]) -> Result<(), Failure> {
        (&self.file)
            .write_all(bytes)
            .map_err(refused("write", &self.path))
    }

    /// Writes at a position.
    pub(super) fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), Failure> {
        self.file
            .write_all_at(bytes, offset)
            .map_err(refused("write", &self.path))
    }

    /// Ends the content: gives it a modification time that no other content has, and makes both durable. Gives that
    /// time and the size.
    ///
    /// The time is the second in which it was last written, and in it the microsecond of its number. Two contents have
    /// the same only if a million were begun between them in that second.
    pub(super) fn finish(&self) -> Result<(SystemTime, u64), Failure> {
        let stamp = || {
            let written = self.file.metadata()?;
            let second = written
                .modified()?
                .duration_since(SystemTime::UNIX_EPOCH)
                .map_or(0, |since| since.as_secs());
            let stamp = SystemTime::UNIX_EPOCH
                + Duration::from_secs(second)
                + Duration::from_micros(self.number % MICROS);
            self.file.set_modified(stamp)?;
            self.file.sync_all()?;
            Ok((stamp, written.len()))
        };
        stamp().map_err(refused("sync", &self.path))
    }

    /// Whether the file system keeps the modification time that it was given.
    pub(super) fn keeps_times(&self) -> Result<bool, Failure> {
        let (stamp, _) = self.finish()?;
        let kept = self.file.metadata().and_then(|kept| kept.modified());
        Ok(kept.map_err(refused("read", &self.path))? == stamp)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // Not there any more if it was renamed. What fails is removed when the directory is next opened.
        let _ = fs::remove_file(&self.path);
        // Closing is not enough: a child that another thread has just forked holds the same open file until its exec,
        // and the lock with it.
        let _ = self.file.unlock();
    }
}

/// The names of all staged contents, of whoever.
pub(super) fn all(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        let ours = number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()));
        if ours && entry.file_type()?.is_file() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// Removes one if nobody is writing it. The caller holds the directory's lock.
pub(super) fn remove_left_over(path: &Path) -> io::Result<()> {
    let removed = File::open(path).and_then(|file| match file.try_lock() {
        Ok(()) => fs::remove_file(path).and(file.unlock()),
        Err(TryLockError::WouldBlock) => Ok(()),
        Err(TryLockError::Error(error)) => Err(error),
    });
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
