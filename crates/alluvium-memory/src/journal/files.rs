//! The files of an engine: their names, how one comes to be, and what is there.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use alluvium_engine::EngineError;

use super::format::{FileHeader, FileKind};
use crate::error::io_error;

/// No count of ours ever gets there, so one can always be added.
const LAST: u64 = u64::MAX / 2;

/// A journal that is open to be appended to.
pub(crate) trait AppendFile: Send + Sync {
    /// Adds bytes at the end: in the hands of the operating system when it returns.
    fn append(&self, bytes: &[u8]) -> io::Result<()>;

    /// Forces what was appended to the disk.
    fn sync(&self) -> io::Result<()>;

    /// Takes back everything after this length.
    fn cut(&self, length: u64) -> io::Result<()>;
}

impl AppendFile for File {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut file = self;
        file.write_all(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }
}

/// What has just happened to the files, for tests that look at every state a kill could leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A file was begun, under its temporary name or as an ingested file.
    Begun,
    /// Part of it was written.
    Grown,
    /// It is whole and synced.
    Whole,
    /// It has its name.
    Named,
    /// A file that nothing needs any more was deleted.
    Deleted,
}

/// Where tests get in between.
#[derive(Clone, Default)]
pub(crate) struct Hooks {
    /// Stands before every journal that is appended to.
    pub(crate) wrap: Option<Arc<WrapHook>>,
    /// Told of every step; an error is the step's own.
    pub(crate) step: Option<Arc<StepHook>>,
}

type WrapHook = dyn Fn(File) -> Arc<dyn AppendFile> + Send + Sync;
type StepHook = dyn Fn(Step, &Path) -> io::Result<()> + Send + Sync;

/// The directory with the files of one engine.
#[derive(Clone)]
pub(crate) struct Files {
    dir: PathBuf,
    hooks: Hooks,
}

/// What is there, by number.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) journals: Vec<u64>,
    pub(crate) snapshots: Vec<u64>,
    pub(crate) ingests: Vec<u64>,
    /// Files that are not whole.
    pub(crate) unfinished: Vec<PathBuf>,
}

impl Files {
    pub(crate) fn new(dir: PathBuf, hooks: Hooks) -> Self {
        Self { dir, hooks }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn path(&self, kind: FileKind, number: u64) -> PathBuf {
        self.dir.join(format!("{number:020}.{}", extension(kind)))
    }

    pub(crate) fn list(&self) -> Result<Listing, EngineError> {
        let mut listing = Listing::default();
        for entry in fs::read_dir(&self.dir).map_err(io_error("list", &self.dir))? {
            let path = entry.map_err(io_error("list", &self.dir))?.path();
            let (Some(stem), Some(extension)) = (path.file_stem(), path.extension()) else {
                continue;
            };
            // What bears no name of ours was put there by somebody else: let it be.
            let number = stem.to_str().filter(|stem| stem.len() == 20);
            let number = number
                .and_then(|number| number.parse().ok())
                .filter(|number| (1..=LAST).contains(number));
            match (extension.to_str(), number) {
                (Some("journal"), Some(number)) => listing.journals.push(number),
                (Some("snap"), Some(number)) => listing.snapshots.push(number),
                (Some("ingest"), Some(number)) => listing.ingests.push(number),
                (Some("tmp"), _) => listing.unfinished.push(path),
                _ => {}
            }
        }
        listing.journals.sort_unstable();
        listing.snapshots.sort_unstable();
        listing.ingests.sort_unstable();
        Ok(listing)
    }

    /// Bytes of all files, and of the journals among them.
    pub(crate) fn sizes(&self) -> Result<(u64, u64), EngineError> {
        let (mut all, mut journals) = (0, 0);
        for entry in fs::read_dir(&self.dir).map_err(io_error("list", &self.dir))? {
            let entry = entry.map_err(io_error("list", &self.dir))?;
            // A compaction may have deleted it since it was listed.
            let Ok(metadata) = entry.metadata() else { continue };
            all += metadata.len();
            if entry
                .path()
                .extension()
                .is_some_and(|extension| extension == "journal")
            {
                journals += metadata.len();
            }
        }
        Ok((all, journals))
    }

    /// A new journal without records, whole and synced but under its temporary name.
    pub(crate) fn prepare_journal(
        &self,
        number: u64,
        previous: u64,
    ) -> Result<Arc<dyn AppendFile>, EngineError> {
        let path = temporary(&self.path(FileKind::Journal, number));
        let prepare = || {
            // One that an earlier attempt could not delete.
            self.delete_path(&path)?;
            let mut file = OpenOptions::new().append(true).create_new(true).open(&path)?;
            self.step(Step::Begun, &path)?;
            let header = FileHeader {
                kind: FileKind::Journal,
                number,
                previous,
            };
            file.write_all(&header.encode())?;
            file.sync_all()?;
            self.sync_dir()?;
            self.step(Step::Whole, &path)?;
            Ok(file)
        };
        let file = prepare().map_err(io_error("create", &path))?;
        Ok(self.wrap(file))
    }

    /// Gives a prepared journal its name, durably.
    pub(crate) fn put_journal_in_place(&self, number: u64) -> io::Result<()> {
        let path = self.path(FileKind::Journal, number);
        fs::rename(temporary(&path), &path)?;
        self.step(Step::Named, &path)?;
        self.sync_dir()
    }

    pub(crate) fn open_journal(&self, number: u64) -> Result<Arc<dyn AppendFile>, EngineError> {
        let path = self.path(FileKind::Journal, number);
        let mut options = OpenOptions::new();
        let file = options
            .append(true)
            .open(&path)
            .map_err(io_error("open", &path))?;
        Ok(self.wrap(file))
    }

    fn wrap(&self, file: File) -> Arc<dyn AppendFile> {
        match &self.hooks.wrap {
            Some(wrap) => wrap(file),
            None => Arc::new(file),
        }
    }

    fn sync_dir(&self) -> io::Result<()> {
        File::open(&self.dir)?.sync_all()
    }

    /// Begins a file under its temporary name.
    pub(crate) fn begin(&self, kind: FileKind, number: u64) -> Result<File, EngineError> {
        let path = temporary(&self.path(kind, number));
        let file = File::create(&path).map_err(io_error("create", &path))?;
        self.step(Step::Begun, &path).map_err(io_error("create", &path))?;
        Ok(file)
    }

    /// Syncs a file that was begun and gives it its name, durably.
    pub(crate) fn put_in_place(&self, file: &File, kind: FileKind, number: u64) -> Result<(), EngineError> {
        let path = self.path(kind, number);
        let put = || {
            file.sync_all()?;
            self.step(Step::Whole, &path)?;
            fs::rename(temporary(&path), &path)?;
            self.step(Step::Named, &path)?;
            self.sync_dir()
        };
        put().map_err(io_error("write", &path))
    }

    /// Deletes a file, under its name and its temporary one. One that is not there is no error.
    pub(crate) fn delete(&self, kind: FileKind, number: u64) -> io::Result<()> {
        let path = self.path(kind, number);
        self.delete_path(&temporary(&path))?;
        self.delete_path(&path)
    }

    pub(crate) fn delete_path(&self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Ok(()) => self.step(Step::Deleted, path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn step(&self, step: Step, path: &Path) -> io::Result<()> {
        self.hooks.step.as_ref().map_or(Ok(()), |hook| hook(step, path))
    }
}

fn extension(kind: FileKind) -> &'static str {
    match kind {
        FileKind::Journal => "journal",
        FileKind::Snapshot => "snap",
        FileKind::Ingest => "ingest",
    }
}

/// The name of a file until it is whole.
pub(crate) fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    name.into()
}
