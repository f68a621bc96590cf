//! Paths as keys of a NATS bucket.
//!
//! A key may hold `A-Z a-z 0-9 - / _ = .`, and no token between dots may be empty. Every other byte is written as `=`
//! and two hexadecimal digits, and so are `=` itself and a dot that would leave a token empty. Different paths have
//! different keys, and most paths are their own key.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};

/// The key of a path.
pub(crate) fn encode(path: &[u8]) -> String {
    let mut key = String::with_capacity(path.len());
    for (index, byte) in path.iter().enumerate() {
        let plain = match byte {
            b'.' => index > 0 && index + 1 < path.len() && path[index - 1] != b'.',
            byte => byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'/' | b'_'),
        };
        if plain {
            key.push(char::from(*byte));
        } else {
            write!(key, "={byte:02X}").expect("writing to a string does not fail");
        }
    }
    key
}

/// The path of a key.
pub(crate) fn decode(key: &str) -> Result<Vec<u8>> {
    let mut path = Vec::with_capacity(key.len());
    let mut bytes = key.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'=' {
            path.push(byte);
            continue;
        }
        let digits = [bytes.next(), bytes.next()].map(|digit| digit.unwrap_or(b'?'));
        let digits = std::str::from_utf8(&digits).unwrap_or("??");
        path.push(u8::from_str_radix(digits, 16).with_context(|| format!("{key:?} is not an encoded path"))?);
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_comes_back_and_fits_a_key() {
        let paths: [&[u8]; 8] = [
            b"src/lib.rs",
            b".gitignore",
            b"a..b",
            b"a b/c=d",
            b"end.",
            b"...",
            "\u{e4}/\u{f6}".as_bytes(),
            b"\xff\x00",
        ];
        for path in paths {
            let key = encode(path);
            assert!(key.split('.').all(|token| !token.is_empty()), "{key}");
            assert!(
                key.bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-/_=.".contains(&byte)),
                "{key}"
            );
            assert_eq!(decode(&key).unwrap(), path);
        }
        assert_eq!(encode(b"src/lib.rs"), "src/lib.rs");
    }
}
