//! Filling a fresh space with sorted pairs.
//!
//! The pairs go into tables beside the database, a few at a time so that memory stays bounded. All the tables become
//! the new column family's in one change of the manifest, and only then does the catalog name the space. So a process
//! that dies before leaves tables in a folder of their own, or a column family that no record names; both go at the
//! next open.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use alluvium_engine::{EngineError, PairSource, Space};
use bytes::Bytes;
use rocksdb::{IngestExternalFileOptions, Options, SstFileWriter};

use crate::RocksDbEngine;
use crate::error::{guarded, io_error};

/// The longest key: the engines agree on it.
const MAX_KEY: usize = u16::MAX as usize;
/// The longest value. RocksDB counts a pair's bytes in 32 bits, and drops what it cannot count without a word.
const MAX_VALUE: usize = 1 << 31;
/// Bytes of pairs in a table.
const TABLE_BYTES: usize = 64 << 20;

/// Checks that RocksDB can hold a pair.
pub(crate) fn check_pair(key: &[u8], value: Option<&Bytes>) -> Result<(), EngineError> {
    if key.is_empty() || key.len() > MAX_KEY {
        return Err(EngineError::Invalid(format!(
            "a key has 1 to {MAX_KEY} bytes, not {}",
            key.len()
        )));
    }
    match value {
        Some(value) if value.len() > MAX_VALUE => Err(EngineError::Invalid(format!(
            "a value has at most {MAX_VALUE} bytes, not {}",
            value.len()
        ))),
        _ => Ok(()),
    }
}

/// Makes a space of these pairs, or none.
pub(crate) fn ingest(
    engine: &RocksDbEngine,
    name: &str,
    pairs: &mut PairSource<'_>,
) -> Result<Space, EngineError> {
    let family = engine.change(|directory, _| {
        if directory.spaces.contains_key(name) || !directory.ingesting.insert(name.into()) {
            return Err(EngineError::Invalid(format!("the space {name} exists already")));
        }
        Ok(directory.new_family())
    })?;
    let _reserved = Reserved { engine, name };
    let mut tables = Tables::new(engine.data(), &family)?;
    tables.write(&engine.rocksdb_options(), pairs)?;
    let mut options = IngestExternalFileOptions::default();
    options.set_move_files(true);
    // There are no older pairs in a fresh column family, nor snapshots that could read it.
    options.set_snapshot_consistency(false);
    options.set_allow_global_seqno(false);
    options.set_allow_blocking_flush(false);
    engine.change(|directory, view| {
        engine.make_space(directory, view, name, &family, |db, family| {
            if tables.paths.is_empty() {
                return Ok(());
            }
            db.ingest_external_file_cf_opts(family, &options, tables.paths.clone())
        })
    })
}

/// Removes what ingests that a kill cut short have left.
pub(crate) fn clear(data: &Path) -> Result<(), EngineError> {
    let folder = folder(data);
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error("remove", &folder)(error)),
        _ => Ok(()),
    }
}

fn folder(data: &Path) -> PathBuf {
    data.join("ingest")
}

/// The name of a space that is being filled. Free again when dropped, a panic in the pairs included.
struct Reserved<'a> {
    engine: &'a RocksDbEngine,
    name: &'a str,
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        // Closed meanwhile: then there are no names.
        let _ = self.engine.change(|directory, _| {
            directory.ingesting.remove(self.name);
            Ok(())
        });
    }
}

/// The tables of one ingest. Those that RocksDB has not taken are removed when dropped.
struct Tables<'a> {
    data: &'a Path,
    /// No other ingest has this one.
    family: &'a str,
    paths: Vec<PathBuf>,
}

impl<'a> Tables<'a> {
    fn new(data: &'a Path, family: &'a str) -> Result<Self, EngineError> {
        let folder = folder(data);
        fs::create_dir_all(&folder).map_err(io_error("create", &folder))?;
        Ok(Self {
            data,
            family,
            paths: Vec::new(),
        })
    }

    /// Writes the pairs into tables, each of them synced.
    fn write(&mut self, options: &Options, pairs: &mut PairSource<'_>) -> Result<(), EngineError> {
        let mut next = pairs.next();
        while next.is_some() {
            let path = folder(self.data).join(format!("{}-{}.sst", self.family, self.paths.len()));
            self.paths.push(path.clone());
            let failed = |failure: crate::error::Failure| failure.into_engine_error(self.data);
            let mut table = SstFileWriter::create(options);
            guarded(|| table.open(&path)).map_err(failed)?;
            let mut bytes = 0;
            while bytes < TABLE_BYTES
                && let Some(pair) = next.take()
            {
                let (key, value) = pair.map_err(EngineError::Pairs)?;
                check_pair(&key, Some(&value))?;
                guarded(|| table.put(&key, &value)).map_err(failed)?;
                bytes += key.len() + value.len();
                next = pairs.next();
                if let Some(Ok((next, _))) = &next
                    && *next <= key
                {
                    return Err(EngineError::Invalid(
                        "the keys to ingest do not strictly rise".into(),
                    ));
                }
            }
            guarded(|| table.finish()).map_err(failed)?;
        }
        Ok(())
    }
}

impl Drop for Tables<'_> {
    fn drop(&mut self) {
        for path in &self.paths {
            // RocksDB has moved it, or it goes at the next open.
            let _ = fs::remove_file(path);
        }
    }
}
