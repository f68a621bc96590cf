//! A key and a value as the map holds them.
//!
//! Both are copies: the [`Bytes`] of a commit are often slices of a network buffer, which a small row must not keep
//! alive for as long as it lives. A short key lies in the node of the map itself, so a look-up does not leave the
//! nodes and copying one touches no counter; a value is one allocation that all versions of the map share.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::sync::Arc;

use bytes::Bytes;

/// Keys up to this length need no allocation. Chosen so that a [`Key`] takes 32 bytes.
const INLINE: usize = 30;

/// A key. Sorts bytewise.
#[derive(Clone)]
pub(crate) struct Key(Repr);

#[derive(Clone)]
enum Repr {
    Inline(u8, [u8; INLINE]),
    Shared(Arc<[u8]>),
}

impl Key {
    pub(crate) fn new(key: &[u8]) -> Self {
        match u8::try_from(key.len()) {
            Ok(length) if key.len() <= INLINE => {
                let mut bytes = [0; INLINE];
                bytes[..key.len()].copy_from_slice(key);
                Self(Repr::Inline(length, bytes))
            }
            _ => Self(Repr::Shared(key.into())),
        }
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline(length, bytes) => &bytes[..usize::from(*length)],
            Repr::Shared(bytes) => bytes,
        }
    }
}

impl Borrow<[u8]> for Key {
    #[inline]
    fn borrow(&self) -> &[u8] {
        self.as_slice()
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_slice().cmp(other.as_slice())
    }
}

/// A value.
#[derive(Clone)]
pub(crate) struct Value(Arc<[u8]>);

impl Value {
    pub(crate) fn new(value: &[u8]) -> Self {
        Self(value.into())
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// The value without a copy: it lives for as long as the bytes do, whatever becomes of the row.
    pub(crate) fn to_bytes(&self) -> Bytes {
        Bytes::from_owner(Arc::clone(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_what_went_in_whatever_its_length() {
        for length in 0..=2 * INLINE {
            let bytes: Vec<u8> = (0..).take(length).collect();
            let key = Key::new(&bytes);
            assert_eq!(key.as_slice(), bytes);
        }
    }

    #[test]
    fn inline_and_shared_keys_sort_bytewise() {
        let long = [b"a".repeat(INLINE), b"b".to_vec()].concat();
        assert!(Key::new(&b"a".repeat(INLINE)) < Key::new(&long));
        assert!(Key::new(&long) < Key::new(b"b"));
    }

    #[test]
    fn a_row_takes_three_quarters_of_a_cache_line() {
        assert_eq!(size_of::<(Key, Value)>(), 48);
    }
}
