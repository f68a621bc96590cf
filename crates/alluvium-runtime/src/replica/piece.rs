//! What there is to be received, in pieces.

use std::future::poll_fn;
use std::task::Poll;

use alluvium_core::{Change, LogError, LogEvent, LogStream, Sequence};

use super::queue::weight;

/// Received changes are handed over in pieces of at most this many, or of this weight: large enough that handing over
/// costs nothing per change, small enough that the applying thread is not kept waiting for a flood to pause.
const PIECE: usize = 1_024;
pub(super) const PIECE_BYTES: usize = 512 << 10;

/// What was there to be received at one go.
#[derive(Default)]
pub(super) struct Piece {
    pub(super) changes: Vec<Change>,
    bytes: usize,
    pub(super) end: Option<PieceEnd>,
}

pub(super) enum PieceEnd {
    CaughtUp(Sequence),
    Failed(LogError),
    Over,
}

/// What there is to be received now; waits for something.
pub(super) async fn receive(stream: &mut LogStream) -> Piece {
    let mut piece = Piece::default();
    poll_fn(|context| {
        while piece.changes.len() < PIECE && piece.bytes < PIECE_BYTES && piece.end.is_none() {
            match stream.as_mut().poll_next(context) {
                Poll::Ready(Some(Ok(LogEvent::Change(change)))) => {
                    piece.bytes += weight(&change);
                    piece.changes.push(change);
                }
                Poll::Ready(Some(Ok(LogEvent::CaughtUp(sequence)))) => {
                    piece.end = Some(PieceEnd::CaughtUp(sequence));
                }
                Poll::Ready(Some(Err(error))) => piece.end = Some(PieceEnd::Failed(error)),
                Poll::Ready(None) => piece.end = Some(PieceEnd::Over),
                Poll::Pending if piece.changes.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready(std::mem::take(&mut piece))
    })
    .await
}
