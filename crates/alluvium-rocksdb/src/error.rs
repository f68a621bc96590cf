//! RocksDB's errors as [`EngineError`]s.
//!
//! RocksDB gives its errors as text, of which the first words say what kind it is. Text about damage names the file
//! in most cases; where it does not, what is named is the directory of the data.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use alluvium_engine::EngineError;
use rocksdb::ErrorKind;

use crate::files::FileKind;

/// The engine's name, as it is recorded in state directories.
pub(crate) const NAME: &str = "rocksdb";

/// What a call into RocksDB ended with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    RocksDb(#[from] rocksdb::Error),
    #[error("the RocksDB bindings panicked: {0}")]
    Panic(String),
}

/// Calls into RocksDB; a panic becomes a [`Failure`].
pub(crate) fn guarded<T>(call: impl FnOnce() -> Result<T, rocksdb::Error>) -> Result<T, Failure> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(Failure::from),
        Err(panic) => Err(Failure::Panic(message(panic.as_ref()))),
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
        .unwrap_or_else(|| "for no stated reason".into())
}

impl Failure {
    /// As an error of a call on the database in this directory.
    pub(crate) fn into_engine_error(self, data: &Path) -> EngineError {
        let damaged = match &self {
            Self::RocksDb(error) => is_damage(error).then(|| {
                named_file(error.as_ref()).map_or_else(|| data.to_path_buf(), |file| data.join(file))
            }),
            Self::Panic(_) => None,
        };
        match damaged {
            Some(path) => EngineError::Corrupt {
                path,
                source: self.into(),
            },
            None => EngineError::Other {
                engine: NAME,
                source: self.into(),
            },
        }
    }
}

/// Whether an error says that a file is not as it was written, or not there.
fn is_damage(error: &rocksdb::Error) -> bool {
    match error.kind() {
        ErrorKind::Corruption => true,
        ErrorKind::IOError => error.as_ref().contains("No such file or directory"),
        _ => false,
    }
}

/// What RocksDB adds to whatever goes wrong while it reads the manifest and opens the tables it names.
const SUSPICION: &str = "  The file ";

/// The name of the first of the database's files in a text.
fn named_file(text: &str) -> Option<&str> {
    // The manifest has been checked: see `check`.
    let text = text.split(SUSPICION).next().unwrap_or(text);
    let words = text.split(|letter: char| letter.is_whitespace() || ":;,/'\"()".contains(letter));
    words
        .map(|word| word.trim_end_matches('.'))
        .find(|word| FileKind::of(word).is_some())
}

/// The operating system refused.
pub(crate) fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> EngineError {
    let path = path.to_path_buf();
    move |source| EngineError::Io { doing, path, source }
}

/// A file is damaged.
pub(crate) fn corrupt(
    path: impl Into<PathBuf>,
    source: impl std::error::Error + Send + Sync + 'static,
) -> EngineError {
    EngineError::Corrupt {
        path: path.into(),
        source: Box::new(source),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_found_in_what_rocksdb_says() {
        for (text, file) in [
            (
                "Corruption: block checksum mismatch: stored = 1, computed = 2, type = 4  in /d/data/000012.sst offset 0 size 9",
                Some("000012.sst"),
            ),
            (
                "Corruption: Can't access /000031.sst: IO error: No such file",
                Some("000031.sst"),
            ),
            ("Corruption: Missing WAL with log number: 9.", None),
            (
                "IO error: While opening /a.b/000004.log: No such file or directory",
                Some("000004.log"),
            ),
            ("Corruption: in file MANIFEST-000005.", Some("MANIFEST-000005")),
            (
                "Corruption: CURRENT file does not end with newline",
                Some("CURRENT"),
            ),
            ("Corruption: of /d/x.log/data", None),
            (
                "Corruption: properties unsorted  The file /d/data/MANIFEST-000077 may be corrupted.",
                None,
            ),
        ] {
            assert_eq!(named_file(text), file, "{text}");
        }
    }

    #[test]
    fn a_panic_is_an_error() {
        let failure = guarded::<()>(|| panic!("of {}", "this")).unwrap_err();
        assert_eq!(failure.to_string(), "the RocksDB bindings panicked: of this");
        assert!(matches!(
            failure.into_engine_error(Path::new("d")),
            EngineError::Other { .. }
        ));
    }
}
