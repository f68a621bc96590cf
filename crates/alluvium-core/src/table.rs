//! Keyed state that a log left behind, with the cursor it is exact at.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{BoxError, Change, ChunkIter, Cursor, ErrorKind, KeyRange, Mode, Scope, Sequence, Timestamp};

/// What a table holds for a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The value. May be empty.
    pub value: Bytes,
    /// The message that put it there.
    pub sequence: Sequence,
    /// When the server stored that message.
    pub timestamp: Timestamp,
}

/// A key and what the table holds for it.
pub type Row = (Bytes, Entry);

/// Rows in key order. Owns what it reads from, so it may outlive its snapshot.
pub type RowIter = ChunkIter<Row, TableError>;

/// What a table is a table of. Fixed when the table is first used: a table never changes its subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// The name of the log, not its identity: a log that is recreated keeps its table.
    pub log: String,
    /// The keys that are held.
    pub scope: Scope,
    /// What is kept of what the log forgets. A binding that was stored before there were modes is that of a mirror.
    #[serde(default)]
    pub mode: Mode,
}

/// What a table holds and what it takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableStats {
    /// About how many rows there are. Engines that cannot know exactly may count replaced rows twice.
    pub rows: u64,
    /// Bytes on disk of the whole engine that the table lives in, 0 for one that lives in memory only.
    pub disk_bytes: u64,
    /// The engine's name: `memory`, `fjall`.
    pub engine: String,
    /// Since which sequence [`TableSnapshot::changes_since`] can answer, `None` while changes are not tracked.
    pub changes_floor: Option<Sequence>,
}

/// Keyed state materialised from a log, with the cursor it is exact at.
///
/// Every method is synchronous and may touch a disk: an async caller writes from a thread of its own. Reads
/// ([`cursor`](Table::cursor), [`get`](Table::get), [`snapshot`](Table::snapshot)) are short, never wait for a
/// writer, and may be made from anywhere. Writers exclude each other.
///
/// Obligations:
///
/// 1. **One commit.** Data and cursor move in one atomic commit, durable as the engine's
///    [`Durability`](crate::Durability) says when the call returns, visible to reads no later than that. After a
///    kill at any instant the table equals some prefix of the log, exactly at its cursor.
/// 2. **Idempotent.** Applying changes at or below the cursor again leaves the same state.
/// 3. **Snapshots stand still** and stay readable while [`apply`](Table::apply) and [`load`](Table::load) go on.
/// 4. **Loading is all or nothing**: a kill in the middle leaves the old content.
/// 5. **`changes_since` is whole or refuses**: every key changed after the sequence, deletes included, or
///    [`TableError::Trimmed`]; never a subset.
/// 6. **Damage is named**: a damaged file is [`TableError::Corrupt`] naming it, never a panic, never silently
///    empty.
/// 7. **A table keeps to its binding**: it is one log's, in one scope and one mode, for ever.
/// 8. **An eviction is never forgotten**: once told that its log can evict, a table says so after every reopen, repair and
///    load. From where on it has seen its log, it remembers as well, until it is told otherwise.
pub trait Table: Send + Sync + 'static {
    /// The table's name within its engine.
    fn name(&self) -> &str;

    /// What the table is bound to, `None` while nothing was ever written to it.
    fn binding(&self) -> Option<Binding>;

    /// Binds a new table to its log and scope; on a bound one, checks that it is the same.
    /// Durable with the next commit at the latest. Idempotent.
    ///
    /// # Errors
    ///
    /// [`TableError::Mismatch`] if the table is bound to something else.
    fn bind(&self, binding: &Binding) -> Result<(), TableError>;

    /// Whether the table was ever told that its log can evict the latest message of a key.
    fn has_evicted(&self) -> bool;

    /// Remembers, for ever, that the log can evict the latest message of a key: from now on, that a key is not listed does not
    /// tell that it was deleted. Durable as a commit is when it returns. Idempotent.
    ///
    /// # Errors
    ///
    /// Storage errors; it is not remembered then.
    fn remember_eviction(&self) -> Result<(), TableError>;

    /// From where on the table has seen all that its log held; `None` if that is from the beginning, for all that is known.
    /// What the log evicted before it, an archive does not have.
    fn since(&self) -> Option<Sequence>;

    /// Remembers from where on the table has seen all that its log held, in the place of what was remembered. Durable as a
    /// commit is when it returns. Idempotent.
    ///
    /// # Errors
    ///
    /// Storage errors; nothing else is remembered then.
    fn remember_since(&self, since: Option<Sequence>) -> Result<(), TableError>;

    /// The cursor the table is exact at. `None` before the first [`apply`](Table::apply), and from
    /// [`amend`](Table::amend) until the next one.
    fn cursor(&self) -> Option<Cursor>;

    /// Applies changes, rising in sequence, and moves the cursor, in one atomic commit.
    ///
    /// Changes at or below the table's cursor are left out, so a repeated call does nothing. Of a key that occurs
    /// more than once the last change counts. `changes` may be empty: then only the cursor moves. Headers are not kept.
    ///
    /// # Errors
    ///
    /// [`TableError::Invalid`] if the cursor is of another log than the table's, or lies before the last change;
    /// storage errors otherwise. After an error nothing is applied and the same call may be repeated, unless the
    /// kind is [`ErrorKind::Corrupt`].
    fn apply(&self, changes: &[Change], cursor: &Cursor) -> Result<(), TableError>;

    /// Applies changes whatever their sequence and takes the cursor away, in one atomic commit: one step of a
    /// repair that is on its way from one prefix of a log to another. The next [`apply`](Table::apply) ends it.
    ///
    /// # Errors
    ///
    /// Storage errors; nothing is applied then.
    fn amend(&self, changes: &[Change]) -> Result<(), TableError>;

    /// Deletes the rows of these keys, which the log no longer holds, in one atomic commit. The cursor stays: what the log
    /// forgot moved no position. For [`changes_since`](TableSnapshot::changes_since) it is a change at the cursor,
    /// [`DeleteReason::Vanished`](crate::DeleteReason::Vanished). A key without a row is no error.
    ///
    /// # Errors
    ///
    /// [`TableError::Invalid`] for a table without a cursor; storage errors. Nothing is deleted then.
    fn forget(&self, keys: &[Bytes]) -> Result<(), TableError>;

    /// What the table holds for a key, as of some commit that had returned when the call began, or a later one.
    ///
    /// # Errors
    ///
    /// Storage errors.
    fn get(&self, key: &[u8]) -> Result<Option<Entry>, TableError>;

    /// A view that stands still. Cheap; holds back the engine's clean-up while it lives, so let it go.
    ///
    /// # Errors
    ///
    /// Storage errors.
    fn snapshot(&self) -> Result<Arc<dyn TableSnapshot>, TableError>;

    /// Replaces the whole content by rows in strictly rising key order, exact at `cursor`. Readers see the old
    /// content until it returns and the new one after. Memory is bounded, whatever the number of rows.
    ///
    /// # Errors
    ///
    /// [`TableError::Invalid`] for rows out of order, [`TableError::Rows`] with whatever error the rows brought,
    /// storage errors; the old content stays.
    fn load(
        &self,
        rows: &mut dyn Iterator<Item = Result<Row, BoxError>>,
        cursor: &Cursor,
    ) -> Result<(), TableError>;

    /// Starts or stops the change index behind [`TableSnapshot::changes_since`]. Off in a new table. Switched on,
    /// it reaches back to the cursor at that moment; switched off, it is dropped. Durable with the next commit.
    /// Idempotent.
    ///
    /// # Errors
    ///
    /// Storage errors.
    fn track_changes(&self, on: bool) -> Result<(), TableError>;

    /// Makes everything applied so far survive power loss.
    ///
    /// # Errors
    ///
    /// Storage errors: the table must then be taken for not persisted since the last success.
    fn sync(&self) -> Result<(), TableError>;

    /// What the table holds and takes.
    ///
    /// # Errors
    ///
    /// Storage errors.
    fn stats(&self) -> Result<TableStats, TableError>;
}

const _: fn(&dyn Table) = |_| (); // object-safe

/// A view of a table that stands still.
pub trait TableSnapshot: Send + Sync + 'static {
    /// The cursor that the view is exact at.
    fn cursor(&self) -> Option<Cursor>;

    /// What the view holds for a key.
    ///
    /// # Errors
    ///
    /// Storage errors.
    fn get(&self, key: &[u8]) -> Result<Option<Entry>, TableError>;

    /// The rows in a range, in key order.
    ///
    /// # Errors
    ///
    /// Storage errors, here or as the iterator's last item.
    fn scan(&self, range: &KeyRange) -> Result<RowIter, TableError>;

    /// Every key that changed after `since`, with what it is now, rising in the sequence of its last change.
    ///
    /// # Errors
    ///
    /// [`TableError::Trimmed`] if the change index does not reach back to `since`; storage errors.
    fn changes_since(&self, since: Sequence) -> Result<ChangesSince, TableError>;
}

const _: fn(&dyn TableSnapshot) = |_| (); // object-safe

/// The last change of each key, rising in sequence.
pub type ChangesSince = Box<dyn Iterator<Item = Result<Change, TableError>> + Send>;

/// What can go wrong with a table.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// Something stored is damaged.
    #[error("{} is damaged: move it away and let the state be rebuilt", path.display())]
    Corrupt {
        /// The damaged file, or the directory if it cannot be told which file.
        path: PathBuf,
        /// What was found.
        source: BoxError,
    },
    /// The table belongs to another log or scope, or is in another mode.
    #[error(
        "the state holds {} (scope {}, {}), not {} (scope {}, {}): use another state directory, or mend the name, scope or mode",
        stored.log, stored.scope, stored.mode, expected.log, expected.scope, expected.mode
    )]
    Mismatch {
        /// What the table is bound to.
        stored: Box<Binding>,
        /// What it was asked to be.
        expected: Box<Binding>,
    },
    /// The change index does not reach back that far: take the whole table instead.
    #[error("changes are known only since {floor}, not since {since}: take the whole table")]
    Trimmed {
        /// The sequence asked for.
        since: Sequence,
        /// The earliest sequence that can be answered for.
        floor: Sequence,
    },
    /// The change index is off.
    #[error("changes are not tracked: switch the change index on, or take the whole table")]
    NotTracked,
    /// The call makes no sense on this table.
    #[error("{0}")]
    Invalid(String),
    /// The rows given to a load failed.
    #[error("the rows to load could not be read")]
    Rows(#[source] BoxError),
    /// The storage failed.
    #[error("the storage of the table failed")]
    Storage {
        /// What the caller should do.
        kind: ErrorKind,
        /// The engine's error.
        source: BoxError,
    },
}

impl TableError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Corrupt { .. } => ErrorKind::Corrupt,
            Self::Mismatch { .. } | Self::Invalid(_) | Self::Rows(_) | Self::NotTracked => ErrorKind::Invalid,
            Self::Trimmed { .. } => ErrorKind::NotFound,
            Self::Storage { kind, .. } => *kind,
        }
    }
}
