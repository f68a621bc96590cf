//! Whether bytes can be a footer at all: one struct of Thrift's compact protocol, no part of which takes longer to pass over
//! than its bytes are many.
//!
//! The `parquet` crate passes over what it does not know element by element, and takes elements that are booleans for
//! nothing: a few bytes that tell of two thousand million of them keep it busy for seconds. No footer of a segment has a list of
//! booleans, nor one with more elements than bytes.

/// How deep structs and lists lie in each other, at most.
const MOST_DEEP: u32 = 16;

const BOOLEANS: [u8; 2] = [1, 2];
const BYTE: u8 = 3;
const I16: u8 = 4;
const I64: u8 = 6;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const SET: u8 = 10;
const STRUCT: u8 = 12;

/// Whether these bytes are one struct, and nothing else.
pub(super) fn is_one_struct(bytes: &[u8]) -> bool {
    let mut walk = Walk { left: bytes };
    walk.fields(MOST_DEEP).is_some() && walk.left.is_empty()
}

struct Walk<'a> {
    left: &'a [u8],
}

impl Walk<'_> {
    /// Passes over the fields of a struct.
    fn fields(&mut self, deep: u32) -> Option<()> {
        let deep = deep.checked_sub(1)?;
        loop {
            let header = self.byte()?;
            if header == 0 {
                return Some(());
            }
            if header >> 4 == 0 {
                // The number of the field follows, and is not one more than that of the one before.
                self.number()?;
            }
            let kind = header & 0xf;
            // Of a field the kind is the value.
            if !BOOLEANS.contains(&kind) {
                self.value(kind, deep)?;
            }
        }
    }

    fn value(&mut self, kind: u8, deep: u32) -> Option<()> {
        match kind {
            BYTE => self.skip(1),
            I16..=I64 => self.number().map(drop),
            DOUBLE => self.skip(8),
            BINARY => {
                let length = self.number()?;
                self.skip(length)
            }
            LIST | SET => self.elements(deep),
            STRUCT => self.fields(deep),
            // There are no maps in a footer, and no booleans in a list.
            _ => None,
        }
    }

    fn elements(&mut self, deep: u32) -> Option<()> {
        let deep = deep.checked_sub(1)?;
        let header = self.byte()?;
        let count = match header >> 4 {
            15 => self.number()?,
            count => u64::from(count),
        };
        // Each takes a byte at least.
        if count > self.left.len() as u64 {
            return None;
        }
        (0..count).try_for_each(|_| self.value(header & 0xf, deep))
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.left.split_first()?;
        self.left = rest;
        Some(*first)
    }

    fn skip(&mut self, bytes: u64) -> Option<()> {
        self.left = self.left.get(usize::try_from(bytes).ok()?..)?;
        Some(())
    }

    /// A number of variable length, as it is written.
    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_empty_struct_is_one_and_what_follows_it_is_none_of_it() {
        assert!(is_one_struct(&[0]));
        assert!(!is_one_struct(&[]));
        assert!(!is_one_struct(&[0, 0]));
    }

    #[test]
    fn a_list_with_more_elements_than_bytes_is_refused_whatever_they_are() {
        // Field 9, a list of so many: 2^31 - 1 of them.
        for kind in 0..16 {
            assert!(!is_one_struct(&[
                0x99,
                0xf0 | kind,
                0xff,
                0xff,
                0xff,
                0xff,
                0x07,
                0
            ]));
        }
        // Two bytes in a list, and two booleans.
        assert!(is_one_struct(&[0x99, 0x23, 1, 2, 0]));
        assert!(!is_one_struct(&[0x99, 0x21, 1, 2, 0]));
    }

    #[test]
    fn what_lies_too_deep_is_refused() {
        let nested = |deep: usize| [vec![0x1c; deep], vec![0; deep + 1]].concat();
        assert!(is_one_struct(&nested(10)));
        assert!(!is_one_struct(&nested(100_000)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_walked_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = is_one_struct(&bytes);
        }
    }
}
