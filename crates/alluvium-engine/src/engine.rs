//! The contract between Alluvium and an embedded ordered key-value store.

use std::path::PathBuf;
use std::sync::Arc;

use alluvium_core::{BoxError, ChunkIter, ErrorKind, KeyRange};
use bytes::Bytes;

use crate::StateDirError;

/// A named, ordered key-value map within an engine, by handle. Valid for the engine that gave it, until the space
/// is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Space(u32);

impl Space {
    /// The space with this number. For engines: they count their spaces.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number, an index into whatever the engine keeps per space.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// One write within a [`WriteBatch`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Where to.
    pub space: Space,
    /// The key, not empty.
    pub key: Bytes,
    /// The new value; `None` removes the key.
    pub value: Option<Bytes>,
}

/// Writes that become visible and durable together. Of a key written more than once in a space, the last write
/// counts; engines may rely on [`WriteBatch::writes`] naming each key of a space once.
#[derive(Clone, Debug, Default)]
pub struct WriteBatch {
    writes: Vec<Write>,
}

impl WriteBatch {
    /// An empty batch with room for this many writes.
    pub fn with_capacity(writes: usize) -> Self {
        Self {
            writes: Vec::with_capacity(writes),
        }
    }

    /// Sets a key. The caller names each key of a space at most once.
    pub fn put(&mut self, space: Space, key: impl Into<Bytes>, value: impl Into<Bytes>) {
        self.writes.push(Write {
            space,
            key: key.into(),
            value: Some(value.into()),
        });
    }

    /// Removes a key; one that is not there is no error. The caller names each key of a space at most once.
    pub fn remove(&mut self, space: Space, key: impl Into<Bytes>) {
        self.writes.push(Write {
            space,
            key: key.into(),
            value: None,
        });
    }

    /// The writes in the order they were added.
    pub fn writes(&self) -> &[Write] {
        &self.writes
    }

    /// The writes, owned.
    pub fn into_writes(self) -> Vec<Write> {
        self.writes
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }
}

/// A key and its value.
pub type Pair = (Bytes, Bytes);

/// Pairs in key order. Owns what it reads from, so it may outlive its snapshot.
///
/// An engine hands the pairs over in [`Chunks`](alluvium_core::Chunks): few at first, for most scans are short, and
/// some dozens later.
pub type PairIter = ChunkIter<Pair, EngineError>;

/// Pairs to ingest, in strictly rising key order, or the error that ended their source.
pub type PairSource<'a> = dyn Iterator<Item = Result<Pair, BoxError>> + 'a;

/// What an engine takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineStats {
    /// Bytes on disk, journals included; 0 for an engine that lives in memory only.
    pub disk_bytes: u64,
    /// Of those, bytes in write-ahead journals that are not compacted yet.
    pub journal_bytes: u64,
}

/// An embedded ordered key-value store: what a storage crate implements. Everything that Alluvium promises about
/// tables and partials is built on these methods once, in this crate.
///
/// All methods are synchronous and may be called from any thread. Keys and values are bytes; keys are not empty and
/// sort bytewise.
///
/// Obligations:
///
/// 1. **Atomic.** A [`commit`](Engine::commit) is there as a whole or not at all, across all its spaces, after any
///    kill, and no reader that takes a snapshot sees a part of it.
/// 2. **Durable.** What a returned commit wrote survives a kill of the process; under
///    [`Durability::Fsync`](alluvium_core::Durability::Fsync) it survives power loss too. Commits survive in order:
///    never a later one without an earlier one.
/// 3. **Snapshots stand still**, across all spaces, and stay readable while commits go on and while spaces are
///    dropped.
/// 4. **Ordered.** Scans give keys in byte order, each once.
/// 5. **Ingestion is all or nothing.** A failed or killed [`ingest`](Engine::ingest) leaves no space, or one that
///    nobody was told of; memory stays bounded.
/// 6. **Dropped spaces are gone**, after a reopen too, and their disk space is freed in time.
/// 7. **Readers do not wait for writers.**
/// 8. **Damage is named.** A damaged file is [`EngineError::Corrupt`] naming it: never a panic, never silently
///    fewer commits than were made durable, except that a commit that never returned may be cut off the tail.
/// 9. **One owner.** A second open of the same directory is refused while the first lives.
pub trait Engine: Send + Sync + 'static {
    /// The engine's name, as it is recorded in state directories: `memory`, `fjall`.
    fn name(&self) -> &'static str;

    /// The space of this name, made if it does not exist yet. Idempotent. Names are 1 to 200 bytes of
    /// `A-Z a-z 0-9 . _ -`.
    ///
    /// # Errors
    ///
    /// [`EngineError::Invalid`] for any other name; storage errors.
    fn space(&self, name: &str) -> Result<Space, EngineError>;

    /// The names of all spaces, in no particular order.
    ///
    /// # Errors
    ///
    /// Storage errors.
    fn spaces(&self) -> Result<Vec<String>, EngineError>;

    /// Drops the space of this name and everything in it; nothing happens if there is none. Handles to it become
    /// [`EngineError::NoSpace`], snapshots taken before go on.
    ///
    /// # Errors
    ///
    /// Storage errors.
    fn drop_space(&self, name: &str) -> Result<(), EngineError>;

    /// Writes a batch atomically. Visible to every reader when it returns.
    ///
    /// # Errors
    ///
    /// [`EngineError::NoSpace`] for a handle that means nothing here: nothing is written. Storage errors: nothing of
    /// the batch is visible; after [`EngineError::Poisoned`] no further write is taken until the engine is reopened.
    fn commit(&self, batch: WriteBatch) -> Result<(), EngineError>;

    /// The value of a key, as of the last commit that had returned when the call began, or a later one.
    ///
    /// # Errors
    ///
    /// [`EngineError::NoSpace`]; storage errors.
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, EngineError>;

    /// A view across all spaces that stands still. Cheap.
    ///
    /// # Errors
    ///
    /// Storage errors.
    fn snapshot(&self) -> Result<Arc<dyn EngineSnapshot>, EngineError>;

    /// Fills a fresh space with sorted pairs, bypassing journals where the engine can. Durable when it returns.
    ///
    /// # Errors
    ///
    /// [`EngineError::Invalid`] if the space exists already or the keys do not strictly rise,
    /// [`EngineError::Pairs`] with the error of the source, storage errors. A space that was there is as it was then, and no
    /// new one is left.
    fn ingest(&self, name: &str, pairs: &mut PairSource<'_>) -> Result<Space, EngineError>;

    /// About how many pairs a space holds. Engines that cannot know exactly may count replaced pairs twice.
    ///
    /// # Errors
    ///
    /// [`EngineError::NoSpace`]; storage errors.
    fn approximate_len(&self, space: Space) -> Result<u64, EngineError>;

    /// Makes every commit that has returned survive power loss.
    ///
    /// # Errors
    ///
    /// Storage errors.
    fn sync(&self) -> Result<(), EngineError>;

    /// What the engine takes.
    ///
    /// # Errors
    ///
    /// Storage errors.
    fn stats(&self) -> Result<EngineStats, EngineError>;

    /// Syncs, stops what runs in the background and lets go of the directory, so that it can be opened again at once.
    /// May block for as long as a running compaction step takes, but never for ever: not for an async runtime.
    /// Everything but a repeated close is [`EngineError::Closed`] afterwards. Dropping the last handle does the same
    /// without saying how it went.
    ///
    /// # Errors
    ///
    /// Storage errors of the last sync; the directory is let go of all the same.
    fn close(&self) -> Result<(), EngineError>;
}

const _: fn(&dyn Engine) = |_| (); // object-safe

/// A view across all spaces of an engine that stands still.
pub trait EngineSnapshot: Send + Sync + 'static {
    /// The value of a key.
    ///
    /// # Errors
    ///
    /// [`EngineError::NoSpace`] if the space did not exist when the snapshot was taken; storage errors.
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, EngineError>;

    /// The pairs of a space in a range, in key order. Memory is bounded, whatever the range holds.
    ///
    /// # Errors
    ///
    /// As [`get`](EngineSnapshot::get), here or as the iterator's last item.
    fn scan(&self, space: Space, range: &KeyRange) -> Result<PairIter, EngineError>;
}

const _: fn(&dyn EngineSnapshot) = |_| (); // object-safe

/// What can go wrong in an engine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// A file is damaged.
    #[error("{} is damaged: move it away and let the state be rebuilt", path.display())]
    Corrupt {
        /// The damaged file, or the directory if it cannot be told which file.
        path: PathBuf,
        /// What was found.
        source: BoxError,
    },
    /// The operating system refused.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file or directory.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The state directory cannot be used: another process, another engine, another format, or not ours.
    #[error(transparent)]
    StateDir(#[from] StateDirError),
    /// An earlier write failed in a way that leaves open what is on disk. Reopen to find out.
    #[error("an earlier write to {} failed and no more are taken: free disk space or mend the disk, then restart", path.display())]
    Poisoned {
        /// The directory.
        path: PathBuf,
        /// The failure, where it is known.
        source: Option<BoxError>,
    },
    /// The engine was closed.
    #[error("the engine is closed")]
    Closed,
    /// No such space (any more).
    #[error("no such space")]
    NoSpace,
    /// The pairs given to an ingest failed.
    #[error("the pairs to ingest could not be read")]
    Pairs(#[source] BoxError),
    /// The call makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// Any other failure of the engine.
    #[error("the {engine} engine failed")]
    Other {
        /// The engine's name.
        engine: &'static str,
        /// Its own error.
        source: BoxError,
    },
}

impl EngineError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Corrupt { .. } => ErrorKind::Corrupt,
            Self::Io { source, .. } if source.kind() == std::io::ErrorKind::Interrupted => {
                ErrorKind::Transient
            }
            Self::StateDir(error) => error.kind(),
            Self::Io { .. } | Self::Poisoned { .. } | Self::Other { .. } => ErrorKind::Unavailable,
            Self::Closed | Self::NoSpace | Self::Invalid(_) | Self::Pairs(_) => ErrorKind::Invalid,
        }
    }
}

/// Checks a space's name; every engine calls it first.
///
/// # Errors
///
/// [`EngineError::Invalid`] saying what a name may be.
pub fn check_space_name(name: &str) -> Result<(), EngineError> {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if (1..=200).contains(&name.len()) && name.bytes().all(fine) {
        Ok(())
    } else {
        Err(EngineError::Invalid(format!(
            "{name:?} cannot name a space: use 1 to 200 characters of A-Z a-z 0-9 . _ -"
        )))
    }
}
