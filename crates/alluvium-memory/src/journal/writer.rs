//! Appends records: to the newest journal, one per commit, and to files that are written in one go.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use alluvium_core::Durability;
use alluvium_engine::{EngineError, WriteBatch};

use super::files::{AppendFile, Files, Step};
use super::format::{ENDED, FILE_HEADER, FileHeader, FileKind, RecordBuffer, RecordKind, TooLong};
use crate::error::io_error;
use crate::row::{Key, Value};

/// The newest journal. Everything up to its length is whole records; nothing else ever stays in it, or no record is
/// taken any more.
pub(crate) struct Journal {
    files: Files,
    number: u64,
    file: Arc<dyn AppendFile>,
    path: PathBuf,
    length: u64,
    durability: Durability,
    record: RecordBuffer,
}

/// A write failed.
pub(crate) enum AppendError {
    /// And left nothing behind.
    Undone(EngineError),
    /// And may have left anything behind.
    Unknown(std::io::Error),
}

impl Journal {
    pub(crate) fn new(
        files: Files,
        number: u64,
        file: Arc<dyn AppendFile>,
        length: u64,
        durability: Durability,
    ) -> Self {
        Self {
            path: files.path(FileKind::Journal, number),
            files,
            number,
            file,
            length,
            durability,
            record: RecordBuffer::default(),
        }
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn file(&self) -> &Arc<dyn AppendFile> {
        &self.file
    }

    pub(crate) fn commit(&mut self, batch: &WriteBatch) -> Result<(), AppendError> {
        let record = self.record.begin(RecordKind::Commit);
        for write in batch.writes() {
            let space = write.space.index() as u64;
            match &write.value {
                Some(value) => record.number(2 * space + 1).bytes(&write.key).bytes(value),
                None => record.number(2 * space).bytes(&write.key),
            };
        }
        self.append()
    }

    pub(crate) fn space(&mut self, space: u32, name: &str) -> Result<(), AppendError> {
        self.record
            .begin(RecordKind::Space)
            .number(space.into())
            .bytes(name.as_bytes());
        self.append()
    }

    pub(crate) fn dropped(&mut self, space: u32) -> Result<(), AppendError> {
        self.record.begin(RecordKind::Dropped).number(space.into());
        self.append()
    }

    pub(crate) fn ingested(
        &mut self,
        space: u32,
        file: u64,
        pairs: u64,
        name: &str,
    ) -> Result<(), AppendError> {
        self.record
            .begin(RecordKind::Ingested)
            .number(space.into())
            .number(file)
            .number(pairs)
            .bytes(name.as_bytes());
        self.append()
    }

    fn append(&mut self) -> Result<(), AppendError> {
        let record = self.record.finish(self.number, self.length).map_err(|TooLong| {
            AppendError::Undone(EngineError::Invalid(
                "a commit cannot be larger than 4 GiB: commit less at once".to_owned(),
            ))
        })?;
        if let Err(error) = self.file.append(record) {
            return Err(match self.file.cut(self.length) {
                Ok(()) => AppendError::Undone(io_error("write", &self.path)(error)),
                Err(_) => AppendError::Unknown(error),
            });
        }
        if self.durability == Durability::Fsync
            && let Err(error) = self.file.sync()
        {
            // After a failed sync nobody knows what the disk holds, of earlier records too. The record is taken back
            // all the same: a commit that failed should not come back if that can be helped.
            let _ = self.file.cut(self.length);
            return Err(AppendError::Unknown(error));
        }
        self.length += record.len() as u64;
        Ok(())
    }

    /// Goes on in the next journal. On an error nothing has changed, or it is not known what has.
    ///
    /// The next journal is made ready, then this one says that it has ended, then the next one gets its name. So the
    /// next one is never there before this one is whole on disk, and never missed once this one has ended.
    pub(crate) fn rotate(&mut self) -> Result<(), AppendError> {
        self.file.sync().map_err(AppendError::Unknown)?;
        let next = self.number + 1;
        let outcome = self.end(next);
        if let Err(AppendError::Undone(_)) = outcome {
            // One that stays is deleted by the next attempt, or the next open.
            let _ = self.files.delete(FileKind::Journal, next);
        }
        let file = outcome?;
        self.number = next;
        self.path = self.files.path(FileKind::Journal, next);
        self.file = file;
        self.length = FILE_HEADER as u64;
        Ok(())
    }

    fn end(&mut self, next: u64) -> Result<Arc<dyn AppendFile>, AppendError> {
        let file = self
            .files
            .prepare_journal(next, self.length + ENDED)
            .map_err(AppendError::Undone)?;
        self.record.begin(RecordKind::Ended);
        self.append()?;
        // From here on nothing may follow in this journal.
        self.file
            .sync()
            .and_then(|()| self.files.put_journal_in_place(next))
            .map_err(AppendError::Unknown)?;
        Ok(file)
    }
}

/// A snapshot or an ingested file on its way to be whole. Takes as much memory as one chunk of pairs.
pub(crate) struct FileWriter {
    files: Files,
    file: File,
    kind: FileKind,
    number: u64,
    path: PathBuf,
    length: u64,
    record: RecordBuffer,
    /// Pairs in the file.
    pairs: u64,
    /// Whether the record that is being laid out holds pairs.
    open: bool,
}

impl FileWriter {
    /// From how many bytes on a record of pairs is written.
    const CHUNK: usize = 64 << 10;

    pub(crate) fn begin(files: &Files, kind: FileKind, number: u64) -> Result<Self, EngineError> {
        let mut this = Self {
            files: files.clone(),
            file: files.begin(kind, number)?,
            kind,
            number,
            path: files.path(kind, number),
            length: FILE_HEADER as u64,
            record: RecordBuffer::default(),
            pairs: 0,
            open: false,
        };
        let header = FileHeader {
            kind,
            number,
            previous: 0,
        };
        this.file
            .write_all(&header.encode())
            .map_err(io_error("write", &this.path))?;
        Ok(this)
    }

    /// The pairs that follow are of this space.
    pub(crate) fn space(&mut self, space: u32, name: &str) -> Result<(), EngineError> {
        self.flush()?;
        self.record
            .begin(RecordKind::Space)
            .number(space.into())
            .bytes(name.as_bytes());
        self.write()
    }

    pub(crate) fn pair(&mut self, key: &Key, value: &Value) -> Result<(), EngineError> {
        let large = key.as_slice().len() + value.as_slice().len() >= Self::CHUNK;
        if large {
            // In a record of its own, it is no longer than in the commit that brought it.
            self.flush()?;
        }
        if !self.open {
            self.record.begin(RecordKind::Pairs);
            self.open = true;
        }
        self.record.bytes(key.as_slice()).bytes(value.as_slice());
        self.pairs += 1;
        if self.record.len() >= Self::CHUNK {
            self.flush()?;
        }
        Ok(())
    }

    /// Ends the file and puts it in place, durably. Gives its length.
    pub(crate) fn finish(mut self) -> Result<u64, EngineError> {
        self.flush()?;
        self.record.begin(RecordKind::End).number(self.pairs);
        self.write()?;
        self.files.put_in_place(&self.file, self.kind, self.number)?;
        Ok(self.length)
    }

    fn flush(&mut self) -> Result<(), EngineError> {
        if self.open {
            self.open = false;
            self.write()?;
        }
        Ok(())
    }

    fn write(&mut self) -> Result<(), EngineError> {
        let record = self
            .record
            .finish(self.number, self.length)
            .map_err(|TooLong| EngineError::Invalid("a pair cannot be larger than 4 GiB".to_owned()))?;
        self.file
            .write_all(record)
            .and_then(|()| self.files.step(Step::Grown, &self.path))
            .map_err(io_error("write", &self.path))?;
        self.length += record.len() as u64;
        Ok(())
    }
}
