//! Which messages were listed, in bounded memory: a set of sequences and timestamps, filled in rising order.
//!
//! A row is what the log holds of its key if the message that put it there was listed, so that no keys need to be kept. What
//! does not fit into one window goes to a file without a name, which the system removes with the process, however that ends.
//! Windows come back one at a time: whoever has rows to look up goes through them once for each.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read as _, Seek as _, Write as _};

use alluvium_core::{Sequence, Timestamp};

/// Messages of one window: 32 MiB.
pub(super) const WINDOW: usize = 2 << 20;

/// Bytes of a message in the file.
const STORED: usize = 16;

type Message = (Sequence, Timestamp);

/// The set.
pub(super) struct ListedSet {
    limit: usize,
    last: Sequence,
    /// What comes after all that is in the file.
    newest: Vec<Message>,
    /// Whole windows, and how many.
    file: Option<(BufWriter<File>, usize)>,
}

/// A part of the set, and all that there is of it from the part before up to its end.
pub(super) struct Window {
    after: Sequence,
    /// The last window tells about everything that comes after it, too.
    last: Sequence,
    messages: Vec<Message>,
}

impl ListedSet {
    pub(super) fn new() -> Self {
        Self::with_window(WINDOW)
    }

    fn with_window(limit: usize) -> Self {
        Self {
            limit,
            last: Sequence::ZERO,
            newest: Vec::new(),
            file: None,
        }
    }

    /// Adds a message that comes after all that are there; says `false` about any other, which changes nothing.
    pub(super) fn push(&mut self, sequence: Sequence, timestamp: Timestamp) -> std::io::Result<bool> {
        if sequence <= self.last {
            return Ok(false);
        }
        if self.newest.len() >= self.limit {
            self.put_away()?;
        }
        self.newest.push((sequence, timestamp));
        self.last = sequence;
        Ok(true)
    }

    /// Moves the window to the file.
    fn put_away(&mut self) -> std::io::Result<()> {
        let (file, windows) = match &mut self.file {
            Some(file) => file,
            None => self.file.insert((BufWriter::new(tempfile::tempfile()?), 0)),
        };
        for (sequence, timestamp) in self.newest.drain(..) {
            file.write_all(&sequence.get().to_le_bytes())?;
            file.write_all(&timestamp.as_nanos().to_le_bytes())?;
        }
        *windows += 1;
        Ok(())
    }

    /// The windows one after another. Together they tell about every sequence, each about others.
    pub(super) fn windows(self) -> std::io::Result<impl Iterator<Item = std::io::Result<Window>>> {
        let Self {
            limit, newest, file, ..
        } = self;
        let (mut file, windows) = match file {
            None => (None, 0),
            Some((writer, windows)) => {
                let mut file = writer.into_inner().map_err(std::io::IntoInnerError::into_error)?;
                file.rewind()?;
                (Some(BufReader::new(file)), windows)
            }
        };
        let mut newest = Some(newest);
        let (mut given, mut after) = (0, Sequence::ZERO);
        Ok(std::iter::from_fn(move || {
            let messages = match &mut file {
                Some(file) if given < windows => match read(file, limit) {
                    Ok(messages) => messages,
                    Err(error) => {
                        newest = None;
                        given = windows;
                        return Some(Err(error));
                    }
                },
                _ => newest.take()?,
            };
            given += 1;
            let last = match (&newest, messages.last()) {
                (Some(_), Some((last, _))) => *last,
                _ => Sequence::new(u64::MAX),
            };
            Some(Ok(Window {
                after: std::mem::replace(&mut after, last),
                last,
                messages,
            }))
        }))
    }
}

fn read(file: &mut BufReader<File>, messages: usize) -> std::io::Result<Vec<Message>> {
    let mut window = Vec::with_capacity(messages);
    for _ in 0..messages {
        let mut stored = [0; STORED];
        file.read_exact(&mut stored)?;
        let (sequence, timestamp) = (u128::from_le_bytes(stored), u128::from_le_bytes(stored) >> 64);
        #[allow(clippy::cast_possible_truncation, reason = "each is one half")]
        window.push((
            Sequence::new(sequence as u64),
            Timestamp::from_nanos((timestamp as u64).cast_signed()),
        ));
    }
    Ok(window)
}

impl Window {
    /// Whether a message was listed; `None` if another window tells.
    pub(super) fn tells(&self, sequence: Sequence, timestamp: Timestamp) -> Option<bool> {
        // No message is at zero, so the first window need not tell about it.
        (sequence > self.after && sequence <= self.last)
            .then(|| self.messages.binary_search(&(sequence, timestamp)).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn exactly_one_window_tells_of_each_message_and_it_tells_the_truth(
            steps in prop::collection::vec((1..5_u64, any::<i64>()), 0..100),
            limit in 1..20_usize,
        ) {
            let mut set = ListedSet::with_window(limit);
            let mut listed = std::collections::BTreeMap::new();
            let mut last = 0;
            for (step, nanos) in steps {
                last += step;
                prop_assert!(set.push(Sequence::new(last), Timestamp::from_nanos(nanos)).unwrap());
                prop_assert!(!set.push(Sequence::new(last), Timestamp::from_nanos(nanos)).unwrap());
                listed.insert(last, nanos);
            }
            let windows: Vec<Window> = set.windows().unwrap().collect::<Result<_, _>>().unwrap();
            prop_assert_eq!(windows.len(), listed.len().div_ceil(limit).max(1));
            for sequence in 1..last + 10 {
                let nanos = listed.get(&sequence).copied();
                for (at, expected) in [(nanos.unwrap_or(0), nanos.is_some()), (nanos.unwrap_or(0) ^ 1, false)] {
                    let told: Vec<bool> = windows
                        .iter()
                        .filter_map(|window| window.tells(Sequence::new(sequence), Timestamp::from_nanos(at)))
                        .collect();
                    prop_assert_eq!(told, vec![expected], "{} at {}", sequence, at);
                }
            }
        }
    }
}
