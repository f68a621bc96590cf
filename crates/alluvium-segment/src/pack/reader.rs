//! Reading a pack that anybody may have written.

use std::collections::HashSet;
use std::io::{ErrorKind, Read};

use alluvium_core::Digest;
use alluvium_core::artifact::MAX_SEGMENT_BYTES;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tar::{EntryType, Header};

use super::{BLOCK, PackError, SUFFIX, padding_length};

/// The most segments of a pack that is read. No manifest has room for so many.
pub const MAX_PACK_SEGMENTS: usize = 65_536;
/// The most bytes of a piece.
const PIECE: usize = 64 << 10;

/// A segment in a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PackEntry {
    /// The digest that it is named by. Whether its content has it is for [`PackReader::content`] to say.
    pub digest: Digest,
    /// Where its bytes begin in the pack.
    pub offset: u64,
    /// Its bytes.
    pub length: u64,
}

/// Reads a pack as it comes, and writes nothing anywhere. What Alluvium would not have written is an error that names the
/// entry. Modes, owners and times mean nothing.
///
/// In memory is one piece, and the names that were there. After an error of the pack nothing more comes.
///
/// ```
/// use alluvium_core::Digest;
/// use alluvium_segment::pack::{self, PackError, PackReader};
///
/// let digest: Digest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824".parse()?;
/// let pack = [pack::header(&digest, 5)?, "hello".into(), pack::padding(5), pack::end()].concat();
/// let mut reader = PackReader::new(&pack[..]);
/// let mut found = Vec::new();
/// while let Some(entry) = reader.next_entry()? {
///     found.push((entry.digest, entry.offset, reader.content()?));
/// }
/// assert_eq!(found, [(digest, 512, "hello".into())]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct PackReader<R> {
    from: R,
    /// How many bytes have been read.
    offset: u64,
    names: HashSet<Digest>,
    /// The entry that is being read, and how many of its bytes are still to come.
    current: Option<(PackEntry, u64)>,
    piece: Vec<u8>,
    /// At its end, or at an error.
    ended: bool,
}

impl<R: Read> PackReader<R> {
    /// Reads a pack from its first byte on. The reader should be buffered if its calls are dear: of headers 512 bytes are asked for.
    pub fn new(from: R) -> Self {
        Self {
            from,
            offset: 0,
            names: HashSet::new(),
            current: None,
            piece: Vec::new(),
            ended: false,
        }
    }

    /// The next segment; none at the end of the pack. What was not read of the one before is read over.
    ///
    /// # Errors
    ///
    /// What is wrong with the pack; those of where it comes from.
    pub fn next_entry(&mut self) -> Result<Option<PackEntry>, PackError> {
        while self.next_piece()?.is_some() {}
        self.ending(Self::read_entry)
    }

    /// The next bytes of the segment, at most 64 KiB and at least one; none when there are no more.
    ///
    /// # Errors
    ///
    /// What is wrong with the pack; those of where it comes from.
    pub fn next_piece(&mut self) -> Result<Option<&[u8]>, PackError> {
        let length = self.ending(Self::read_piece)?;
        Ok(length.and_then(|length| self.piece.get(..length)))
    }

    /// The bytes of the segment, if nothing of it was read before. They have the digest that it is named by.
    ///
    /// # Errors
    ///
    /// [`PackError::IntegrityMismatch`] for other bytes: those after it can be read still. What is wrong with the pack; those of
    /// where it comes from.
    pub fn content(&mut self) -> Result<Bytes, PackError> {
        let Some((entry, _)) = self.current else {
            return Ok(Bytes::new());
        };
        // It grows with what comes: what the header tells need not be there.
        let mut content = Vec::new();
        while let Some(piece) = self.next_piece()? {
            content.extend_from_slice(piece);
        }
        let actual = Digest::from_bytes(Sha256::digest(&content).into());
        if actual != entry.digest {
            let entry = name(&entry.digest);
            return Err(PackError::IntegrityMismatch { entry, actual });
        }
        Ok(content.into())
    }

    /// After an error nothing more is read.
    fn ending<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<Option<T>, PackError>,
    ) -> Result<Option<T>, PackError> {
        if self.ended {
            return Ok(None);
        }
        let result = read(self);
        self.ended |= result.is_err();
        result
    }

    fn read_entry(&mut self) -> Result<Option<PackEntry>, PackError> {
        let start = self.offset;
        let mut header = Header::new_old();
        let place = || format!("the header at byte {start}");
        self.fill(header.as_mut_bytes(), place)?;
        if header.as_bytes() == &[0; BLOCK] {
            self.read_end(start)?;
            return Ok(None);
        }
        let entry = check(&header, start)?;
        if !self.names.insert(entry.digest) {
            let entry = name(&entry.digest);
            return Err(PackError::Duplicate { entry });
        }
        if self.names.len() > MAX_PACK_SEGMENTS {
            let most = MAX_PACK_SEGMENTS;
            return Err(PackError::TooMany { most });
        }
        self.current = Some((entry, entry.length));
        Ok(Some(entry))
    }

    /// The second block of zeros, and nothing after it.
    fn read_end(&mut self, offset: u64) -> Result<(), PackError> {
        let mut block = [0; BLOCK];
        self.fill(&mut block, || format!("its end at byte {offset}"))?;
        if block != [0; BLOCK] || self.read(&mut [0])? != 0 {
            return Err(PackError::GoesOn { offset });
        }
        self.ended = true;
        Ok(())
    }

    /// The length of the next piece of the segment.
    fn read_piece(&mut self) -> Result<Option<usize>, PackError> {
        let Some((entry, left)) = self.current else {
            return Ok(None);
        };
        if left == 0 {
            self.current = None;
            self.read_padding(&entry)?;
            return Ok(None);
        }
        self.piece.resize(PIECE, 0);
        let most = usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
        let mut piece = std::mem::take(&mut self.piece);
        let length = self.read(piece.get_mut(..most).unwrap_or_default());
        self.piece = piece;
        let length = length?;
        if length == 0 {
            let entry = name(&entry.digest);
            return Err(PackError::CutOff { entry });
        }
        self.current = Some((entry, left.saturating_sub(length as u64)));
        Ok(Some(length))
    }

    fn read_padding(&mut self, entry: &PackEntry) -> Result<(), PackError> {
        let mut padding = [0; BLOCK];
        let padding = padding
            .get_mut(..padding_length(entry.length))
            .unwrap_or_default();
        self.fill(padding, || name(&entry.digest))?;
        if padding.iter().any(|byte| *byte != 0) {
            return Err(PackError::Header {
                entry: name(&entry.digest),
                found: "what fills its last block is not zeros",
            });
        }
        Ok(())
    }

    /// Reads so many bytes.
    fn fill(&mut self, mut to: &mut [u8], entry: impl Fn() -> String) -> Result<(), PackError> {
        while !to.is_empty() {
            let length = self.read(to)?;
            if length == 0 {
                return Err(PackError::CutOff { entry: entry() });
            }
            to = to.get_mut(length..).unwrap_or_default();
        }
        Ok(())
    }

    /// Reads some bytes; none at the end.
    fn read(&mut self, to: &mut [u8]) -> Result<usize, PackError> {
        loop {
            match self.from.read(to) {
                Ok(length) => {
                    // A reader that says more than it could have read is not believed.
                    let length = length.min(to.len());
                    self.offset = self.offset.saturating_add(length as u64);
                    return Ok(length);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl<R> std::fmt::Debug for PackReader<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = f.debug_struct("PackReader");
        debug.field("offset", &self.offset).finish_non_exhaustive()
    }
}

fn name(digest: &Digest) -> String {
    format!("{digest}{SUFFIX}")
}

/// The entry that a header at this byte is of.
fn check(header: &Header, start: u64) -> Result<PackEntry, PackError> {
    let path = header.path_bytes();
    // Quoted, so that nothing in it reaches a terminal.
    let entry = || {
        if path.is_empty() {
            format!("the header at byte {start}")
        } else {
            format!("{:?} at byte {start}", String::from_utf8_lossy(&path))
        }
    };
    let refuse = |found| {
        let entry = entry();
        PackError::Header { entry, found }
    };
    if octal(&header.as_old().cksum) != Some(checksum(header)) {
        return Err(refuse("its header has another checksum"));
    }
    if let Some(found) = no_file(header.entry_type()) {
        let entry = entry();
        return Err(PackError::NoFile { entry, found });
    }
    if header.as_ustar().is_none() {
        return Err(refuse("its header is not in the ustar format"));
    }
    let digest = std::str::from_utf8(&path).ok();
    let digest = digest.and_then(|path| path.strip_suffix(SUFFIX)?.parse().ok());
    let Some(digest) = digest else {
        return Err(PackError::Name { entry: entry() });
    };
    let length = octal(&header.as_old().size);
    let Some(length) = length.filter(|length| (1..=MAX_SEGMENT_BYTES).contains(length)) else {
        let told = length.map_or_else(|| "no octal number".to_owned(), |length| length.to_string());
        let entry = entry();
        return Err(PackError::Length { entry, told });
    };
    Ok(PackEntry {
        digest,
        offset: start.saturating_add(BLOCK as u64),
        length,
    })
}

/// What an entry is that is no regular file.
fn no_file(kind: EntryType) -> Option<&'static str> {
    Some(match kind {
        EntryType::Regular => return None,
        EntryType::Link => "a hard link",
        EntryType::Symlink => "a symbolic link",
        EntryType::Char | EntryType::Block => "a device",
        EntryType::Directory => "a directory",
        EntryType::Fifo => "a pipe",
        EntryType::GNULongName | EntryType::GNULongLink | EntryType::GNUSparse => "an extension of GNU",
        EntryType::XGlobalHeader | EntryType::XHeader => "an extension of pax",
        _ => "of an unknown kind",
    })
}

/// A field of octal digits, which may have blanks around them.
fn octal(field: &[u8]) -> Option<u64> {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    let digits = field.get(..end)?.trim_ascii();
    if digits.is_empty() {
        return None;
    }
    // Twelve digits are 36 bits.
    digits.iter().try_fold(0_u64, |value, digit| match digit {
        b'0'..=b'7' => Some(value << 3 | u64::from(digit - b'0')),
        _ => None,
    })
}

/// The sum of a header's bytes, where its own checksum counts as blanks.
fn checksum(header: &Header) -> u64 {
    let sum = |bytes: &[u8]| bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>();
    let own = &header.as_old().cksum;
    sum(header.as_bytes()) - sum(own) + own.len() as u64 * u64::from(b' ')
}
