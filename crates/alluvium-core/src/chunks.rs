//! Iterators over what a trait object hands over in chunks.

use std::{fmt, vec};

/// How many items [`ChunkIter::reading_ahead`] takes at first: most scans are short.
const FIRST_CHUNK: usize = 4;
/// How many items it takes in one go later on.
const LARGEST_CHUNK: usize = 64;

/// A source of items that hands them over in chunks, so that a call through a trait object is paid once a chunk.
pub trait Chunks<T, E>: Send {
    /// Appends the next items to `items`, at least one unless there are no more.
    ///
    /// # Errors
    ///
    /// What ended the source early. Items that were appended before count; nothing comes after.
    fn append_next(&mut self, items: &mut Vec<T>) -> Result<(), E>;
}

/// An iterator over the items of [`Chunks`], one by one, that ends after the first error.
pub struct ChunkIter<T, E> {
    /// `None` once there is no more to come.
    source: Option<Box<dyn Chunks<T, E>>>,
    chunk: vec::IntoIter<T>,
    /// What comes after the chunk.
    failed: Option<E>,
}

impl<T, E> ChunkIter<T, E> {
    /// Iterates over what `source` hands over.
    pub fn new(source: impl Chunks<T, E> + 'static) -> Self {
        Self {
            source: Some(Box::new(source)),
            chunk: Vec::new().into_iter(),
            failed: None,
        }
    }

    /// Iterates over nothing.
    pub fn empty() -> Self {
        Self {
            source: None,
            chunk: Vec::new().into_iter(),
            failed: None,
        }
    }

    /// Iterates over what another iterator gives, reading a few items ahead.
    pub fn reading_ahead(items: impl Iterator<Item = Result<T, E>> + Send + 'static) -> Self {
        Self::new(ReadAhead {
            items,
            chunk: FIRST_CHUNK,
        })
    }

    /// Takes the next chunk. True if there was one.
    #[cold]
    fn refill(&mut self) -> bool {
        let Some(source) = &mut self.source else {
            return false;
        };
        let mut items = Vec::new();
        let outcome = source.append_next(&mut items);
        if items.is_empty() || outcome.is_err() {
            self.source = None;
        }
        self.failed = outcome.err();
        self.chunk = items.into_iter();
        !self.chunk.as_slice().is_empty()
    }
}

impl<T, E> Iterator for ChunkIter<T, E> {
    type Item = Result<T, E>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if !self.chunk.as_slice().is_empty() || self.refill() {
            self.chunk.next().map(Ok)
        } else {
            self.failed.take().map(Err)
        }
    }
}

impl<T: Send, E: Send> Chunks<T, E> for ChunkIter<T, E> {
    fn append_next(&mut self, items: &mut Vec<T>) -> Result<(), E> {
        if !self.chunk.as_slice().is_empty() {
            items.extend(self.chunk.by_ref());
            return Ok(());
        }
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let Some(source) = &mut self.source else {
            return Ok(());
        };
        let before = items.len();
        let outcome = source.append_next(items);
        if items.len() == before || outcome.is_err() {
            self.source = None;
        }
        outcome
    }
}

impl<T, E> fmt::Debug for ChunkIter<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunkIter").finish_non_exhaustive()
    }
}

struct ReadAhead<I> {
    items: I,
    chunk: usize,
}

impl<T, E, I: Iterator<Item = Result<T, E>> + Send> Chunks<T, E> for ReadAhead<I> {
    fn append_next(&mut self, items: &mut Vec<T>) -> Result<(), E> {
        for item in self.items.by_ref().take(self.chunk) {
            items.push(item?);
        }
        self.chunk = LARGEST_CHUNK.min(2 * self.chunk);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands over the numbers up to `end` in chunks of `size`, then fails if it is told to.
    struct Numbers {
        next: u32,
        end: u32,
        size: u32,
        fails: bool,
    }

    impl Chunks<u32, &'static str> for Numbers {
        fn append_next(&mut self, items: &mut Vec<u32>) -> Result<(), &'static str> {
            let until = self.end.min(self.next + self.size);
            items.extend(self.next..until);
            self.next = until;
            if until == self.end && self.fails {
                Err("the end")
            } else {
                Ok(())
            }
        }
    }

    fn numbers(end: u32, size: u32, fails: bool) -> Numbers {
        Numbers {
            next: 0,
            end,
            size,
            fails,
        }
    }

    fn expected(end: u32, fails: bool) -> Vec<Result<u32, &'static str>> {
        let error = fails.then_some(Err("the end"));
        (0..end).map(Ok).chain(error).collect()
    }

    #[test]
    fn every_item_comes_once_and_the_error_last() {
        for (end, size, fails) in [
            (0, 1, false),
            (0, 1, true),
            (7, 3, false),
            (7, 3, true),
            (6, 3, true),
        ] {
            let mut iter = ChunkIter::new(numbers(end, size, fails));
            let items: Vec<_> = iter.by_ref().collect();
            assert_eq!(items, expected(end, fails), "{end} by {size}");
            assert_eq!(iter.next(), None);
        }
    }

    #[test]
    fn a_chunk_iterator_hands_over_chunks_itself() {
        for (end, fails) in [(0, false), (7, false), (7, true), (200, true)] {
            let mut first = ChunkIter::reading_ahead(expected(end, fails).into_iter());
            let head: Vec<_> = first.by_ref().take(2).collect();
            let rest: Vec<_> = ChunkIter::new(first).collect();
            let all: Vec<_> = head.into_iter().chain(rest).collect();
            assert_eq!(all, expected(end, fails));
        }
    }

    #[test]
    fn nothing_is_nothing() {
        assert_eq!(ChunkIter::<u32, &str>::empty().next(), None);
    }
}
