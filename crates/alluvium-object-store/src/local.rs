//! An object store over a directory, so that `file://` lacks nothing that S3 has.
//!
//! [`object_store`]'s own [`LocalFileSystem`] reads and lists. What it lacks is done here, in every write:
//!
//! - **Conditional puts.** [`PutMode::Create`] and [`PutMode::Update`] hold between processes. Whoever changes a name
//!   holds the directory's lock while it does so; a lock is held for a few system calls, never while data is written.
//!   Create-only rests on `link(2)` besides, which fails where the name exists, lock or no lock.
//! - **Durability.** A put returns once the file, its directory entry, and every directory that was made for it are
//!   synced; a delete or rename once the directories are.
//! - **Whole or not at all.** Content is written under another name, which neither LIST nor GET can see, and gets its
//!   own name by one atomic step. What a killed process leaves of that is removed when the directory is next opened;
//!   what a living one is writing is locked, and stays.
//! - **Versions.** The etag is the modification time, in which every content gets a microsecond of its own: see
//!   `directory.rs`. It is never that of an earlier content, as inode, time and size together can be.
//!
//! ```text
//! <dir>/<key>                        an object
//! <dir>/.alluvium-lock#0             the lock, and in it the number of contents that were begun
//! <dir>/.alluvium-staged#<number>    content that is being written, locked by its writer
//! ```
//!
//! Names that end in `#` and digits are reserved by [`LocalFileSystem`], which hides them in lists and refuses them as
//! keys; so no key can reach the files above.
//!
//! What it asks of the file system: `link(2)`, `flock(2)`, modification times of microseconds (checked when it is
//! opened), and that everything below the directory is one file system. ext4, XFS, Btrfs, ZFS, APFS, tmpfs and NFS 4
//! have them. All processes must open the same directory, not one of its parents. Symbolic links are followed: whoever
//! may put links into the directory decides where it leads.

use std::fmt;
use std::fs;
use std::ops::Range;
use std::path::Path as FsPath;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyMode, CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions,
    RenameTargetMode, Result,
};
use tokio::runtime::Handle;

mod directory;
mod error;
mod staged;
mod upload;

use directory::{Condition, Directory, etag};
use error::{Failure, NAME};
use upload::Upload;

/// How many deletions of one stream run at a time: they wait for the disk, which syncs several at the price of one.
const DELETIONS: usize = 16;

/// An object store over a directory: durable, and safe between processes, with every condition a put can have.
///
/// A key is the path of a file below the directory; a key that is a directory to others (`a` beside `a/b`) is refused.
/// Directories come and go with what is in them. Cloning gives another handle on the same directory.
///
/// Files that others put into the directory are objects too. Others must not change files in place.
#[derive(Clone, Debug)]
pub struct LocalStore {
    directory: Arc<Directory>,
    reads: LocalFileSystem,
}

impl LocalStore {
    /// Opens a directory, made if it is not there, and removes what killed writers left of objects they did not finish.
    /// Reads and writes the disk: call it where that may wait.
    ///
    /// # Errors
    ///
    /// [`Error::PermissionDenied`], [`Error::NotSupported`] if the file system keeps no exact times, and
    /// [`Error::Generic`] for what else the operating system refuses.
    pub fn open(path: impl AsRef<FsPath>) -> Result<Self> {
        let directory = Directory::open(path.as_ref())?;
        let reads = LocalFileSystem::new_with_prefix(directory.root())?;
        Ok(Self {
            directory: Arc::new(directory),
            reads,
        })
    }

    /// The directory.
    pub fn path(&self) -> &FsPath {
        self.directory.root()
    }

    /// Runs work on a file of this key where it may wait for locks and disks.
    async fn at<T: Send + 'static>(
        &self,
        location: &Path,
        work: impl FnOnce(&Arc<Directory>, &FsPath) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T> {
        let directory = Arc::clone(&self.directory);
        let path = self.reads.path_to_filesystem(location)?;
        let location = location.clone();
        blocking(move || work(&directory, &path).map_err(|failure| failure.at(&location))).await
    }

    fn refuse(&self, what: &str) -> Error {
        Error::NotImplemented {
            operation: what.to_owned(),
            implementer: self.to_string(),
        }
    }
}

impl fmt::Display for LocalStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{NAME}({})", self.path().display())
    }
}

// A method that is not forwarded would get a default that may read what is not whole, or write past the lock.
#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl ObjectStore for LocalStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        if !options.attributes.is_empty() {
            return Err(self.refuse("a put with attributes"));
        }
        let condition = match options.mode {
            PutMode::Overwrite => Condition::None,
            PutMode::Create => Condition::Absent,
            PutMode::Update(version) => Condition::Version(version.e_tag.ok_or_else(|| Error::Generic {
                store: NAME,
                source: "an update needs the etag of what it replaces".into(),
            })?),
        };
        self.at(location, move |directory, path| {
            // What will be refused need not be written first.
            Directory::check(path, &condition)?;
            let staged = directory.stage()?;
            for chunk in &payload {
                staged.append(chunk)?;
            }
            directory.publish(&staged, path, &condition)
        })
        .await
        .map(put_result)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        if !options.attributes.is_empty() {
            return Err(self.refuse("a multipart put with attributes"));
        }
        let key = location.clone();
        self.at(location, move |directory, path| {
            Ok(Box::new(Upload::begin(Arc::clone(directory), key, path)?) as _)
        })
        .await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        // The conditions speak of versions that only this store knows.
        let mut unconditional = options.clone();
        unconditional.if_match = None;
        unconditional.if_none_match = None;
        unconditional.if_modified_since = None;
        unconditional.if_unmodified_since = None;
        let mut result = self.reads.get_opts(location, unconditional).await?;
        result.meta = versioned(result.meta);
        options.check_preconditions(&result.meta)?;
        Ok(result)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.reads.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        locations
            .map(move |location| {
                let store = store.clone();
                async move {
                    let location = location?;
                    store
                        .at(&location, |directory, path| directory.delete(path))
                        .await?;
                    Ok(location)
                }
            })
            .buffered(DELETIONS)
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.reads.list(prefix).map_ok(versioned).boxed()
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.reads
            .list_with_offset(prefix, offset)
            .map_ok(versioned)
            .boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let mut found = self.reads.list_with_delimiter(prefix).await?;
        found.objects = found.objects.into_iter().map(versioned).collect();
        // A process that was killed between making a directory and putting a file into it leaves one that is empty.
        let reads = self.reads.clone();
        blocking(move || {
            found.common_prefixes.retain(|prefix| {
                // Asked for a name in it: that of a directory may be one that files cannot have.
                let inside = reads.path_to_filesystem(&prefix.clone().join("object"));
                inside.is_ok_and(|path| path.parent().is_none_or(holds_file))
            });
            Ok(found)
        })
        .await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let source = self.reads.path_to_filesystem(from)?;
        let create_only = matches!(options.mode, CopyMode::Create);
        let missing = from.clone();
        self.at(to, move |directory, target| {
            directory
                .copy(&source, target, create_only)
                .map_err(|failure| failure.missing(&missing))
        })
        .await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let source = self.reads.path_to_filesystem(from)?;
        let create_only = matches!(options.target_mode, RenameTargetMode::Create);
        let missing = from.clone();
        self.at(to, move |directory, target| {
            directory
                .rename(&source, target, create_only)
                .map_err(|failure| failure.missing(&missing))
        })
        .await
    }
}

/// Runs work that may wait on a thread that may, where there is a runtime to have such threads.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match Handle::try_current() {
        Ok(runtime) => runtime.spawn_blocking(work).await?,
        Err(_) => work(),
    }
}

fn put_result(e_tag: String) -> PutResult {
    PutResult {
        e_tag: Some(e_tag),
        version: None,
        extensions: object_store::Extensions::default(),
    }
}

/// The same, with this store's etag.
fn versioned(mut meta: ObjectMeta) -> ObjectMeta {
    meta.e_tag = Some(etag(meta.last_modified.into(), meta.size));
    meta
}

/// Whether there is a file anywhere below. What cannot be read is taken to hold one: LIST will say why not.
fn holds_file(dir: &FsPath) -> bool {
    let Ok(entries) = fs::read_dir(dir) else {
        return true;
    };
    for entry in entries {
        let Ok(entry) = entry else { return true };
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => {
                if holds_file(&entry.path()) {
                    return true;
                }
            }
            _ => return true,
        }
    }
    false
}

#[cfg(test)]
mod tests;
