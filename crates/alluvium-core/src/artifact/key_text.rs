//! Keys in a manifest: bytes as text that people can read.
//!
//! What is a graphic character of ASCII stands for itself, but for `%`; everything else is percent-encoded byte by byte.

use std::fmt::Write as _;

use bytes::Bytes;
use serde::{Deserialize as _, Deserializer, Serializer, de};

pub(super) fn serialize<S: Serializer>(key: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&encode(key))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    let text = String::deserialize(deserializer)?;
    decode(&text).ok_or_else(|| de::Error::custom(format!("{text:?} is no key as it is written here")))
}

fn encode(key: &[u8]) -> String {
    let mut text = String::with_capacity(key.len());
    for byte in key {
        if byte.is_ascii_graphic() && *byte != b'%' {
            text.push(char::from(*byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

fn decode(text: &str) -> Option<Bytes> {
    let mut key = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first == b'%' {
            let (digits, after) = rest.split_at_checked(2)?;
            key.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = after;
        } else {
            key.push(*first);
        }
    }
    // A key is written in one way.
    (encode(&key) == text).then(|| key.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_key_comes_back(key in prop::collection::vec(any::<u8>(), 0..20)) {
            prop_assert_eq!(decode(&encode(&key)).unwrap(), key);
        }

        #[test]
        fn nothing_else_is_taken_for_one(text in "[a-zA-F0-9% .é]{0,8}") {
            if let Some(key) = decode(&text) {
                prop_assert_eq!(encode(&key), text);
            }
        }
    }
}
