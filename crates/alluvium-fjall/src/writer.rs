//! The one who writes: commits, spaces, and when memory and journals are written out.
//!
//! Everything that changes the database goes through one [`Writer`] behind one lock. That is no loss, since fjall
//! has one journal with one lock, and it is what makes views whole (see [`crate::snapshot`]) and commits countable
//! (see [`crate::journal`]).
//!
//! The writer turns memtables over itself rather than leaving it to fjall, for three reasons: fjall's request for it
//! waits behind compactions while the memtable grows; fjall makes writers wait in steps of 100 ms, for ever if its
//! worker has died; and a space that idles would hold on to every journal since its last write.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use alluvium_core::{BoxError, Durability};
use alluvium_engine::{EngineError, Space, StateDir, Write};
use fjall::{AbstractTree as _, Database, Keyspace, OwnedWriteBatch, PersistMode};

use crate::catalog::{Catalog, SpaceRecord};
use crate::damage::Position;
use crate::error::{Failure, guarded};
use crate::journal::{self, COMMIT_KEY, CommitRecord};
use crate::options::FjallOptions;
use crate::snapshot::{Spaces, View};

/// Memtables over all spaces may take this many times what one may.
const MEMTABLES: u64 = 4;
/// Of a space's memtables, how many may wait to be written out. fjall waits at 4.
const SEALED_MEMTABLES: usize = 2;
/// Runs of overlapping tables in a space beyond which writers wait for the compaction. fjall waits at 30.
const OVERLAPPING_RUNS: usize = 16;
/// Commit records in memory beyond which they are written out.
const COMMIT_RECORDS_BYTES: u64 = 4 << 20;
/// Bytes committed between two looks at the journals.
const LOOK_EVERY: u64 = 1 << 20;
/// Bytes committed between two checkpoints, at least: what the first one set off takes its time.
const CHECKPOINT_EVERY: u64 = 16 << 20;
/// By how much journals may outgrow their bound before writers wait: the one that is begun while another one is
/// written out, and what comes in meanwhile.
const JOURNALS_SLACK: u64 = 128 << 20;
/// What fjall keeps per pair besides its bytes, in its own counting.
const PAIR_OVERHEAD: usize = 80;

/// See the [module](self).
pub(crate) struct Writer {
    pub(crate) db: Database,
    /// The keyspace of the commit records. Never in [`Spaces`].
    pub(crate) commits: Keyspace,
    pub(crate) spaces: Spaces,
    pub(crate) catalog: Catalog,
    /// Names of spaces that are being ingested, in fjall but not in the catalog.
    pub(crate) ingesting: HashSet<String>,
    options: FjallOptions,
    data: PathBuf,
    /// The last commit.
    last: Position,
    /// The number of the last commit known to be on disk.
    synced: u64,
    /// What the last commit record says about that.
    recorded: u64,
    /// An earlier write failed, and what is on disk is open.
    failed: bool,
    since_look: u64,
    since_checkpoint: u64,
    /// The journals had outgrown their bound by far at the last look.
    journals_full: bool,
    /// Held for as long as anything here may write.
    pub(crate) state_dir: StateDir,
}

/// What a [`Writer`] is made from.
pub(crate) struct Parts {
    pub(crate) db: Database,
    pub(crate) commits: Keyspace,
    pub(crate) catalog: Catalog,
    pub(crate) options: FjallOptions,
    pub(crate) last: Position,
    pub(crate) state_dir: StateDir,
}

impl Writer {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts {
            db,
            commits,
            catalog,
            options,
            last,
            state_dir,
        } = parts;
        Self {
            db,
            commits,
            spaces: Spaces::default(),
            catalog,
            ingesting: HashSet::new(),
            options,
            data: state_dir.data(),
            last,
            // fjall syncs the journal when it opens it.
            synced: last.number,
            recorded: last.number,
            failed: false,
            since_look: 0,
            since_checkpoint: CHECKPOINT_EVERY,
            journals_full: false,
            state_dir,
        }
    }

    /// The state as it is. Only between two commits, so that it is whole.
    pub(crate) fn view(&self) -> View {
        View {
            spaces: self.spaces.clone(),
            snapshot: self.db.snapshot(),
        }
    }

    /// Commits writes that were checked.
    pub(crate) fn commit(&mut self, writes: Vec<Write>) -> Result<(), EngineError> {
        for write in &writes {
            self.spaces.keyspace(write.space)?;
        }
        self.make_room()?;
        let mut batch = self.batch(writes.len());
        let mut bytes = 0;
        let keyspaces = Arc::clone(&self.spaces.keyspaces);
        for Write { space, key, value } in writes {
            let Some(Some(keyspace)) = keyspaces.get(space.index()) else {
                return Err(EngineError::NoSpace);
            };
            bytes += key.len() + value.as_ref().map_or(0, bytes::Bytes::len) + PAIR_OVERHEAD;
            match value {
                Some(value) => batch.insert(keyspace, key, value),
                None => batch.remove(keyspace, key),
            }
        }
        let sync = self.options.durability == Durability::Fsync;
        self.write(batch, sync)?;
        let bytes = bytes as u64;
        self.since_look += bytes;
        self.since_checkpoint += bytes;
        self.tidy();
        Ok(())
    }

    /// Commits nothing but a commit record: what came before it is in the journals' order then, and what fjall took
    /// sequence numbers for is not forgotten when it opens again.
    pub(crate) fn mark(&mut self, sync: bool) -> Result<(), EngineError> {
        let batch = self.batch(0);
        self.write(batch, sync || self.options.durability == Durability::Fsync)
    }

    /// Commits nothing until fjall counts on from where it was. It does not look into its own keyspace for that, so a
    /// kill after it made or deleted a keyspace, and before a commit, would have it give the same numbers again: what
    /// it writes then about a keyspace would hide behind what it had written before.
    pub(crate) fn catch_up(&mut self) -> Result<(), EngineError> {
        while self.db.seqno() <= self.last.taken {
            self.mark(false)?;
        }
        Ok(())
    }

    fn batch(&self, writes: usize) -> OwnedWriteBatch {
        let mut batch = OwnedWriteBatch::with_capacity(self.db.clone(), writes + 1);
        let record = CommitRecord {
            number: self.last.number + 1,
            synced: self.synced,
            previous: self.last.seqno,
        };
        batch.insert(&self.commits, COMMIT_KEY, &record.encode()[..]);
        batch
    }

    fn write(&mut self, batch: OwnedWriteBatch, sync: bool) -> Result<(), EngineError> {
        if self.failed {
            return Err(self.poisoned(None));
        }
        let mode = if sync {
            PersistMode::SyncData
        } else {
            PersistMode::Buffer
        };
        if let Err(failure) = guarded(|| batch.durability(Some(mode)).commit()) {
            self.failed = true;
            return Err(match failure {
                Failure::Fjall(fjall::Error::Poisoned) => self.poisoned(None),
                other => self.poisoned(Some(other.into())),
            });
        }
        self.recorded = self.synced;
        self.last.number += 1;
        self.last.seqno = self.commits.tree.get_highest_seqno().unwrap_or_default();
        if sync {
            self.synced = self.last.number;
        }
        Ok(())
    }

    fn poisoned(&self, source: Option<BoxError>) -> EngineError {
        EngineError::Poisoned {
            path: self.data.clone(),
            source,
        }
    }

    /// Makes every commit so far survive power loss.
    pub(crate) fn sync(&mut self) -> Result<(), EngineError> {
        if self.failed {
            return Err(self.poisoned(None));
        }
        if self.synced == self.last.number {
            return Ok(());
        }
        if let Err(failure) = guarded(|| self.db.persist(PersistMode::SyncData)) {
            self.failed = true;
            return Err(self.poisoned(Some(failure.into())));
        }
        self.synced = self.last.number;
        Ok(())
    }

    /// Makes every commit survive power loss, and leaves a commit record that says so.
    pub(crate) fn finish(&mut self) -> Result<(), EngineError> {
        self.sync()?;
        // The record itself is one more.
        if self.last.number > self.recorded + 1 {
            self.mark(true)
        } else {
            Ok(())
        }
    }

    /// Waits for the workers while they are too far behind, so that memory stays bounded.
    fn make_room(&mut self) -> Result<(), EngineError> {
        let allowed = self.options.memtable_bytes * MEMTABLES;
        let live = || self.spaces.keyspaces.iter().flatten();
        let behind = || {
            let sealed = || live().any(|keyspace| keyspace.tree.sealed_memtable_count() > 0);
            live().any(|keyspace| {
                keyspace.tree.sealed_memtable_count() > SEALED_MEMTABLES
                    || keyspace.tree.l0_run_count() > OVERLAPPING_RUNS
            }) || (self.db.write_buffer_size() > allowed && sealed())
        };
        let journals = || {
            self.journals_full
                && live()
                    .chain([&self.commits])
                    .any(|keyspace| keyspace.tree.sealed_memtable_count() > 0)
                && self.journal_bytes() > self.options.journal_bytes + JOURNALS_SLACK
        };
        while behind() || journals() {
            // A worker that died leaves its work undone for ever.
            if guarded(|| self.db.persist(PersistMode::Buffer)).is_err() {
                self.failed = true;
                return Err(self.poisoned(None));
            }
            thread::sleep(Duration::from_millis(1));
        }
        self.journals_full = false;
        Ok(())
    }

    /// After a commit: turns over what has grown too large. What fails here has not failed the commit, and the next
    /// one will find fjall poisoned if it is serious.
    fn tidy(&mut self) {
        let largest = self.options.memtable_bytes;
        let mut active: Vec<_> = self
            .spaces
            .keyspaces
            .iter()
            .flatten()
            .map(|k| (memtable_size(k), k))
            .collect();
        if self.db.write_buffer_size() > largest * (MEMTABLES - 1) {
            // Many small ones: the largest goes first.
            active.sort_by_key(|(size, _)| *size);
            if let Some((size, keyspace)) = active.pop().filter(|(size, _)| *size > largest / 4) {
                tracing::trace!(size, "the memtables together have grown too large");
                rotate(keyspace);
            }
        }
        for (_, keyspace) in active.iter().filter(|(size, _)| *size > largest) {
            rotate(keyspace);
        }
        if self.since_look >= LOOK_EVERY {
            self.since_look = 0;
            let journals = self.journal_bytes();
            let due =
                journals > self.options.journal_bytes || memtable_size(&self.commits) > COMMIT_RECORDS_BYTES;
            if due && self.since_checkpoint >= CHECKPOINT_EVERY {
                self.since_checkpoint = 0;
                self.checkpoint();
            }
            self.journals_full = journals > self.options.journal_bytes + JOURNALS_SLACK;
            self.note_newest_journal();
        }
    }

    fn journal_bytes(&self) -> u64 {
        guarded(|| self.db.journal_disk_space()).unwrap_or_default()
    }

    /// Turns over the memtables of all spaces and then that of the commit records, so that all journals so far can
    /// go. The records go last: what their tables hold, all tables hold.
    fn checkpoint(&self) {
        tracing::debug!("writing out all spaces, so that journals can go");
        self.spaces
            .keyspaces
            .iter()
            .flatten()
            .filter(|keyspace| memtable_size(keyspace) > 0)
            .for_each(rotate);
        rotate(&self.commits);
    }

    /// Tells the catalog which journal is the newest, so that its absence will be noticed.
    fn note_newest_journal(&mut self) {
        let newest = journal::list(&self.data)
            .ok()
            .and_then(|journals| journals.last().map(|(number, _)| *number));
        if let Some(newest) = newest.filter(|newest| *newest > self.catalog.journal) {
            self.catalog.journal = newest;
            if let Err(error) = self.store_catalog() {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "cannot record the newest journal"
                );
            }
        }
    }

    pub(crate) fn store_catalog(&self) -> Result<(), EngineError> {
        self.catalog.store(self.state_dir.path())
    }

    /// Makes a keyspace that the catalog does not know yet.
    pub(crate) fn make_keyspace(&self, name: &str) -> Result<(Keyspace, SpaceRecord), EngineError> {
        let options = self.options.space();
        let keyspace = guarded(|| self.db.keyspace(name, || options.keyspace()))
            .map_err(|failure| failure.into_engine_error("make a space in", &self.data, &self.data))?;
        let record = SpaceRecord {
            keyspace: keyspace.id(),
            options,
        };
        Ok((keyspace, record))
    }

    /// Makes a space known: to the catalog, then to everybody.
    pub(crate) fn add_space(
        &mut self,
        name: &str,
        keyspace: Keyspace,
        record: SpaceRecord,
    ) -> Result<Space, EngineError> {
        self.catalog.spaces.insert(name.into(), record);
        if let Err(error) = self.store_catalog() {
            self.catalog.spaces.remove(name);
            self.discard(keyspace);
            return Err(error);
        }
        self.insert_space(name, keyspace)
    }

    /// Gives a keyspace its number.
    pub(crate) fn insert_space(&mut self, name: &str, keyspace: Keyspace) -> Result<Space, EngineError> {
        let keyspaces = Arc::make_mut(&mut self.spaces.keyspaces);
        let number = u32::try_from(keyspaces.len())
            .map_err(|_| EngineError::Invalid("more spaces were made than can be counted: reopen".into()))?;
        keyspaces.push(Some(keyspace));
        Arc::make_mut(&mut self.spaces.numbers).insert(name.into(), number);
        Ok(Space::new(number))
    }

    /// Drops a space if there is one of the name.
    pub(crate) fn drop_space(&mut self, name: &str) -> Result<(), EngineError> {
        let Some(record) = self.catalog.spaces.remove(name) else {
            return Ok(());
        };
        if let Err(error) = self.store_catalog() {
            self.catalog.spaces.insert(name.into(), record);
            return Err(error);
        }
        let numbers: &mut HashMap<_, _> = Arc::make_mut(&mut self.spaces.numbers);
        let keyspace = numbers.remove(name).and_then(|number| {
            Arc::make_mut(&mut self.spaces.keyspaces)
                .get_mut(number as usize)?
                .take()
        });
        if let Some(keyspace) = keyspace {
            self.discard(keyspace);
        }
        self.mark(false)
    }

    /// Deletes a keyspace that is not in the catalog (any more). Its folder goes with its last handle. If that fails
    /// it goes at the next open.
    pub(crate) fn discard(&self, keyspace: Keyspace) {
        if let Err(failure) = guarded(|| self.db.delete_keyspace(keyspace)) {
            tracing::warn!(
                error = &failure as &dyn std::error::Error,
                "cannot delete a dropped space yet"
            );
        }
    }

    /// Lets go of the database; nothing writes any more when this returns. What is left is the directory's lock.
    pub(crate) fn dismantle(self) -> StateDir {
        self.state_dir
    }

    pub(crate) fn options(&self) -> &FjallOptions {
        &self.options
    }

    pub(crate) fn data(&self) -> &Path {
        &self.data
    }
}

fn memtable_size(keyspace: &Keyspace) -> u64 {
    keyspace.tree.active_memtable().size()
}

fn rotate(keyspace: &Keyspace) {
    if let Err(failure) = guarded(|| keyspace.rotate_memtable()) {
        tracing::warn!(
            error = &failure as &dyn std::error::Error,
            "cannot turn a memtable over"
        );
    }
}
