//! [`FileCursorStore`]: a file for each cursor.
//!
//! ```text
//! <dir>/cursors/<name>.ckpt        the record, MessagePack
//! <dir>/cursors/<name>.ckpt.tmp    the one that is being written, or what a kill has left of it
//! <dir>/cursors/<name>.lock        who holds the name; locked (flock) by whoever saves, loads or removes just then
//! ```
//!
//! A record is written to the temporary file, fsynced and renamed, and the directory is fsynced, all under the lock and after
//! a look at who holds the name. So a process that is stopped in the middle of a save keeps the others waiting, and one that
//! is stopped before it finds out afterwards that it is fenced. Nobody removes a lock file: two processes would each lock
//! another one.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use alluvium_core::cursor_store::{cursor_key, cursor_name};
use alluvium_core::{CursorRecord, CursorStore, CursorStoreError, ErrorKind, HeldCursor};
use async_trait::async_trait;

use super::blocking;
use super::held_file::HeldFile;

const DIRECTORY: &str = "cursors";
const ESCAPE: char = '%';
/// What no record comes near: whatever is longer is something else.
const MAX_RECORD_BYTES: u64 = 1 << 20;
/// How long a lock file is waited for, and how long between two looks.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(2);

/// Cursors in a directory, each in a file of its own: `<dir>/cursors/<name>.ckpt`.
///
/// Any number of processes share a directory on a local disk. A save survives loss of power: it takes two fsyncs. The
/// directory may be a state directory of an engine.
///
/// ```
/// use alluvium_core::{Cursor, CursorRecord, CursorStore, LogIdentity, Scope, Timestamp};
/// use alluvium_engine::FileCursorStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// let cursors = FileCursorStore::open(dir.path())?;
/// let held = cursors.hold("mailer").await?;
/// assert_eq!(held.load().await?, None);
///
/// let log = LogIdentity::new("ORDERS", Timestamp::from_nanos(1));
/// held.save(&CursorRecord::new(Cursor::start_of(log), Scope::all())).await?;
/// assert!(dir.path().join("cursors/mailer.ckpt").exists());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct FileCursorStore {
    directory: Arc<Path>,
}

impl FileCursorStore {
    /// The cursors in `<dir>/cursors`, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// [`CursorStoreError::Storage`] if it cannot be made.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, CursorStoreError> {
        let dir = dir.as_ref();
        let directory = dir.join(DIRECTORY);
        if !directory.is_dir() {
            let make = || {
                fs::create_dir_all(&directory)?;
                // The directory's own entry has to survive as well as what will be in it.
                File::open(dir)?.sync_all()
            };
            make().map_err(io_error("create", &directory))?;
        }
        Ok(Self {
            directory: directory.into(),
        })
    }

    fn place(&self, name: &str) -> Result<Place, CursorStoreError> {
        let key = cursor_key(name, ESCAPE)?;
        Ok(Place {
            record: self.directory.join(format!("{key}.ckpt")),
            temporary: self.directory.join(format!("{key}.ckpt.tmp")),
            lock: self.directory.join(format!("{key}.lock")),
            directory: Arc::clone(&self.directory),
            name: name.to_owned(),
        })
    }
}

#[async_trait]
impl CursorStore for FileCursorStore {
    async fn hold(&self, name: &str) -> Result<Arc<dyn HeldCursor>, CursorStoreError> {
        let place = self.place(name)?;
        let path = place.lock.clone();
        blocking("hold", &path, move || {
            let mut locked = place.lock()?;
            // What cannot be read is not held: a save would overwrite it.
            place.read()?;
            let holder = locked.take_over()?;
            Ok(Arc::new(HeldFile::new(place, holder)) as Arc<dyn HeldCursor>)
        })
        .await
    }

    async fn load(&self, name: &str) -> Result<Option<CursorRecord>, CursorStoreError> {
        let place = self.place(name)?;
        let path = place.record.clone();
        blocking("read", &path, move || place.read()).await
    }

    async fn remove(&self, name: &str) -> Result<(), CursorStoreError> {
        let place = self.place(name)?;
        let path = place.record.clone();
        blocking("remove", &path, move || {
            let mut locked = place.lock()?;
            // Held by nobody who knows of it.
            locked.take_over()?;
            place.remove()
        })
        .await
    }

    async fn list(&self) -> Result<Vec<String>, CursorStoreError> {
        let directory = Arc::clone(&self.directory);
        let path = Arc::clone(&self.directory);
        blocking("list", &path, move || {
            let mut names = Vec::new();
            for entry in fs::read_dir(&directory).map_err(io_error("list", &directory))? {
                let file = entry.map_err(io_error("list", &directory))?.file_name();
                let key = file.to_str().and_then(|file| file.strip_suffix(".ckpt"));
                names.extend(key.and_then(|key| cursor_name(key, ESCAPE)));
            }
            names.sort();
            Ok(names)
        })
        .await
    }
}

/// Where one cursor is.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) name: String,
    pub(super) record: PathBuf,
    temporary: PathBuf,
    lock: PathBuf,
    directory: Arc<Path>,
}

impl Place {
    /// Opens the lock file, made if it is not there, and waits for the lock.
    fn lock(&self) -> Result<Locked, CursorStoreError> {
        let opened = self.open_lock(true);
        self.wait_for(opened.map_err(io_error("open", &self.lock))?)
    }

    /// The same for somebody who has had it before; `None` if the file is gone, and its directory is not.
    pub(super) fn lock_again(&self) -> Result<Option<Locked>, CursorStoreError> {
        match self.open_lock(false) {
            Ok(file) => self.wait_for(file).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.directory.is_dir() => Ok(None),
            Err(source) => Err(io_error("open", &self.lock)(source)),
        }
    }

    fn open_lock(&self, create: bool) -> io::Result<File> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(create)
            .truncate(false)
            .open(&self.lock)
    }

    fn wait_for(&self, file: File) -> Result<Locked, CursorStoreError> {
        let mut waited = Duration::ZERO;
        loop {
            match file.try_lock() {
                Ok(()) => {
                    return Ok(Locked {
                        file,
                        path: self.lock.clone(),
                    });
                }
                Err(TryLockError::WouldBlock) if waited < PATIENCE => {
                    thread::sleep(PAUSE);
                    waited += PAUSE;
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(CursorStoreError::Storage {
                        doing: "lock",
                        path: self.lock.clone(),
                        kind: ErrorKind::Transient,
                        source: "another process saves the cursor and does not get done".into(),
                    });
                }
                Err(TryLockError::Error(source)) => return Err(io_error("lock", &self.lock)(source)),
            }
        }
    }

    pub(super) fn read(&self) -> Result<Option<CursorRecord>, CursorStoreError> {
        let file = match File::open(&self.record) {
            Ok(file) => file,
            // Without its directory nothing is known of it.
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.directory.is_dir() => {
                return Ok(None);
            }
            Err(source) => return Err(io_error("open", &self.record)(source)),
        };
        let mut bytes = Vec::new();
        file.take(MAX_RECORD_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(io_error("read", &self.record))?;
        if bytes.len() as u64 > MAX_RECORD_BYTES {
            return Err(CursorStoreError::Corrupt {
                path: self.record.clone(),
                source: format!("it is longer than the {MAX_RECORD_BYTES} bytes that a record can have")
                    .into(),
            });
        }
        let record = CursorRecord::decode(&bytes);
        record
            .map(Some)
            .map_err(|error| CursorStoreError::unreadable(&self.record, error))
    }

    /// To be called with the lock.
    pub(super) fn write(&self, bytes: &[u8]) -> Result<(), CursorStoreError> {
        if bytes.len() as u64 > MAX_RECORD_BYTES {
            return Err(CursorStoreError::Invalid(format!(
                "a cursor record of {} bytes, and no more than {MAX_RECORD_BYTES} can be kept: use a scope of fewer filters",
                bytes.len()
            )));
        }
        let mut file = File::create(&self.temporary).map_err(io_error("create", &self.temporary))?;
        file.write_all(bytes)
            .map_err(io_error("write", &self.temporary))?;
        file.sync_all().map_err(io_error("sync", &self.temporary))?;
        drop(file);
        fs::rename(&self.temporary, &self.record).map_err(io_error("replace", &self.record))?;
        self.sync()
    }

    /// To be called with the lock.
    fn remove(&self) -> Result<(), CursorStoreError> {
        for path in [&self.record, &self.temporary] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(io_error("remove", path)(error));
                }
                _ => {}
            }
        }
        self.sync()
    }

    fn sync(&self) -> Result<(), CursorStoreError> {
        let directory = File::open(&self.directory).and_then(|directory| directory.sync_all());
        directory.map_err(io_error("sync", &self.directory))
    }
}

/// A lock file that is locked.
pub(super) struct Locked {
    file: File,
    path: PathBuf,
}

impl Locked {
    /// Who holds the name; nothing of sense if nobody ever did.
    pub(super) fn holder(&mut self) -> Result<[u8; 16], CursorStoreError> {
        let mut holder = [0; 16];
        let mut read = || {
            self.file.seek(SeekFrom::Start(0))?;
            let mut rest = &mut holder[..];
            while !rest.is_empty() {
                match self.file.read(rest)? {
                    0 => break,
                    length => rest = &mut rest[length..],
                }
            }
            Ok(())
        };
        read().map_err(io_error("read", &self.path))?;
        Ok(holder)
    }

    /// Makes a new holder, who is given. What follows a loss of power holds the name anew, so it need not be synced.
    fn take_over(&mut self) -> Result<[u8; 16], CursorStoreError> {
        let holder = uuid::Uuid::new_v4().into_bytes();
        let mut write = || {
            self.file.seek(SeekFrom::Start(0))?;
            self.file.write_all(&holder)
        };
        write().map_err(io_error("write", &self.path))?;
        Ok(holder)
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        // Closing is not enough: see the lock of a state directory.
        let _ = self.file.unlock();
    }
}

fn io_error(doing: &'static str, path: &Path) -> impl Fn(io::Error) -> CursorStoreError {
    move |source| CursorStoreError::Storage {
        doing,
        path: path.into(),
        kind: ErrorKind::Unavailable,
        source: source.into(),
    }
}

#[cfg(test)]
mod tests;
