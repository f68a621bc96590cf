//! What a message carries beside its payload.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

/// The headers of a message: names and values in order. A name may occur more than once, and is compared as it is written.
///
/// None at all takes one word and no allocation; a clone shares what there is.
///
/// ```
/// use alluvium_core::Headers;
///
/// let headers: Headers = [("Trace", "a"), ("Via", "x"), ("Via", "y")].into_iter().collect();
/// assert_eq!(headers.get("Via").unwrap(), "x");
/// assert_eq!(headers.get_all("Via").count(), 2);
/// assert!(headers.get("via").is_none());
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Headers(
    /// Never `Some` of nothing. Not a slice behind the pointer, which would make the pointer two words.
    Option<Arc<Vec<(String, Bytes)>>>,
);

impl Headers {
    /// No header.
    pub const NONE: Self = Self(None);

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// How many there are; a name that occurs twice counts twice.
    pub fn len(&self) -> usize {
        self.pairs().len()
    }

    /// The first value of this name.
    pub fn get(&self, name: &str) -> Option<&Bytes> {
        let (_, value) = self.iter().find(|(found, _)| *found == name)?;
        Some(value)
    }

    /// Every value of this name, in order.
    pub fn get_all(&self, name: &str) -> impl Iterator<Item = &Bytes> {
        self.iter()
            .filter_map(move |(found, value)| (found == name).then_some(value))
    }

    /// Every name and value, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Bytes)> {
        self.pairs().iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Bytes of all names and values.
    pub fn len_bytes(&self) -> usize {
        self.pairs()
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum()
    }

    fn pairs(&self) -> &[(String, Bytes)] {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }
}

impl<N: Into<String>, V: Into<Bytes>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let pairs: Vec<_> = pairs
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        Self((!pairs.is_empty()).then(|| Arc::new(pairs)))
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Change, Sequence, Timestamp};

    #[test]
    fn order_and_repetition_are_kept() {
        let pairs = [("b", "1"), ("a", "2"), ("b", ""), ("B", "3")];
        let headers: Headers = pairs.into_iter().collect();
        let told: Vec<_> = headers.iter().map(|(name, value)| (name, &value[..])).collect();
        let expected: Vec<_> = pairs
            .iter()
            .map(|(name, value)| (*name, value.as_bytes()))
            .collect();
        assert_eq!(told, expected);
        assert_eq!((headers.len(), headers.len_bytes()), (4, 7));
        assert_eq!(
            headers.get_all("b").collect::<Vec<_>>(),
            [&Bytes::from("1"), &Bytes::new()]
        );
        assert_eq!(headers.get("c"), None);
    }

    #[test]
    fn none_is_none_however_it_came_about() {
        let none: Headers = std::iter::empty::<(&str, &str)>().collect();
        assert!(none.is_empty());
        assert_eq!((none.len(), none.len_bytes()), (0, 0));
        assert_eq!(none, Headers::NONE);
        assert_eq!(none, Headers::default());
    }

    #[test]
    fn a_change_without_headers_pays_one_word_for_them() {
        assert_eq!(size_of::<Headers>(), size_of::<usize>());
        let change = Change::put("key", "value", Sequence::FIRST, Timestamp::from_nanos(0));
        assert!(change.headers.is_empty());
        assert_eq!(change.len_bytes(), 8);
        let change = change.with_headers([("a", "bc")].into_iter().collect());
        assert_eq!(change.len_bytes(), 11, "what is held in queues counts");
    }
}
