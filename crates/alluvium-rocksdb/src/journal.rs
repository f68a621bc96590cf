//! RocksDB's log files, read once before RocksDB reads them: the journals and the manifest.
//!
//! ```text
//! file      blocks of 32 KiB, the last one shorter
//! block     fragments; fewer than 7 bytes at the end are no fragment
//! fragment  crc32c u32, masked | length u16 | kind u8 | payload         the checksum is over kind and payload
//! record    a fragment FULL, or FIRST, MIDDLE ..., LAST
//! commit    sequence u64 | writes u32 | ...                             a record of a journal
//! ```
//!
//! Numbers are little-endian. The source is RocksDB's `db/log_format.h` and `db/write_batch.cc`.
//!
//! RocksDB takes whatever it cannot read in the last block for a write that a crash cut short, and drops all that comes
//! behind it. A crash leaves nothing behind such a write: if there is a record, the file is damaged.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use alluvium_engine::EngineError;

use crate::error::{corrupt, io_error};
use crate::files::FileKind;

const BLOCK: usize = 32 * 1024;
const HEADER: usize = 7;
const MASK: u32 = 0xa282_ead8;
/// Of a record, as much as says which commit it is.
const HEAD: usize = 12;

/// What is wrong with a log file.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JournalError {
    #[error("there are records behind what cannot be read at {0}")]
    Unreadable(u64),
    #[error("it ends within a record, at {0}")]
    Torn(u64),
    #[error("the commit at {at} has the sequence {found} instead of {expected}")]
    Sequence { at: u64, found: u64, expected: u64 },
    #[error("the record at {0} is no commit")]
    NoCommit(u64),
}

/// The journals in a directory, oldest first.
pub(crate) fn list(data: &Path) -> Result<Vec<PathBuf>, EngineError> {
    let mut journals = Vec::new();
    for entry in fs::read_dir(data).map_err(io_error("read", data))? {
        let entry = entry.map_err(io_error("read", data))?;
        if let Some(FileKind::Journal(number)) = entry.file_name().to_str().and_then(FileKind::of) {
            journals.push((number, entry.path()));
        }
    }
    journals.sort_unstable();
    Ok(journals.into_iter().map(|(_, path)| path).collect())
}

/// Checks journals, oldest first, and gives those that end in a write that was cut short, and where. Commits that come
/// after one of those have to go on where it ends.
///
/// # Errors
///
/// [`EngineError::Corrupt`] for what no crash leaves.
pub(crate) fn check(journals: &[PathBuf]) -> Result<Vec<(PathBuf, u64)>, EngineError> {
    let mut torn: Vec<(PathBuf, u64)> = Vec::new();
    let mut next = None;
    for path in journals {
        // A journal may be left over from before the last open, so that one after it is missing by right.
        if torn.is_empty() {
            next = None;
        }
        let end = scan(path, |at, head| {
            let (sequence, writes) = commit(head).ok_or(JournalError::NoCommit(at))?;
            match next {
                Some(expected) if sequence != expected => {
                    return Err(JournalError::Sequence {
                        at,
                        found: sequence,
                        expected,
                    });
                }
                _ => next = sequence.checked_add(writes),
            }
            Ok(())
        })?;
        match end {
            Ok(None) => {}
            Ok(Some(at)) => torn.push((path.clone(), at)),
            // The commits that are missing are those that the torn end held.
            Err(JournalError::Sequence { .. }) if !torn.is_empty() => {
                let (path, at) = torn.swap_remove(torn.len() - 1);
                return Err(corrupt(path, JournalError::Torn(at)));
            }
            Err(error) => return Err(corrupt(path, error)),
        }
    }
    Ok(torn)
}

/// Checks that a log file is readable, and gives where it ends if that is within a record.
///
/// # Errors
///
/// [`EngineError::Corrupt`] for what no crash leaves.
pub(crate) fn check_records(path: &Path) -> Result<Option<u64>, EngineError> {
    scan(path, |_, _| Ok(()))?.map_err(|error| corrupt(path, error))
}

fn commit(head: &[u8]) -> Option<(u64, u64)> {
    let (sequence, rest) = head.split_first_chunk()?;
    let writes = rest.first_chunk()?;
    Some((u64::from_le_bytes(*sequence), u32::from_le_bytes(*writes).into()))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Full,
    First,
    Middle,
    Last,
    /// About the file, not of it.
    Other,
}

/// The fragment at the beginning of some bytes of a block.
fn fragment(bytes: &[u8]) -> Option<(Kind, &[u8])> {
    let (checksum, rest) = bytes.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    let checked = rest.get(..=usize::from(u16::from_le_bytes(*length)))?;
    let (kind, payload) = checked.split_first()?;
    let kind = match kind {
        1 => Kind::Full,
        2 => Kind::First,
        3 => Kind::Middle,
        4 => Kind::Last,
        // Compression, sizes of timestamps, the journal before.
        9 | 10 | 130 => Kind::Other,
        _ => return None,
    };
    let masked = crc32c::crc32c(checked).rotate_right(15).wrapping_add(MASK);
    (u32::from_le_bytes(*checksum) == masked).then_some((kind, payload))
}

/// What one file holds, as it is read.
#[derive(Default)]
struct Scan {
    /// The beginning of the record that is being read, and where it is.
    open: Option<(u64, Vec<u8>)>,
    /// Where the first thing is that cannot be read.
    unreadable: Option<u64>,
}

impl Scan {
    /// Takes a fragment. Gives the head of a record that is complete with it.
    fn take(&mut self, at: u64, kind: Kind, payload: &[u8]) -> Result<Option<(u64, Vec<u8>)>, JournalError> {
        if let Some(unreadable) = self.unreadable {
            // The rest of the record that cannot be read proves nothing: pages reach the disk in any order.
            return match kind {
                Kind::Full | Kind::First => Err(JournalError::Unreadable(unreadable)),
                _ => Ok(None),
            };
        }
        let add = |head: &mut Vec<u8>| {
            let missing = HEAD.saturating_sub(head.len()).min(payload.len());
            head.extend_from_slice(&payload[..missing]);
        };
        match (kind, &mut self.open) {
            (Kind::Full | Kind::First, None) => {
                let mut head = Vec::with_capacity(HEAD);
                add(&mut head);
                if kind == Kind::Full {
                    return Ok(Some((at, head)));
                }
                self.open = Some((at, head));
            }
            (Kind::Middle | Kind::Last, Some((_, head))) => {
                add(head);
                if kind == Kind::Last {
                    return Ok(self.open.take());
                }
            }
            (Kind::Other, _) => {}
            (Kind::Full | Kind::First, Some((begun, _))) => return Err(JournalError::Unreadable(*begun)),
            (Kind::Middle | Kind::Last, None) => self.unreadable = Some(at),
        }
        Ok(None)
    }
}

/// Reads a log file and hands over where each record is and how it begins. Gives where the file ends if that is within
/// a record.
fn scan(
    path: &Path,
    mut record: impl FnMut(u64, &[u8]) -> Result<(), JournalError>,
) -> Result<Result<Option<u64>, JournalError>, EngineError> {
    let mut file = File::open(path).map_err(io_error("read", path))?;
    let mut scan = Scan::default();
    let mut block = Vec::with_capacity(BLOCK);
    let mut block_at = 0;
    loop {
        read_block(&mut file, &mut block).map_err(io_error("read", path))?;
        let mut at = 0;
        while at + HEADER <= block.len() {
            let place = block_at + at as u64;
            let taken = if let Some((kind, payload)) = fragment(&block[at..]) {
                at += HEADER + payload.len();
                scan.take(place, kind, payload)
            } else {
                // Where the next fragment would begin is as unreadable: it is looked for everywhere.
                scan.unreadable.get_or_insert(place);
                at += 1;
                Ok(None)
            };
            let outcome = match taken {
                Ok(Some((begun, head))) => record(begun, &head),
                Ok(None) => Ok(()),
                Err(error) => Err(error),
            };
            if let Err(error) = outcome {
                return Ok(Err(error));
            }
        }
        if block.len() < BLOCK {
            if at < block.len() {
                scan.unreadable.get_or_insert(block_at + at as u64);
            }
            let open = scan.open.map(|(begun, _)| begun);
            return Ok(Ok(open.or(scan.unreadable)));
        }
        block_at += BLOCK as u64;
    }
}

fn read_block(file: &mut File, block: &mut Vec<u8>) -> io::Result<()> {
    block.clear();
    file.by_ref().take(BLOCK as u64).read_to_end(block).map(drop)
}

#[cfg(test)]
mod tests;
