//! The header of a page, as Parquet has it: a struct of Thrift's compact protocol.
//!
//! The `parquet` crate makes room for a page before it looks at what its header tells. So headers are read here, and only as
//! Alluvium writes them.

use parquet::basic::Encoding;

/// No header of a page takes more bytes.
pub(super) const MAX_HEADER: usize = 64;

/// What is told of a page of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PageHeader {
    /// The bytes of the page before and after it was compressed, without this header.
    pub(super) uncompressed: usize,
    pub(super) compressed: usize,
    pub(super) rows: usize,
    pub(super) encoding: Encoding,
}

/// The types of fields.
const I32: u8 = 5;
const STRUCT: u8 = 12;

/// What the header tells that these bytes begin with, and how long it is. None if there is no such header.
pub(super) fn read(bytes: &[u8]) -> Option<(PageHeader, usize)> {
    let mut from = Fields {
        left: bytes.get(..MAX_HEADER).unwrap_or(bytes),
    };
    let all = from.left.len();
    let data_page = 0;
    if from.number(1)? != data_page {
        return None;
    }
    let uncompressed = from.number(1)?;
    let compressed = from.number(1)?;
    // From the third field on to the fifth.
    from.begin(2, STRUCT)?;
    let rows = from.number(1)?;
    let encoding = from.number(1)?;
    let levels = [from.number(1)?, from.number(1)?];
    from.end()?;
    from.end()?;
    if levels != [3, 3] {
        // Neither is told otherwise than in runs, as of old.
        return None;
    }
    let header = PageHeader {
        uncompressed: usize::try_from(uncompressed).ok()?,
        compressed: usize::try_from(compressed).ok()?,
        rows: usize::try_from(rows).ok()?,
        encoding: match encoding {
            0 => Encoding::PLAIN,
            5 => Encoding::DELTA_BINARY_PACKED,
            _ => return None,
        },
    };
    Some((header, all - from.left.len()))
}

/// Fields that are read one after the other.
struct Fields<'a> {
    left: &'a [u8],
}

impl Fields<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.left.split_first()?;
        self.left = rest;
        Some(*first)
    }

    /// The begin of the field that is so many after the one before.
    fn begin(&mut self, after: u8, kind: u8) -> Option<()> {
        (self.byte()? == after << 4 | kind).then_some(())
    }

    /// A field that is a number.
    fn number(&mut self, after: u8) -> Option<i32> {
        self.begin(after, I32)?;
        let mut number = 0_u64;
        for shift in (0..35).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                let zigzag = u32::try_from(number).ok()?;
                return Some((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed());
            }
        }
        None
    }

    /// The end of a struct.
    fn end(&mut self) -> Option<()> {
        (self.byte()? == 0).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(to: &mut Vec<u8>, number: i32) {
        let mut zigzag = ((number << 1) ^ (number >> 31)).cast_unsigned();
        while zigzag >= 0x80 {
            to.push(u8::try_from(zigzag & 0x7f).unwrap() | 0x80);
            zigzag >>= 7;
        }
        to.push(u8::try_from(zigzag).unwrap());
    }

    fn written(numbers: [i32; 7]) -> Vec<u8> {
        let mut header = Vec::new();
        for (index, value) in numbers.into_iter().enumerate() {
            if index == 3 {
                header.push(0x2c);
            }
            header.push(0x15);
            number(&mut header, value);
        }
        header.extend([0, 0]);
        header
    }

    proptest! {
        #[test]
        fn what_is_told_is_read(uncompressed: i32, compressed: i32, rows: i32, after in prop::collection::vec(any::<u8>(), 0..90)) {
            let header = written([0, uncompressed, compressed, rows, 5, 3, 3]);
            let read = read(&[&header[..], &after].concat());
            if uncompressed < 0 || compressed < 0 || rows < 0 {
                prop_assert_eq!(read, None);
            } else {
                let (told, length) = read.unwrap();
                prop_assert_eq!(length, header.len());
                let numbers = [told.uncompressed, told.compressed, told.rows];
                prop_assert_eq!(numbers.map(|number| i32::try_from(number).unwrap()), [uncompressed, compressed, rows]);
                prop_assert_eq!(told.encoding, Encoding::DELTA_BINARY_PACKED);
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            if let Some((_, length)) = read(&bytes) {
                prop_assert!(length <= bytes.len().min(MAX_HEADER));
            }
        }

        #[test]
        fn other_pages_and_encodings_are_refused(kind: i32, encoding: i32, levels: (i32, i32)) {
            let ours = kind == 0 && matches!(encoding, 0 | 5) && levels == (3, 3);
            prop_assert_eq!(read(&written([kind, 1, 1, 1, encoding, levels.0, levels.1])).is_some(), ours);
        }
    }

    #[test]
    fn a_header_that_is_cut_off_is_refused() {
        let header = written([0, 1 << 20, 1 << 19, 65_536, 0, 3, 3]);
        assert!(read(&header).is_some());
        for length in 0..header.len() {
            assert_eq!(read(&header[..length]), None);
        }
        assert_eq!(read(&[0x15, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0]), None);
        assert_eq!(read(&[0x15, 0xff, 0xff, 0xff, 0xff, 0x7f]), None);
    }
}
