//! Reads and checks the files of an engine, changing nothing.
//!
//! Whatever the bytes are, the answer is a record, the end, or where the first record begins that is none. What that
//! means is for [`recovery`](super::recovery) to say.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use alluvium_engine::EngineError;

use super::files::Files;
use super::format::{BadHeader, FILE_HEADER, FileHeader, FileKind, RECORD_HEADER, RecordHeader};
use crate::error::{corrupt, io_error};

/// How much is read in one go.
const BUFFER: usize = 256 << 10;

/// A file that is being read record by record.
pub(crate) struct FileReader {
    input: BufReader<File>,
    path: PathBuf,
    header: FileHeader,
    /// Where the next record begins.
    offset: u64,
    /// How long the file was when it was opened.
    length: u64,
    payload: Vec<u8>,
}

/// What comes next in a file.
#[derive(Debug)]
pub(crate) enum Next<'a> {
    /// The payload of a sound record.
    Record(&'a [u8]),
    /// The file ends here.
    End,
    /// What begins here is no record.
    Bad,
}

impl FileReader {
    pub(crate) fn open(files: &Files, kind: FileKind, number: u64) -> Result<Self, EngineError> {
        Self::open_at(files.path(kind, number), kind, number)
    }

    /// The same for a file under another name.
    pub(crate) fn open_at(path: PathBuf, kind: FileKind, number: u64) -> Result<Self, EngineError> {
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(corrupt(&path, "it is missing"));
            }
            Err(error) => return Err(io_error("open", &path)(error)),
        };
        let length = file.metadata().map_err(io_error("read", &path))?.len();
        let mut input = BufReader::with_capacity(BUFFER, file);
        if length < FILE_HEADER as u64 {
            return Err(corrupt(&path, "it is too short to be a file of this engine"));
        }
        let mut header = [0; FILE_HEADER];
        input.read_exact(&mut header).map_err(io_error("read", &path))?;
        let header = FileHeader::decode(&header, kind, number).map_err(|bad| match bad {
            BadHeader::Malformed(found) => corrupt(&path, found),
            BadHeader::Version(version) => EngineError::Invalid(format!(
                "{} has version {version}, which this Alluvium cannot read: use the newer one that wrote it",
                path.display()
            )),
        })?;
        Ok(Self {
            input,
            path,
            header,
            offset: FILE_HEADER as u64,
            length,
            payload: Vec::new(),
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn header(&self) -> FileHeader {
        self.header
    }

    /// Where the next record begins: everything before is sound.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// How long the file is.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// The next record. After [`Next::Bad`] the answer stays the same.
    pub(crate) fn next(&mut self) -> Result<Next<'_>, EngineError> {
        let left = self.length - self.offset;
        if left == 0 {
            return Ok(Next::End);
        }
        if left < RECORD_HEADER as u64 {
            return Ok(Next::Bad);
        }
        let mut header = [0; RECORD_HEADER];
        self.input
            .read_exact(&mut header)
            .map_err(io_error("read", &self.path))?;
        let header = RecordHeader::decode(&header, self.header.number, self.offset)
            .filter(|header| u64::from(header.length) <= left - RECORD_HEADER as u64);
        let Some(header) = header else { return self.bad() };
        // Bounded by what the file holds, whatever a damaged length might say.
        self.payload.resize(header.length as usize, 0);
        self.input
            .read_exact(&mut self.payload)
            .map_err(io_error("read", &self.path))?;
        if crc32fast::hash(&self.payload) != header.payload_crc {
            return self.bad();
        }
        self.offset += RECORD_HEADER as u64 + u64::from(header.length);
        Ok(Next::Record(&self.payload))
    }

    fn bad(&mut self) -> Result<Next<'_>, EngineError> {
        self.input
            .seek(SeekFrom::Start(self.offset))
            .map_err(io_error("read", &self.path))?;
        Ok(Next::Bad)
    }

    /// Whether a sound record begins anywhere after [`offset`](Self::offset), where none does.
    pub(crate) fn sound_record_follows(&mut self) -> Result<bool, EngineError> {
        self.search().map_err(io_error("read", &self.path))
    }

    fn search(&mut self) -> io::Result<bool> {
        let mut window = Vec::with_capacity(BUFFER);
        let mut start = self.offset + 1;
        loop {
            self.input.seek(SeekFrom::Start(start))?;
            window.clear();
            self.input.by_ref().take(BUFFER as u64).read_to_end(&mut window)?;
            if window.len() < RECORD_HEADER {
                return Ok(false);
            }
            for (offset, bytes) in (start..).zip(window.windows(RECORD_HEADER)) {
                let Some(bytes) = bytes.first_chunk() else {
                    continue;
                };
                let left = self.length.saturating_sub(offset + RECORD_HEADER as u64);
                // The length rules out most places, and is cheaper to look at than a checksum.
                if u64::from(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])) > left {
                    continue;
                }
                let header = RecordHeader::decode(bytes, self.header.number, offset);
                if let Some(header) = header
                    && payload_crc(&mut self.input, offset, header.length)? == header.payload_crc
                {
                    return Ok(true);
                }
            }
            // A window overlaps the next by one byte less than a header.
            start += (window.len() - RECORD_HEADER + 1) as u64;
        }
    }
}

/// The checksum of what would be the payload of the record at this offset.
fn payload_crc(input: &mut BufReader<File>, offset: u64, length: u32) -> io::Result<u32> {
    input.seek(SeekFrom::Start(offset + RECORD_HEADER as u64))?;
    let mut hasher = crc32fast::Hasher::new();
    let mut left = length as usize;
    let mut bytes = [0; 4096];
    while left > 0 {
        let part = left.min(bytes.len());
        input.read_exact(&mut bytes[..part])?;
        hasher.update(&bytes[..part]);
        left -= part;
    }
    Ok(hasher.finalize())
}
