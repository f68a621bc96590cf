//! The bytes of journals, snapshots and ingested files: one form for all three.
//!
//! ```text
//! file    = header record*
//! header  = "alluvmem" kind[4] version:u32 number:u64 previous:u64 crc:u32        36 bytes
//! record  = length:u32 payload-crc:u32 header-crc:u32 payload[length]
//! ```
//!
//! Fixed integers are little-endian, `kind` is `jrnl`, `snap` or `ingt`, `number` is the one in the file's name,
//! `previous` the length at which the journal before ended (0 in other files). The checksums are CRC-32 (IEEE). The
//! `header-crc` covers the file's number, the record's offset, its length and its `payload-crc`, so bytes that look
//! like a record but were not written as one at this place, in a value say, are never taken for one.
//!
//! ```text
//! payload = 1 write*                          commit: all of it or nothing
//!         | 2 space name                      a space is made; in a snapshot: its pairs follow
//!         | 3 space                           a space is dropped with all that is in it
//!         | 4 space file pairs name           a space is made of the pairs of an ingested file
//!         | 5 pair*                           more pairs, of the last space named (snapshot) or of the only one
//!         | 6 pairs                           the end: how many pairs the file holds (snapshot, ingested file)
//!         | 7                                     the end of a journal: the next one is begun
//!         | 7                                 the end of a journal: the next one is begun
//! write   = (2 * space + 1) key value | (2 * space) key
//! pair    = key value
//! key, value, name = length bytes[length]
//! ```
//!
//! Integers in payloads, lengths among them, are unsigned LEB128. Spaces are numbered in the order they were made; the
//! number of a dropped space may come back after a reopen.

use crc32fast::Hasher;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    Journal,
    Snapshot,
    Ingest,
}

impl FileKind {
    const fn tag(self) -> [u8; 4] {
        match self {
            Self::Journal => *b"jrnl",
            Self::Snapshot => *b"snap",
            Self::Ingest => *b"ingt",
        }
    }
}

const MAGIC: [u8; 8] = *b"alluvmem";
const VERSION: u32 = 1;
pub(crate) const FILE_HEADER: usize = 36;
pub(crate) const RECORD_HEADER: usize = 12;

/// Why bytes are not what they should be.
pub(crate) type Malformed = &'static str;

/// What a file header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileHeader {
    pub(crate) kind: FileKind,
    pub(crate) number: u64,
    /// At which length the journal before ended.
    pub(crate) previous: u64,
}

/// A header that cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BadHeader {
    Malformed(Malformed),
    /// Sound, but of another version.
    Version(u32),
}

impl FileHeader {
    pub(crate) fn encode(self) -> [u8; FILE_HEADER] {
        let mut bytes = [0; FILE_HEADER];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&self.kind.tag());
        bytes[12..16].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.number.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.previous.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..32]);
        bytes[32..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads the header of a file that should be of this kind and number.
    pub(crate) fn decode(bytes: &[u8; FILE_HEADER], kind: FileKind, number: u64) -> Result<Self, BadHeader> {
        let malformed = |found| Err(BadHeader::Malformed(found));
        if bytes[..8] != MAGIC {
            return malformed("it does not begin like a file of this engine");
        }
        if u32_at(bytes, 32) != crc32fast::hash(&bytes[..32]) {
            return malformed("the checksum of its header does not match");
        }
        match u32_at(bytes, 12) {
            VERSION => {}
            other => return Err(BadHeader::Version(other)),
        }
        if bytes[8..12] != kind.tag() || u64_at(bytes, 16) != number {
            return malformed("it was written under another name");
        }
        Ok(Self {
            kind,
            number,
            previous: u64_at(bytes, 24),
        })
    }
}

/// Bytes of the record that ends a journal.
pub(crate) const ENDED: u64 = RECORD_HEADER as u64 + 1;

/// What stands before a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    pub(crate) length: u32,
    pub(crate) payload_crc: u32,
}

impl RecordHeader {
    /// The header that these bytes are, if they were written as one at this offset of this file.
    pub(crate) fn decode(bytes: &[u8; RECORD_HEADER], file: u64, offset: u64) -> Option<Self> {
        let header = Self {
            length: u32_at(bytes, 0),
            payload_crc: u32_at(bytes, 4),
        };
        let sound = header.length > 0 && header.crc(file, offset) == u32_at(bytes, 8);
        sound.then_some(header)
    }

    fn encode(self, file: u64, offset: u64) -> [u8; RECORD_HEADER] {
        let mut bytes = [0; RECORD_HEADER];
        bytes[..4].copy_from_slice(&self.length.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.payload_crc.to_le_bytes());
        bytes[8..].copy_from_slice(&self.crc(file, offset).to_le_bytes());
        bytes
    }

    fn crc(self, file: u64, offset: u64) -> u32 {
        let mut covered = [0; 24];
        covered[..8].copy_from_slice(&file.to_le_bytes());
        covered[8..16].copy_from_slice(&offset.to_le_bytes());
        covered[16..20].copy_from_slice(&self.length.to_le_bytes());
        covered[20..].copy_from_slice(&self.payload_crc.to_le_bytes());
        let mut hasher = Hasher::new();
        hasher.update(&covered);
        hasher.finalize()
    }
}

/// Lays out one record in a buffer that is used again for the next.
#[derive(Default)]
pub(crate) struct RecordBuffer(Vec<u8>);

/// A record longer than its header can say.
#[derive(Debug)]
pub(crate) struct TooLong;

impl RecordBuffer {
    /// A buffer that grew beyond this for one record is not kept for the next.
    const KEPT: usize = 4 << 20;

    /// Begins a record of this kind.
    pub(crate) fn begin(&mut self, kind: RecordKind) -> &mut Self {
        self.0.clear();
        if self.0.capacity() > Self::KEPT {
            self.0.shrink_to(Self::KEPT);
        }
        self.0.extend_from_slice(&[0; RECORD_HEADER]);
        self.0.push(kind as u8);
        self
    }

    pub(crate) fn number(&mut self, mut number: u64) -> &mut Self {
        while number >= 0x80 {
            self.0.push(number.to_le_bytes()[0] | 0x80);
            number >>= 7;
        }
        self.0.push(number.to_le_bytes()[0]);
        self
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    /// Bytes of the record so far.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The whole record, for this offset of this file.
    pub(crate) fn finish(&mut self, file: u64, offset: u64) -> Result<&[u8], TooLong> {
        let (header, payload) = self.0.split_at_mut(RECORD_HEADER);
        let length = u32::try_from(payload.len()).map_err(|_| TooLong)?;
        let payload_crc = crc32fast::hash(payload);
        header.copy_from_slice(&RecordHeader { length, payload_crc }.encode(file, offset));
        Ok(&self.0)
    }
}

/// The first byte of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum RecordKind {
    Commit = 1,
    Space = 2,
    Dropped = 3,
    Ingested = 4,
    Pairs = 5,
    End = 6,
    Ended = 7,
}

/// What a payload says.
#[derive(Debug)]
pub(crate) enum Record<'a> {
    Commit(Fields<'a>),
    Space {
        space: u32,
        name: &'a str,
    },
    Dropped {
        space: u32,
    },
    Ingested {
        space: u32,
        file: u64,
        pairs: u64,
        name: &'a str,
    },
    Pairs(Fields<'a>),
    End {
        pairs: u64,
    },
    Ended,
}

impl<'a> Record<'a> {
    pub(crate) fn decode(payload: &'a [u8]) -> Result<Self, Malformed> {
        let (kind, rest) = payload.split_first().ok_or("a record is empty")?;
        let mut fields = Fields(rest);
        let record = match *kind {
            1 => return Ok(Self::Commit(fields)),
            2 => Self::Space {
                space: fields.space()?,
                name: fields.name()?,
            },
            3 => Self::Dropped {
                space: fields.space()?,
            },
            4 => Self::Ingested {
                space: fields.space()?,
                file: fields.number()?,
                pairs: fields.number()?,
                name: fields.name()?,
            },
            5 => return Ok(Self::Pairs(fields)),
            6 => Self::End {
                pairs: fields.number()?,
            },
            7 => Self::Ended,
            _ => return Err("a record is of no known kind"),
        };
        if fields.is_empty() {
            Ok(record)
        } else {
            Err("a record is longer than what it says")
        }
    }
}

/// A write of a commit.
#[derive(Debug)]
pub(crate) struct StoredWrite<'a> {
    pub(crate) space: u32,
    pub(crate) key: &'a [u8],
    /// `None` removes the key.
    pub(crate) value: Option<&'a [u8]>,
}

/// What is left of a payload.
#[derive(Debug)]
pub(crate) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next write of a commit.
    pub(crate) fn write(&mut self) -> Result<StoredWrite<'a>, Malformed> {
        let tag = self.number()?;
        let space = u32::try_from(tag / 2).map_err(|_| "a space has no such number")?;
        let key = self.bytes()?;
        let value = if tag % 2 == 1 { Some(self.bytes()?) } else { None };
        Ok(StoredWrite { space, key, value })
    }

    /// The next pair.
    pub(crate) fn pair(&mut self) -> Result<(&'a [u8], &'a [u8]), Malformed> {
        Ok((self.bytes()?, self.bytes()?))
    }

    fn space(&mut self) -> Result<u32, Malformed> {
        u32::try_from(self.number()?).map_err(|_| "a space has no such number")
    }

    fn name(&mut self) -> Result<&'a str, Malformed> {
        str::from_utf8(self.bytes()?).map_err(|_| "the name of a space is not text")
    }

    fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(self.number()?).map_err(|_| "a field is too long")?;
        let (bytes, rest) = self
            .0
            .split_at_checked(length)
            .ok_or("a record ends within a field")?;
        self.0 = rest;
        Ok(bytes)
    }

    fn number(&mut self) -> Result<u64, Malformed> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or("a record ends within a number")?;
            self.0 = rest;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return Err("a number is too large");
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err("a number is too long")
    }
}

fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    let mut four = [0; 4];
    four.copy_from_slice(&bytes[offset..offset + 4]);
    u32::from_le_bytes(four)
}

fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    let mut eight = [0; 8];
    eight.copy_from_slice(&bytes[offset..offset + 8]);
    u64::from_le_bytes(eight)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_come_back(number: u64) {
            let mut buffer = RecordBuffer::default();
            buffer.begin(RecordKind::End).number(number);
            let record = buffer.finish(1, 36).unwrap();
            let decoded = Record::decode(&record[RECORD_HEADER..]).unwrap();
            let Record::End { pairs } = decoded else { panic!("{decoded:?}") };
            prop_assert_eq!(pairs, number);
        }

        #[test]
        fn no_payload_makes_it_panic(payload in prop::collection::vec(any::<u8>(), 0..64)) {
            match Record::decode(&payload) {
                Ok(Record::Commit(mut fields)) => while !fields.is_empty() && fields.write().is_ok() {},
                Ok(Record::Pairs(mut fields)) => while !fields.is_empty() && fields.pair().is_ok() {},
                _ => {}
            }
        }

        #[test]
        fn a_record_is_one_only_where_it_was_written(file in 1_u64..9, offset in 36_u64..99, elsewhere in 36_u64..99) {
            let mut buffer = RecordBuffer::default();
            buffer.begin(RecordKind::Commit).number(7);
            let header = *buffer.finish(file, offset).unwrap().first_chunk().unwrap();
            prop_assert!(RecordHeader::decode(&header, file, offset).is_some());
            prop_assert!(RecordHeader::decode(&header, file + 1, offset).is_none());
            prop_assert!(offset == elsewhere || RecordHeader::decode(&header, file, elsewhere).is_none());
        }
    }

    #[test]
    fn a_header_of_another_version_is_told_from_a_damaged_one() {
        let header = FileHeader {
            kind: FileKind::Journal,
            number: 3,
            previous: 99,
        };
        let sound = header.encode();
        assert_eq!(FileHeader::decode(&sound, FileKind::Journal, 3), Ok(header));
        assert!(FileHeader::decode(&sound, FileKind::Snapshot, 3).is_err());
        assert!(FileHeader::decode(&sound, FileKind::Journal, 4).is_err());
        for at in 0..FILE_HEADER {
            let mut damaged = sound;
            damaged[at] ^= 1;
            let error = FileHeader::decode(&damaged, FileKind::Journal, 3).unwrap_err();
            assert!(matches!(error, BadHeader::Malformed(_)), "byte {at}: {error:?}");
        }
        let mut newer = sound;
        newer[12] = 2;
        let crc = crc32fast::hash(&newer[..32]);
        newer[32..].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(
            FileHeader::decode(&newer, FileKind::Journal, 3),
            Err(BadHeader::Version(2))
        );
    }
}
