//! Journals, read before fjall reads them.
//!
//! fjall takes the first thing in a journal that it cannot read for the end of it and cuts the file off there. That
//! is right for a commit that was being written when the process died, and loses commits where a byte was damaged.
//! Here every journal is read first and nothing is cut that may have been durable.
//!
//! A journal is a run of batches and then zeros, since fjall allocates the file ahead (its `journal/entry.rs`; all
//! integers little-endian):
//!
//! ```text
//! start   01  items u32  seqno u64
//! item    02  type u8  compression u8  keyspace u64  key length u16  value length u32  stored length u32  key  value
//! clear   04  keyspace u64
//! end     03  XXH3 of the items u64  "FJL" 03
//! ```
//!
//! fjall's checksum covers the items, and nothing chains one batch to the next. So the first item of every batch is
//! a [`CommitRecord`]: it counts commits, which shows that none is missing between two batches, across files too.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use alluvium_engine::EngineError;
use xxhash_rust::xxh3::Xxh3Default;

use crate::error::io_error;

/// The key of the commit record in its keyspace.
pub(crate) const COMMIT_KEY: &[u8] = b"c";
const END: [u8; 4] = *b"FJL\x03";
/// What storage writes at once. A run of zeros this long, where a batch should be, is data that never got there.
const SECTOR: u64 = 512;
/// fjall counts to here.
const MAX_SEQNO: u64 = 1 << 63;

/// What every commit writes besides what it was asked to, in a keyspace of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CommitRecord {
    /// The number of the commit, from 1, without gaps.
    pub(crate) number: u64,
    /// The number of the newest commit known to have been on disk when this one was written.
    pub(crate) synced: u64,
    /// fjall's sequence number of the commit before, 0 for the first.
    pub(crate) previous: u64,
}

impl CommitRecord {
    const LEN: usize = 24;

    pub(crate) fn encode(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        for (part, value) in bytes
            .chunks_exact_mut(8)
            .zip([self.number, self.synced, self.previous])
        {
            part.copy_from_slice(&value.to_be_bytes());
        }
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut parts = bytes
            .chunks_exact(8)
            .map(|part| part.try_into().map(u64::from_be_bytes));
        let mut next = || parts.next()?.ok();
        let record = Self {
            number: next()?,
            synced: next()?,
            previous: next()?,
        };
        (bytes.len() == Self::LEN).then_some(record)
    }
}

/// A commit as a journal has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Commit {
    pub(crate) record: CommitRecord,
    /// fjall's sequence number.
    pub(crate) seqno: u64,
}

/// What the journals of a database hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Journaled {
    /// The oldest commit and the newest.
    pub(crate) ends: Option<(Commit, Commit)>,
    /// How many bytes of a commit that never returned were cut off the newest journal.
    pub(crate) cut: u64,
}

/// What is wrong with a journal.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JournalError {
    #[error("there is no such journal")]
    Missing,
    #[error("at byte {at}: {what}")]
    Damaged { at: u64, what: &'static str },
    #[error("commit {found} follows commit {last}")]
    Gap { last: u64, found: u64 },
    #[error("the journal does not go on to commit {0}, which a table holds")]
    Short(u64),
}

/// The journals in a data directory, oldest first.
pub(crate) fn list(data: &Path) -> Result<Vec<(u64, PathBuf)>, EngineError> {
    let mut journals = Vec::new();
    for entry in data.read_dir().map_err(io_error("read", data))? {
        let path = entry.map_err(io_error("read", data))?.path();
        if path
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("jnl"))
        {
            let number = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
            let number = number.ok_or_else(|| damaged(&path, 0, "this is no name of a journal"))?;
            journals.push((number, path));
        }
    }
    journals.sort_unstable();
    Ok(journals)
}

/// Reads all journals of a data directory. What is left of a commit that never returned is cut off the newest one,
/// so that fjall sees whole batches only. `commits` is the keyspace of the commit records, `newest` the number of a
/// journal that is known to have existed.
pub(crate) fn verify(data: &Path, commits: u64, newest: u64) -> Result<Journaled, EngineError> {
    let journals = list(data)?;
    let mut journaled = Journaled::default();
    let first = journals.first().map_or(newest, |(number, _)| *number);
    let last = journals.last().map_or(newest, |(number, _)| *number).max(newest);
    for number in first..=last {
        let path = data.join(format!("{number}.jnl"));
        if !path.is_file() {
            return Err(EngineError::Corrupt {
                path,
                source: JournalError::Missing.into(),
            });
        }
        verify_one(&path, commits, number == last, &mut journaled)?;
    }
    Ok(journaled)
}

fn verify_one(path: &Path, commits: u64, newest: bool, journaled: &mut Journaled) -> Result<(), EngineError> {
    let read_error = |source| io_error("read", path)(source);
    let file = File::open(path).map_err(read_error)?;
    let mut source = Source::new(BufReader::with_capacity(256 * 1024, file), commits);
    let at = loop {
        let at = source.position;
        match source.batch() {
            Ok(Some(commit)) => follow(path, at, commit, journaled)?,
            Ok(None) => return Ok(()),
            Err(Stop::Io(error)) => return Err(read_error(error)),
            Err(Stop::End | Stop::Invalid(_)) => break at,
        }
    };
    let mut file = source.reader.into_inner();
    let rest = written_rest(&mut file, at).map_err(read_error)?;
    if rest.is_empty() {
        return Ok(());
    }
    let last = journaled.ends.map_or(0, |(_, last)| last.record.number);
    if let Some(what) = damage_in(&rest, at, commits, newest, last) {
        return Err(damaged(path, at, what));
    }
    journaled.cut = rest.len() as u64;
    tracing::warn!(
        journal = %path.display(), at, bytes = journaled.cut,
        "cutting off the rest of a commit that had not returned when the process or the machine stopped"
    );
    let cut = || {
        let file = OpenOptions::new().write(true).open(path)?;
        file.set_len(at)?;
        file.sync_all()
    };
    cut().map_err(io_error("cut off the end of", path))
}

/// Takes the next commit, if it is the next one.
fn follow(path: &Path, at: u64, commit: Commit, journaled: &mut Journaled) -> Result<(), EngineError> {
    let Some((_, last)) = &mut journaled.ends else {
        journaled.ends = Some((commit, commit));
        return Ok(());
    };
    let (number, found) = (last.record.number, commit.record.number);
    if found != number + 1 {
        let source = JournalError::Gap { last: number, found }.into();
        return Err(EngineError::Corrupt {
            path: path.into(),
            source,
        });
    }
    if commit.seqno <= last.seqno || commit.record.previous != last.seqno {
        return Err(damaged(
            path,
            at,
            "a sequence number that does not follow the one before",
        ));
    }
    *last = commit;
    Ok(())
}

fn damaged(path: &Path, at: u64, what: &'static str) -> EngineError {
    EngineError::Corrupt {
        path: path.into(),
        source: JournalError::Damaged { at, what }.into(),
    }
}

/// What a file holds from a position on, without the zeros at its end.
fn written_rest(file: &mut File, at: u64) -> io::Result<Vec<u8>> {
    const CHUNK: u64 = 1024 * 1024;
    let mut end = file.metadata()?.len();
    let mut chunk = Vec::new();
    while end > at {
        let start = end.saturating_sub(CHUNK).max(at);
        chunk.clear();
        file.seek(SeekFrom::Start(start))?;
        file.by_ref().take(end - start).read_to_end(&mut chunk)?;
        if let Some(last) = chunk.iter().rposition(|byte| *byte != 0) {
            let mut rest = Vec::new();
            file.seek(SeekFrom::Start(at))?;
            file.by_ref()
                .take(start + last as u64 + 1 - at)
                .read_to_end(&mut rest)?;
            return Ok(rest);
        }
        end = start;
    }
    Ok(Vec::new())
}

/// Why the rest of a journal, beginning where a batch should begin and cannot be read, is not what a commit that
/// never returned leaves behind. `None` if it is.
///
/// A killed process leaves the beginning of a batch. A machine that lost power leaves sectors of zeros in what had
/// not been synced, in any of the commits since the last sync.
fn damage_in(rest: &[u8], at: u64, commits: u64, newest: bool, last: u64) -> Option<&'static str> {
    if !newest {
        return Some("something that is no commit, in a journal that was complete");
    }
    if let Some((position, synced)) = find_commits(rest, commits, last) {
        return if synced > last {
            Some("commits that were durable cannot be read")
        } else if has_blank_sector(&rest[..position], at) {
            None
        } else {
            Some("commits cannot be read, and later ones can")
        };
    }
    if has_blank_sector(rest, at) {
        return None;
    }
    if rest.ends_with(&END) {
        return Some("the newest commit is complete and cannot be read");
    }
    // Its end may have been zeros, which were taken for the file's.
    let padded = [rest, &[0; 64]].concat();
    let mut source = Source::new(&padded[..], commits);
    match source.batch() {
        Err(Stop::Invalid(what)) if source.position <= rest.len() as u64 => Some(what),
        _ => None,
    }
}

/// Where the first commit after this one is that can be read anywhere in these bytes, and up to which commit all of
/// those say that everything was synced.
fn find_commits(rest: &[u8], commits: u64, last: u64) -> Option<(usize, u64)> {
    let candidates = rest
        .iter()
        .enumerate()
        .skip(1)
        .filter(|(_, byte)| **byte == tag::START);
    let found = candidates.filter_map(|(position, _)| {
        // Every batch begins with a commit record, so most candidates are out at once.
        let after_start = rest.get(position + 13..position + 16)?;
        if after_start != [tag::ITEM, 0, 0] {
            return None;
        }
        let commit = Source::new(&rest[position..], commits).batch().ok()??;
        (commit.record.number > last).then_some((position, commit.record.synced))
    });
    found.reduce(|(first, synced), (_, later)| (first, synced.max(later)))
}

/// Whether a whole sector, counted from the beginning of the file, is zeros.
fn has_blank_sector(bytes: &[u8], at: u64) -> bool {
    let skip = at.next_multiple_of(SECTOR) - at;
    let aligned = usize::try_from(skip)
        .ok()
        .and_then(|skip| bytes.get(skip..))
        .unwrap_or_default();
    aligned
        .chunks_exact(512)
        .any(|sector| sector.iter().all(|byte| *byte == 0))
}

mod tag {
    pub(super) const START: u8 = 1;
    pub(super) const ITEM: u8 = 2;
    pub(super) const END: u8 = 3;
    pub(super) const CLEAR: u8 = 4;
}

/// Why a batch could not be read.
enum Stop {
    /// The bytes end within it.
    End,
    Invalid(&'static str),
    Io(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            Self::End
        } else {
            Self::Io(error)
        }
    }
}

/// Bytes of a journal, with the position in them.
struct Source<R> {
    reader: R,
    position: u64,
    commits: u64,
}

impl<R: BufRead> Source<R> {
    fn new(reader: R, commits: u64) -> Self {
        Self {
            reader,
            position: 0,
            commits,
        }
    }

    /// The next batch; `None` at the end of the bytes.
    fn batch(&mut self) -> Result<Option<Commit>, Stop> {
        if self.reader.fill_buf()?.is_empty() {
            return Ok(None);
        }
        if self.array::<1>()? != [tag::START] {
            return Err(Stop::Invalid("no commit begins here"));
        }
        let items = u32::from_le_bytes(self.array()?);
        let seqno = u64::from_le_bytes(self.array()?);
        if seqno >= MAX_SEQNO {
            return Err(Stop::Invalid("an impossible sequence number"));
        }
        let mut hash = Xxh3Default::new();
        let mut record = None;
        for item in 0..items {
            let found = self.item(&mut hash)?;
            if item == 0 {
                record = found;
            }
        }
        if self.array::<1>()? != [tag::END] {
            return Err(Stop::Invalid("a commit that does not end where it should"));
        }
        let checksum = u64::from_le_bytes(self.array()?);
        if self.array()? != END {
            return Err(Stop::Invalid("a commit without its trailer"));
        }
        if checksum != hash.digest() {
            return Err(Stop::Invalid("a commit whose checksum is wrong"));
        }
        let record = record.ok_or(Stop::Invalid("a commit without its number"))?;
        Ok(Some(Commit { record, seqno }))
    }

    /// The next item, and what it holds if it is a commit record.
    fn item(&mut self, hash: &mut Xxh3Default) -> Result<Option<CommitRecord>, Stop> {
        let tag = self.array::<1>()?;
        match tag {
            [tag::ITEM] => {}
            [tag::CLEAR] => {
                let keyspace: [u8; 8] = self.array()?;
                hash.update(&tag);
                hash.update(&keyspace);
                return Ok(None);
            }
            _ => return Err(Stop::Invalid("a commit with fewer items than it says")),
        }
        let head: [u8; 20] = self.array()?;
        hash.update(&tag);
        hash.update(&head);
        let [
            kind,
            compression,
            k0,
            k1,
            k2,
            k3,
            k4,
            k5,
            k6,
            k7,
            l0,
            l1,
            v0,
            v1,
            v2,
            v3,
            s0,
            s1,
            s2,
            s3,
        ] = head;
        let keyspace = u64::from_le_bytes([k0, k1, k2, k3, k4, k5, k6, k7]);
        let key_len = u16::from_le_bytes([l0, l1]);
        let value_len = u32::from_le_bytes([v0, v1, v2, v3]);
        let stored_len = u32::from_le_bytes([s0, s1, s2, s3]);
        if kind > 2 || compression != 0 || value_len != stored_len {
            return Err(Stop::Invalid("an item of an unknown kind"));
        }
        if keyspace == self.commits && usize::from(key_len) == COMMIT_KEY.len() {
            if value_len as usize != CommitRecord::LEN {
                return Err(Stop::Invalid("a commit number of the wrong length"));
            }
            let bytes: [u8; COMMIT_KEY.len() + CommitRecord::LEN] = self.array()?;
            hash.update(&bytes);
            return Ok(CommitRecord::decode(&bytes[COMMIT_KEY.len()..]));
        }
        self.hash(u64::from(key_len) + u64::from(stored_len), hash)?;
        Ok(None)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes)?;
        self.position += N as u64;
        Ok(bytes)
    }

    /// Passes over bytes, hashing them.
    fn hash(&mut self, mut len: u64, hash: &mut Xxh3Default) -> Result<(), Stop> {
        while len > 0 {
            let bytes = self.reader.fill_buf()?;
            if bytes.is_empty() {
                return Err(Stop::End);
            }
            let taken = usize::try_from(len).unwrap_or(usize::MAX).min(bytes.len());
            hash.update(&bytes[..taken]);
            self.reader.consume(taken);
            self.position += taken as u64;
            len -= taken as u64;
        }
        Ok(())
    }
}
