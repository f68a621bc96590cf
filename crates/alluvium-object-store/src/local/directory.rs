//! The directory: its lock, and every change of a name in it. Blocking, and nothing of keys.
//!
//! Who changes what a name stands for holds the lock; who reads does not. An etag is the modification time and the
//! size. The time of a content is made of the second and of the content's number, which is counted under the lock: so
//! it differs from that of everything the name ever stood for, be the clock of the file system as coarse as it likes and
//! inodes used again as often. Should the count be lost with the power, it starts over, in another second.
//!
//! A directory that is not empty is durable in its parent: it was synced there before anything was put into it. So only
//! one that is missing or empty, as a process that was killed may have left it, needs more than a look.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use object_store::Error;

use super::error::{Failure, refused};
use super::staged::{self, Staged};

/// A name that lists hide and that no key can have.
const LOCK: &str = ".alluvium-lock#0";

/// A directory with a lock.
#[derive(Debug)]
pub(super) struct Directory {
    root: PathBuf,
}

/// What must hold for content to get its name.
#[derive(Debug)]
pub(super) enum Condition {
    /// Nothing.
    None,
    /// The name stands for nothing.
    Absent,
    /// The name stands for content of this etag.
    Version(String),
}

/// The version of a content.
pub(super) fn etag(modified: SystemTime, size: u64) -> String {
    let micros = modified
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_micros());
    format!("\"{micros:x}-{size:x}\"")
}

/// Held while names are changed.
struct Lock {
    file: File,
    path: PathBuf,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a child that another thread has just forked holds the same open file until its exec,
        // and the lock with it.
        let _ = self.file.unlock();
    }
}

impl Lock {
    /// The next number of a content.
    fn count(&self) -> Result<u64, Failure> {
        let count = || {
            let mut stored = [0; 8];
            let read = self.file.read_at(&mut stored, 0)?;
            let next = if read == stored.len() {
                u64::from_le_bytes(stored).wrapping_add(1)
            } else {
                0
            };
            self.file.write_all_at(&next.to_le_bytes(), 0)?;
            Ok(next)
        };
        count().map_err(refused("count in", &self.path))
    }
}

impl Directory {
    /// Opens a directory, made if it is not there; removes what was left over.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        Self::open_inner(path).map_err(|failure| failure.at(&object_store::path::Path::default()))
    }

    fn open_inner(path: &Path) -> Result<Self, Failure> {
        let absolute = std::path::absolute(path).map_err(refused("find", path))?;
        make_durable(&absolute).map_err(refused("create", &absolute))?;
        let root = fs::canonicalize(&absolute).map_err(refused("find", &absolute))?;
        let directory = Self { root };
        if !directory.stage()?.keeps_times()? {
            return Err(Failure::Known(Error::NotSupported {
                source: format!(
                    "the file system of {} keeps no modification times of microseconds, which the versions of \
                     objects are told by: use another file system",
                    path.display()
                )
                .into(),
            }));
        }
        directory.sweep()?;
        Ok(directory)
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    fn lock(&self) -> Result<Lock, Failure> {
        let path = self.root.join(LOCK);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(refused("open", &path))?;
        file.lock().map_err(refused("lock", &path))?;
        Ok(Lock { file, path })
    }

    /// Removes contents that nobody is writing any more.
    fn sweep(&self) -> Result<(), Failure> {
        let found = staged::all(&self.root).map_err(refused("list", &self.root))?;
        if found.is_empty() {
            return Ok(());
        }
        let _lock = self.lock()?;
        for path in found {
            staged::remove_left_over(&path).map_err(refused("remove", &path))?;
        }
        Ok(())
    }

    /// Begins content.
    pub(super) fn stage(&self) -> Result<Staged, Failure> {
        let lock = self.lock()?;
        loop {
            let number = lock.count()?;
            if let Some(staged) = Staged::begin(&self.root, number)? {
                return Ok(staged);
            }
        }
    }

    /// Makes content durable and gives it its name, if the condition holds at that instant. Gives its etag.
    pub(super) fn publish(
        &self,
        staged: &Staged,
        target: &Path,
        condition: &Condition,
    ) -> Result<String, Failure> {
        let (modified, size) = staged.finish()?;
        let lock = self.lock()?;
        Self::check(target, condition)?;
        make_parent(target)?;
        match condition {
            Condition::Absent => link(staged.path(), target)?,
            Condition::None | Condition::Version(_) => {
                fs::rename(staged.path(), target).map_err(refused("replace", target))?;
            }
        }
        drop(lock);
        sync_parent(target)?;
        Ok(etag(modified, size))
    }

    /// Whether the condition holds. Means something for the time that the lock is held.
    pub(super) fn check(target: &Path, condition: &Condition) -> Result<(), Failure> {
        let failure = match (condition, Self::version(target)?) {
            (Condition::None, _) | (Condition::Absent, None) => return Ok(()),
            (Condition::Absent, Some(_)) => Failure::Exists,
            (Condition::Version(asked), Some(found)) if *asked == found => return Ok(()),
            (Condition::Version(asked), found) => Failure::OtherVersion(match found {
                Some(found) => format!("version {asked} was asked for, it is {found}"),
                None => format!("version {asked} was asked for, there is none"),
            }),
        };
        // Whoever put it there may have been killed before the sync; the caller goes by what it will find.
        sync_parent(target)?;
        Err(failure)
    }

    /// The etag of what is there, if anything is.
    fn version(target: &Path) -> Result<Option<String>, Failure> {
        match fs::metadata(target) {
            Ok(found) if found.is_file() => {
                let modified = found.modified().map_err(refused("read", target))?;
                Ok(Some(etag(modified, found.len())))
            }
            // To others a key may be a prefix too. To LIST and GET there is nothing here.
            Ok(_) => Ok(None),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(refused("read", target)(error)),
        }
    }

    /// Removes what has this name, and the directories that are empty without it.
    pub(super) fn delete(&self, target: &Path) -> Result<(), Failure> {
        let lock = self.lock()?;
        require(target)?;
        fs::remove_file(target).map_err(refused("remove", target))?;
        let left = self.remove_empty(target);
        drop(lock);
        sync(left)
    }

    /// Gives what has one name another one too.
    pub(super) fn copy(&self, from: &Path, to: &Path, create_only: bool) -> Result<(), Failure> {
        let lock = self.lock()?;
        require(from)?;
        if create_only {
            Self::check(to, &Condition::Absent)?;
            make_parent(to)?;
            link(from, to)?;
        } else {
            Self::version(to)?;
            make_parent(to)?;
            // A second name first, which then replaces the other: so at no instant there is none.
            let second = staged::path(&self.root, lock.count()?);
            link(from, &second)?;
            let replaced = fs::rename(&second, to).map_err(refused("replace", to));
            // A rename between two names of the same file does nothing.
            let _ = fs::remove_file(&second);
            replaced?;
        }
        drop(lock);
        sync_parent(to)
    }

    /// Gives what has one name another one instead.
    pub(super) fn rename(&self, from: &Path, to: &Path, create_only: bool) -> Result<(), Failure> {
        let lock = self.lock()?;
        require(from)?;
        if from == to {
            return if create_only { Err(Failure::Exists) } else { Ok(()) };
        }
        if create_only {
            Self::check(to, &Condition::Absent)?;
            make_parent(to)?;
            link(from, to)?;
        } else {
            Self::version(to)?;
            make_parent(to)?;
            fs::rename(from, to).map_err(refused("rename", from))?;
        }
        // Still there if it was linked, or if both were names of the same file.
        match fs::remove_file(from) {
            Err(error) if !is_absent(&error) => return Err(refused("remove", from)(error)),
            _ => {}
        }
        let left = self.remove_empty(from);
        drop(lock);
        sync_parent(to)?;
        sync(left)
    }

    /// Removes the directories above a name that are empty, and gives the lowest that is not.
    fn remove_empty<'a>(&self, removed: &'a Path) -> Option<&'a Path> {
        removed
            .ancestors()
            .skip(1)
            .find(|dir| *dir == self.root || fs::remove_dir(dir).is_err())
    }
}

/// Whether nothing has the name, also because what would be a directory of it is a file.
fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn require(path: &Path) -> Result<(), Failure> {
    Directory::version(path)?.map(drop).ok_or(Failure::Missing)
}

fn link(from: &Path, to: &Path) -> Result<(), Failure> {
    fs::hard_link(from, to).map_err(|error| match error.kind() {
        // A directory is no object that the caller could find.
        io::ErrorKind::AlreadyExists if !to.is_dir() => Failure::Exists,
        _ => refused("link to", to)(error),
    })
}

fn make_parent(path: &Path) -> Result<(), Failure> {
    match path.parent() {
        Some(parent) => make_durable(parent).map_err(refused("create", parent)),
        None => Ok(()),
    }
}

/// Makes a directory and those above it, each of them durable before the next is put into it.
fn make_durable(dir: &Path) -> io::Result<()> {
    let unsure: Vec<&Path> = dir.ancestors().take_while(|dir| !is_in_use(dir)).collect();
    for dir in unsure.into_iter().rev() {
        match fs::create_dir(dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        match dir.parent().map(sync_dir) {
            // Who may not read the parent has not made what is in it.
            Some(Err(error)) if error.kind() != io::ErrorKind::PermissionDenied => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Whether there is such a directory and something in it; one that others do not let us read is theirs.
fn is_in_use(dir: &Path) -> bool {
    match fs::read_dir(dir) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) => error.kind() == io::ErrorKind::PermissionDenied,
    }
}

fn sync_parent(path: &Path) -> Result<(), Failure> {
    sync(path.parent())
}

/// Makes the names in a directory durable. It may be gone with all that was in it: there is nothing to be kept then.
fn sync(dir: Option<&Path>) -> Result<(), Failure> {
    let Some(dir) = dir else { return Ok(()) };
    match sync_dir(dir) {
        Err(error) if !is_absent(&error) => Err(refused("sync", dir)(error)),
        _ => Ok(()),
    }
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
