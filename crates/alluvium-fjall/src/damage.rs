//! What has to be there before fjall is let in, and which file is damaged once something is.
//!
//! ```text
//! <dir>/data/version                     "FJL" 03: present means that the creation was completed
//! <dir>/data/<n>.jnl                     journals, the highest number is written to
//! <dir>/data/keyspaces/0/                fjall's own: the names and options of keyspaces
//! <dir>/data/keyspaces/<n>/current       which manifest is in force, and its XXH3-128
//! <dir>/data/keyspaces/<n>/v<m>          manifests: which tables there are, and their XXH3-128
//! <dir>/data/keyspaces/<n>/tables/<t>    tables, in blocks that each have a checksum
//! ```
//!
//! fjall checks blocks as it reads them and knows when a table that a manifest names is missing. What it does not
//! check is checked here, at every open, at the cost of reading the journals once more and the tables' indexes:
//! manifests, and whether journals and tables belong together.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use alluvium_engine::EngineError;
use fjall::SeqNo;
use lsm_tree::config::PinningPolicy;
use lsm_tree::{AbstractTree as _, SequenceNumberCounter};
use xxhash_rust::xxh3::Xxh3Default;

use crate::catalog::Catalog;
use crate::error::{Failure, guarded, io_error};
use crate::journal::{self, COMMIT_KEY, CommitRecord, JournalError};

const VERSION: &[u8] = b"FJL\x03";

/// What is wrong with a file other than a journal.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DamageError {
    #[error("it is missing")]
    Missing,
    #[error("it does not hold what it should")]
    Content,
    #[error(
        "its `current` and its manifest do not belong together, and which of them is damaged cannot be told"
    )]
    Manifest,
}

/// How far a database has come, as found on disk.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Position {
    /// The number of the last commit.
    pub(crate) number: u64,
    /// fjall's sequence number of the last commit.
    pub(crate) seqno: u64,
    /// The highest sequence number in fjall's own keyspace, which fjall forgets to count when it opens.
    pub(crate) taken: u64,
}

fn keyspace_dir(data: &Path, keyspace: u64) -> PathBuf {
    data.join("keyspaces").join(keyspace.to_string())
}

/// Whether a data directory without a catalog holds nothing but what a creation that was cut short leaves: then it is
/// emptied and may be created again.
///
/// # Errors
///
/// [`EngineError::Corrupt`] naming the catalog if it holds more.
pub(crate) fn clear_unfinished(dir: &Path, data: &Path) -> Result<(), EngineError> {
    if !data.exists() {
        return fs::create_dir_all(data).map_err(io_error("create", data));
    }
    // Nothing is committed and no space made before the catalog is there.
    let nothing_committed = journal::list(data)?
        .iter()
        .all(|(number, path)| *number == 0 && is_blank(path));
    let keyspaces = data.join("keyspaces");
    let nothing_made = match keyspaces.read_dir() {
        Ok(entries) => entries
            .flatten()
            .all(|entry| entry.file_name() == "0" || entry.file_name() == "1"),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    };
    let nothing_stored = match keyspace_dir(data, 1).join("tables").read_dir() {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    };
    if !(nothing_committed && nothing_made && nothing_stored) {
        return Err(EngineError::Corrupt {
            path: Catalog::path(dir),
            source: DamageError::Missing.into(),
        });
    }
    fs::remove_dir_all(data).map_err(io_error("empty", data))?;
    fs::create_dir_all(data).map_err(io_error("create", data))
}

fn is_blank(path: &Path) -> bool {
    let mut chunk = [0; 4096];
    File::open(path).is_ok_and(|mut file| {
        loop {
            match file.read(&mut chunk) {
                Ok(0) => return true,
                Ok(read) if chunk[..read].iter().all(|byte| *byte == 0) => {}
                _ => return false,
            }
        }
    })
}

/// Checks that a database is all there, and cuts what is left of a commit that never returned off its newest journal.
pub(crate) fn check(data: &Path, catalog: &Catalog) -> Result<Position, EngineError> {
    let version = data.join("version");
    match fs::read(&version) {
        Ok(found) if found == VERSION => {}
        Ok(_) => return Err(corrupt(version, DamageError::Content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(corrupt(version, DamageError::Missing));
        }
        Err(error) => return Err(io_error("read", &version)(error)),
    }
    // fjall's lock file holds nothing, and the state directory's keeps others out.
    let lock = data.join("lock");
    if !lock.exists() {
        File::create(&lock).map_err(io_error("create", &lock))?;
    }
    let keyspaces = catalog.spaces.values().map(|space| space.keyspace);
    for keyspace in [0, catalog.commits].into_iter().chain(keyspaces.clone()) {
        check_manifest(&keyspace_dir(data, keyspace))?;
    }

    let taken = highest(data, 0)?.unwrap_or_default();
    let journaled = journal::verify(data, catalog.commits, catalog.journal)?;
    let commits = persisted(data, catalog.commits)?;
    let commits_seqno = commits.as_ref().map_or(0, |(seqno, _)| *seqno);
    let short = |journal: u64, number| {
        let path = data.join(format!("{journal}.jnl"));
        EngineError::Corrupt {
            path,
            source: JournalError::Short(number).into(),
        }
    };
    let newest = journal::list(data)?
        .last()
        .map_or(catalog.journal, |(number, _)| *number);
    // The keyspace of commit records is written out after all others, so what its tables hold, all tables hold.
    let (last, reach) = match journaled.ends {
        Some((first, last)) => {
            if first.record.previous > commits_seqno {
                let oldest = journal::list(data)?.first().map_or(0, |(number, _)| *number);
                let path = data.join(format!("{}.jnl", oldest.saturating_sub(1)));
                return Err(EngineError::Corrupt {
                    path,
                    source: JournalError::Missing.into(),
                });
            }
            (
                Position {
                    number: last.record.number,
                    seqno: last.seqno,
                    taken,
                },
                last.seqno,
            )
        }
        None => (
            Position {
                number: commits.map_or(0, |(_, record)| record.number),
                seqno: commits_seqno,
                taken,
            },
            commits_seqno,
        ),
    };
    for keyspace in keyspaces {
        if highest(data, keyspace)?.is_some_and(|seqno| seqno > reach) {
            return Err(short(newest, last.number + 1));
        }
    }
    if commits_seqno > reach {
        return Err(short(newest, last.number + 1));
    }
    Ok(last)
}

fn corrupt(path: PathBuf, source: DamageError) -> EngineError {
    EngineError::Corrupt {
        path,
        source: source.into(),
    }
}

/// Checks the manifest of a keyspace against its checksum, and that the tables it names exist. Gives the tables.
fn check_manifest(keyspace: &Path) -> Result<Vec<(PathBuf, u128)>, EngineError> {
    let (manifest, expected) = current(keyspace)?;
    match checksum(&manifest) {
        Ok(found) if found == expected => {}
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(io_error("read", &manifest)(error));
        }
        _ => return Err(corrupt(keyspace.into(), DamageError::Manifest)),
    }
    let tables = tables(&manifest).map_err(|source| EngineError::Corrupt {
        path: manifest,
        source: source.into(),
    })?;
    let tables = tables
        .into_iter()
        .map(|(id, checksum)| (keyspace.join("tables").join(id.to_string()), checksum));
    let tables: Vec<_> = tables.collect();
    match tables.iter().find(|(table, _)| !table.is_file()) {
        Some((table, _)) => Err(corrupt(table.clone(), DamageError::Missing)),
        None => Ok(tables),
    }
}

fn missing_or_unreadable(path: &Path) -> impl FnOnce(io::Error) -> EngineError {
    move |error| {
        if error.kind() == io::ErrorKind::NotFound {
            corrupt(path.into(), DamageError::Missing)
        } else {
            io_error("read", path)(error)
        }
    }
}

/// The manifest in force, and its checksum.
fn current(keyspace: &Path) -> Result<(PathBuf, u128), EngineError> {
    let path = keyspace.join("current");
    let bytes = fs::read(&path).map_err(missing_or_unreadable(&path))?;
    let parse = || {
        let (version, rest) = bytes.split_first_chunk()?;
        let (checksum, kind) = rest.split_first_chunk()?;
        (kind == [0]).then(|| (u64::from_le_bytes(*version), u128::from_le_bytes(*checksum)))
    };
    let (version, checksum) = parse().ok_or_else(|| corrupt(path, DamageError::Content))?;
    Ok((keyspace.join(format!("v{version}")), checksum))
}

fn checksum(path: &Path) -> io::Result<u128> {
    let mut file = File::open(path)?;
    let mut hash = Xxh3Default::new();
    let mut chunk = vec![0; 256 * 1024];
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(hash.digest128()),
            read => hash.update(&chunk[..read]),
        }
    }
}

/// The tables that a manifest names, with their checksums (lsm-tree's `version/recovery.rs`).
fn tables(manifest: &Path) -> Result<Vec<(u64, u128)>, sfa::Error> {
    let archive = sfa::Reader::new(manifest)?;
    let section = archive
        .toc()
        .section(b"tables")
        .ok_or(sfa::Error::InvalidHeader)?;
    let mut reader = section.buf_reader(manifest)?;
    let mut tables = Vec::new();
    let [levels] = array(&mut reader)?;
    for _ in 0..levels {
        let [runs] = array(&mut reader)?;
        for _ in 0..runs {
            for _ in 0..u32::from_le_bytes(array(&mut reader)?) {
                let id = u64::from_le_bytes(array(&mut reader)?);
                let [_kind] = array(&mut reader)?;
                let checksum = u128::from_le_bytes(array(&mut reader)?);
                let _seqno: [u8; 8] = array(&mut reader)?;
                tables.push((id, checksum));
            }
        }
    }
    Ok(tables)
}

fn array<const N: usize>(reader: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// The highest sequence number in a keyspace's tables.
fn highest(data: &Path, keyspace: u64) -> Result<Option<SeqNo>, EngineError> {
    with_tree(data, keyspace, |tree| Ok(tree.get_highest_persisted_seqno()))
}

/// The newest commit record in the tables, and its sequence number.
fn persisted(data: &Path, commits: u64) -> Result<Option<(SeqNo, CommitRecord)>, EngineError> {
    with_tree(data, commits, |tree| {
        let record = tree
            .get(COMMIT_KEY, SeqNo::MAX)?
            .and_then(|value| CommitRecord::decode(&value));
        Ok(tree.get_highest_persisted_seqno().zip(record))
    })
}

/// Looks into the tables of a keyspace, before fjall does.
fn with_tree<T>(
    data: &Path,
    keyspace: u64,
    look: impl FnOnce(&lsm_tree::AnyTree) -> lsm_tree::Result<T>,
) -> Result<T, EngineError> {
    let dir = keyspace_dir(data, keyspace);
    let open = || {
        let counter = SequenceNumberCounter::default;
        let tree = lsm_tree::Config::new(&dir, counter(), counter())
            .index_block_pinning_policy(PinningPolicy::all(false))
            .filter_block_pinning_policy(PinningPolicy::all(false))
            .open()?;
        Ok(look(&tree)?)
    };
    guarded(open).map_err(|failure: Failure| failure.into_engine_error("open", data, &dir))
}

/// The first file found damaged, if any is. Reads everything.
pub(crate) fn locate(data: &Path) -> Option<PathBuf> {
    let mut keyspaces: Vec<_> = data
        .join("keyspaces")
        .read_dir()
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .collect();
    keyspaces.sort_unstable();
    keyspaces
        .iter()
        .find_map(|keyspace| match check_manifest(keyspace) {
            Ok(tables) => tables
                .into_iter()
                .find(|(table, sum)| checksum(table).ok() != Some(*sum))
                .map(|(table, _)| table),
            Err(EngineError::Corrupt { path, .. } | EngineError::Io { path, .. }) => Some(path),
            Err(_) => None,
        })
}
