//! A range of keys, in the byte order that every table and engine sorts by.

use std::ops::{Bound, RangeBounds};

use bytes::Bytes;

/// A range of keys in byte order.
///
/// ```
/// use alluvium_core::KeyRange;
///
/// let routes = KeyRange::prefix("routes.");
/// assert!(routes.contains(b"routes.eu"));
/// assert!(!routes.contains(b"flags.eu"));
/// assert!(KeyRange::all().contains(b"flags.eu"));
/// assert!(KeyRange::of("a"..="b").contains(b"b"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    start: Bound<Bytes>,
    end: Bound<Bytes>,
}

impl KeyRange {
    /// Every key.
    pub const fn all() -> Self {
        Self {
            start: Bound::Unbounded,
            end: Bound::Unbounded,
        }
    }

    /// Every key that begins with these bytes.
    pub fn prefix(prefix: impl AsRef<[u8]>) -> Self {
        let prefix = prefix.as_ref();
        // The first key after all that begin with the prefix: its last byte that can grow, grown by one.
        let end = prefix.iter().rposition(|byte| *byte < u8::MAX).map(|last| {
            let mut end = prefix[..=last].to_vec();
            end[last] += 1;
            Bytes::from(end)
        });
        Self {
            start: Bound::Included(Bytes::copy_from_slice(prefix)),
            end: end.map_or(Bound::Unbounded, Bound::Excluded),
        }
    }

    /// Any range expression over keys: `"a".."b"`, `"a"..`, `..="b"`.
    pub fn of<T: AsRef<[u8]>>(range: impl RangeBounds<T>) -> Self {
        let copy = |bound: Bound<&T>| bound.map(|key| Bytes::copy_from_slice(key.as_ref()));
        Self {
            start: copy(range.start_bound()),
            end: copy(range.end_bound()),
        }
    }

    /// From one bound to another.
    pub const fn new(start: Bound<Bytes>, end: Bound<Bytes>) -> Self {
        Self { start, end }
    }

    /// Whether the key lies in the range.
    pub fn contains(&self, key: &[u8]) -> bool {
        RangeBounds::<[u8]>::contains(self, key)
    }

    /// Whether no key at all can lie in the range, because its end comes before its start.
    pub fn is_empty(&self) -> bool {
        match (self.start_bound(), self.end_bound()) {
            (Bound::Included(start), Bound::Included(end)) => start > end,
            (Bound::Included(start) | Bound::Excluded(start), Bound::Excluded(end))
            | (Bound::Excluded(start), Bound::Included(end)) => start >= end,
            (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        }
    }
}

impl RangeBounds<[u8]> for KeyRange {
    fn start_bound(&self) -> Bound<&[u8]> {
        self.start.as_ref().map(Bytes::as_ref)
    }

    fn end_bound(&self) -> Bound<&[u8]> {
        self.end.as_ref().map(Bytes::as_ref)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_prefix_range_holds_exactly_the_keys_that_begin_with_it(
            prefix in prop::collection::vec(prop_oneof![Just(0_u8), Just(254), Just(255)], 0..4),
            key in prop::collection::vec(prop_oneof![Just(0_u8), Just(254), Just(255)], 0..6),
        ) {
            prop_assert_eq!(KeyRange::prefix(&prefix).contains(&key), key.starts_with(&prefix));
        }

        #[test]
        fn an_empty_range_holds_no_key(
            start in prop::collection::vec(0_u8..3, 0..3),
            end in prop::collection::vec(0_u8..3, 0..3),
            key in prop::collection::vec(0_u8..3, 0..3),
        ) {
            let range = KeyRange::of(start..end);
            prop_assert!(!range.is_empty() || !range.contains(&key));
        }
    }
}
