//! The directory that an artifact is fetched into.
//!
//! ```text
//! manifest.json            what is fetched; written first
//! <sha256>.parquet         segments that are whole
//! <name>.partial           what is just being written
//! ```
//!
//! A file gets its name when all of it is there. Whoever finds one from before checks its digest, so a kill or a loss of power at
//! any instant costs no more than fetching some of them again; that is why nothing here is fsynced unless it is to stay.

use std::collections::HashSet;
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind as IoErrorKind, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use alluvium_core::Digest;
use alluvium_core::artifact::{ArtifactManifest, MAX_ARTIFACT_MANIFEST_BYTES, SegmentInfo};
use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::BootstrapError;

const MANIFEST: &str = "manifest.json";
const SEGMENT_SUFFIX: &str = ".parquet";
const PARTIAL_SUFFIX: &str = ".partial";

/// A directory that belongs to whoever holds this.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    /// The directory itself, locked.
    lock: File,
    /// Whether what is written survives a loss of power.
    durable: bool,
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Closing is not enough while a child that was just forked holds the same open file.
        let _ = self.lock.unlock();
    }
}

/// The name of a segment's file.
pub(super) fn segment_name(sha256: &Digest) -> String {
    format!("{sha256}{SEGMENT_SUFFIX}")
}

/// Whether a file of this name can be a part of an artifact.
fn is_ours(name: &str) -> bool {
    let name = name.strip_suffix(PARTIAL_SUFFIX).unwrap_or(name);
    name == MANIFEST
        || name
            .strip_suffix(SEGMENT_SUFFIX)
            .is_some_and(|digest| digest.parse::<Digest>().is_ok())
}

/// Whether this is what is at a path now.
fn is_same(directory: &File, path: &Path) -> io::Result<bool> {
    let now = match fs::metadata(path) {
        Ok(now) => now,
        Err(error) if error.kind() == IoErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let held = directory.metadata()?;
    Ok((held.dev(), held.ino()) == (now.dev(), now.ino()))
}

impl Directory {
    /// Takes a directory, made if there is none. Everything in it must be part of an artifact.
    pub(super) fn open(path: &Path, durable: bool) -> Result<Self, BootstrapError> {
        fs::create_dir_all(path).map_err(BootstrapError::io("make", path))?;
        let lock = File::open(path).map_err(BootstrapError::io("open", path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(BootstrapError::InUse {
                    path: path.to_owned(),
                });
            }
            Err(TryLockError::Error(error)) => return Err(BootstrapError::io("lock", path)(error)),
        }
        // Whoever had it before may have removed it after it was opened here, and somebody else made another one.
        if !is_same(&lock, path).map_err(BootstrapError::io("open", path))? {
            return Err(BootstrapError::InUse {
                path: path.to_owned(),
            });
        }
        let directory = Self {
            path: path.to_owned(),
            lock,
            durable,
        };
        directory.names()?;
        Ok(directory)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn at(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The names of what is in it, all of them ours.
    fn names(&self) -> Result<Vec<String>, BootstrapError> {
        let failed = || BootstrapError::io("list", &self.path);
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(failed())? {
            let entry = entry.map_err(failed())?;
            let is_file = entry.file_type().map_err(failed())?.is_file();
            match entry.file_name().into_string() {
                Ok(name) if is_file && is_ours(&name) => names.push(name),
                Ok(name) => return Err(self.occupied(name)),
                Err(name) => return Err(self.occupied(name.to_string_lossy().into_owned())),
            }
        }
        Ok(names)
    }

    fn occupied(&self, found: String) -> BootstrapError {
        BootstrapError::Occupied {
            path: self.path.clone(),
            found,
        }
    }

    /// Makes it the directory of this artifact, of which these segments are needed. Which of them may be there already.
    pub(super) fn begin<'a>(
        &self,
        manifest: &ArtifactManifest,
        needed: impl Iterator<Item = &'a SegmentInfo>,
    ) -> Result<HashSet<Digest>, BootstrapError> {
        let needed: HashSet<String> = needed.map(|info| segment_name(&info.sha256)).collect();
        let mut there = HashSet::new();
        for name in self.names()? {
            if needed.contains(&name) {
                let digest = name.strip_suffix(SEGMENT_SUFFIX);
                there.extend(digest.and_then(|digest| digest.parse::<Digest>().ok()));
            } else if name != MANIFEST {
                self.remove(&name)?;
            }
        }
        self.write(MANIFEST, &manifest.to_json()?)?;
        Ok(there)
    }

    /// Whether the file of a segment is whole. One that is not is removed.
    pub(super) fn check(&self, info: &SegmentInfo) -> Result<bool, BootstrapError> {
        let name = segment_name(&info.sha256);
        let whole = is_whole(&self.at(&name), info)?;
        if !whole {
            tracing::debug!(path = %self.path.display(), name, "what is there is not whole: it is fetched again");
            self.remove(&name)?;
        }
        Ok(whole)
    }

    /// Puts a segment there.
    pub(super) fn put(&self, info: &SegmentInfo, bytes: &[u8]) -> Result<(), BootstrapError> {
        self.write(&segment_name(&info.sha256), bytes)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), BootstrapError> {
        let path = self.at(name);
        let partial = self.at(&format!("{name}{PARTIAL_SUFFIX}"));
        let write = || {
            let mut file = File::create(&partial)?;
            file.write_all(bytes)?;
            if self.durable {
                file.sync_all()?;
            }
            fs::rename(&partial, &path)
        };
        write().map_err(|error| {
            // What was written of it may be what the disk has no room for.
            let _ = fs::remove_file(&partial);
            BootstrapError::io("write", &path)(error)
        })
    }

    /// Makes everything that was put there survive a loss of power, if that was asked for.
    pub(super) fn settle(&self) -> Result<(), BootstrapError> {
        if self.durable {
            self.lock
                .sync_all()
                .map_err(BootstrapError::io("sync", &self.path))?;
        }
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<(), BootstrapError> {
        let path = self.at(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != IoErrorKind::NotFound => {
                Err(BootstrapError::io("remove", &path)(error))
            }
            _ => Ok(()),
        }
    }

    /// Removes it, and everything in it.
    pub(super) fn discard(self) -> Result<(), BootstrapError> {
        for name in self.names()? {
            self.remove(&name)?;
        }
        fs::remove_dir(&self.path).map_err(BootstrapError::io("remove", &self.path))
    }
}

/// Whether there is a file, and it is this segment.
fn is_whole(path: &Path, info: &SegmentInfo) -> Result<bool, BootstrapError> {
    let failed = || BootstrapError::io("read", path);
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == IoErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(failed()(error)),
    };
    if file.metadata().map_err(failed())?.len() != info.length {
        return Ok(false);
    }
    let mut hasher = Sha256::new();
    let mut piece = vec![0; 256 << 10];
    loop {
        match file.read(&mut piece) {
            Ok(0) => return Ok(Digest::from_bytes(hasher.finalize().into()) == info.sha256),
            Ok(read) => hasher.update(&piece[..read]),
            Err(error) if error.kind() == IoErrorKind::Interrupted => {}
            Err(error) => return Err(failed()(error)),
        }
    }
}

/// Opens the file of a segment. One that was not just put there is checked first.
pub(super) fn open_segment(
    directory: &Path,
    info: &SegmentInfo,
    check: bool,
) -> Result<File, BootstrapError> {
    let path = directory.join(segment_name(&info.sha256));
    if check && !is_whole(&path, info)? {
        return Err(BootstrapError::segment(
            info.sha256,
            format!("{} is missing or not whole", path.display()),
        ));
    }
    File::open(&path).map_err(BootstrapError::io("read", &path))
}

/// The manifest of the artifact in a directory.
pub(super) fn read_manifest(directory: &Path) -> Result<ArtifactManifest, BootstrapError> {
    let path = directory.join(MANIFEST);
    let json = read_at_most(&path, MAX_ARTIFACT_MANIFEST_BYTES)?;
    Ok(ArtifactManifest::from_json(&path.to_string_lossy(), &json)?)
}

/// A file, and of a longer one a byte more than that.
fn read_at_most(path: &Path, most: u64) -> Result<Bytes, BootstrapError> {
    let read = || {
        let file = File::open(path)?;
        let length = file.metadata()?.len().min(most);
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default().saturating_add(1));
        file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
        Ok(bytes.into())
    };
    read().map_err(BootstrapError::io("read", path))
}

/// Removes what a bootstrap has left in a directory; nothing happens to one that is not there, or holds anything else.
pub(super) fn discard(path: &Path) {
    if path.is_dir()
        && let Err(error) = Directory::open(path, false).and_then(Directory::discard)
    {
        tracing::warn!(path = %path.display(), %error, "what a bootstrap left is still there");
    }
}
