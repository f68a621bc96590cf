//! A stream of pieces of any length, cut into parts of one length.

use std::mem;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use object_store::PutPayload;

/// Some pieces in a row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Part {
    pub(crate) pieces: Vec<Bytes>,
    pub(crate) length: usize,
}

impl Part {
    pub(crate) fn payload(&self) -> PutPayload {
        self.pieces.iter().cloned().collect()
    }

    fn push(&mut self, piece: Bytes) {
        self.length += piece.len();
        self.pieces.push(piece);
    }
}

impl From<Bytes> for Part {
    fn from(piece: Bytes) -> Self {
        let mut part = Self::default();
        if !piece.is_empty() {
            part.push(piece);
        }
        part
    }
}

/// The parts of a stream: all of one length, but for the last, which is shorter or empty.
pub(crate) struct Parts<S> {
    /// `None` once it has ended.
    stream: Option<S>,
    /// What came with the part before.
    rest: Bytes,
    length: usize,
}

impl<S> Parts<S> {
    pub(super) fn new(stream: S, length: usize) -> Self {
        Self {
            stream: Some(stream),
            rest: Bytes::new(),
            length,
        }
    }
}

impl<S, E> Parts<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    /// The next part, without copying a byte. One that is shorter than the others is the last.
    ///
    /// # Errors
    ///
    /// Those of the stream.
    pub(crate) async fn next(&mut self) -> Result<Part, E> {
        let mut part = Part::default();
        loop {
            let room = self.length - part.length;
            let mut piece = mem::take(&mut self.rest);
            if piece.len() > room {
                self.rest = piece.split_off(room);
            }
            if !piece.is_empty() {
                part.push(piece);
            }
            if part.length == self.length {
                return Ok(part);
            }
            let Some(stream) = &mut self.stream else {
                return Ok(part);
            };
            match stream.next().await {
                Some(next) => self.rest = next?,
                None => self.stream = None,
            }
        }
    }

    /// Whether this part is the last.
    pub(crate) fn is_last(&self, part: &Part) -> bool {
        part.length < self.length
    }
}
