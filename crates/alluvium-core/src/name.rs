//! Names that callers choose, as parts of paths that nothing can leave.

use std::fmt::Write as _;

/// The most bytes of an encoded name: file systems take 255.
pub(crate) const MAX_ENCODED: usize = 240;

/// Why a name has no path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NameError {
    #[error("it is empty")]
    Empty,
    #[error(
        "{name:?} takes {length} bytes in a path, where each byte but a-z 0-9 _ - takes three: choose one that takes at most {MAX_ENCODED}"
    )]
    TooLong { name: String, length: usize },
}

/// A name as one part of a path: everything but `a-z 0-9 _ -` is percent-encoded byte by byte, upper case too, for some file
/// systems do not tell it from lower case. No two names share a part.
pub(crate) fn encode(name: &str) -> Result<String, NameError> {
    encode_with(name, '%')
}

/// The same with another sign than `%` before the two digits, for places that do not know that one.
pub(crate) fn encode_with(name: &str, escape: char) -> Result<String, NameError> {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' => encoded.push(char::from(byte)),
            // Writing to a string cannot fail.
            _ => drop(write!(encoded, "{escape}{byte:02X}")),
        }
    }
    match encoded.len() {
        0 => Err(NameError::Empty),
        1..=MAX_ENCODED => Ok(encoded),
        length => Err(NameError::TooLong {
            name: name.to_owned(),
            length,
        }),
    }
}

/// The name that [`encode`] made this of; nothing for what it never makes.
pub(crate) fn decode(encoded: &str) -> Option<String> {
    decode_with(encoded, '%')
}

/// The name that [`encode_with`] made this of; nothing for what it never makes.
pub(crate) fn decode_with(encoded: &str, escape: char) -> Option<String> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if char::from(*first) != escape {
            bytes.push(*first);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
        rest = after;
    }
    let name = String::from_utf8(bytes).ok()?;
    (encode_with(&name, escape).as_deref() == Ok(encoded)).then_some(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_name_comes_back(name in ".{1,20}") {
            prop_assert_eq!(decode(&encode(&name).unwrap()), Some(name));
        }

        #[test]
        fn nothing_else_is_taken_for_one(text in "[a-zA-Z0-9%._/-]{0,12}") {
            if let Some(name) = decode(&text) {
                prop_assert_eq!(encode(&name), Ok(text));
            }
        }
    }
}
