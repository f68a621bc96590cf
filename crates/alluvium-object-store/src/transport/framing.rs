//! Segments as the pieces of a tar, none of them copied.

use std::collections::VecDeque;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use alluvium_core::BoxError;
use alluvium_core::artifact::{EncodedSegment, SegmentRef, SegmentStream};
use alluvium_segment::pack;
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};

/// The pieces of a pack.
pub(super) struct Framed {
    /// `None` once they have ended.
    segments: Option<SegmentStream>,
    pieces: VecDeque<Bytes>,
    /// How many bytes there were before what comes next.
    offset: u64,
    told: Told,
}

/// What has been framed, and where: whole once the pieces have ended.
#[derive(Clone, Default)]
pub(super) struct Told(Arc<Mutex<Vec<SegmentRef>>>);

impl Told {
    pub(super) fn segments(&self) -> Vec<SegmentRef> {
        mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn push(&self, segment: SegmentRef) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(segment);
    }
}

impl Framed {
    /// The pack of these segments; none if there are none.
    pub(super) async fn of(mut segments: SegmentStream) -> Result<Option<(Self, Told)>, BoxError> {
        let Some(first) = segments.next().await.transpose()? else {
            return Ok(None);
        };
        let told = Told::default();
        let mut framed = Self {
            segments: Some(segments),
            pieces: VecDeque::new(),
            offset: 0,
            told: told.clone(),
        };
        framed.frame(first)?;
        Ok(Some((framed, told)))
    }

    fn frame(&mut self, (info, bytes): EncodedSegment) -> Result<(), BoxError> {
        if bytes.len() as u64 != info.length {
            return Err(format!(
                "a segment of {} bytes is told to have {}",
                bytes.len(),
                info.length
            )
            .into());
        }
        let header = pack::header(&info.sha256, info.length)?;
        let offset = self.offset + header.len() as u64;
        let padding = pack::padding(info.length);
        self.told.push(SegmentRef { offset, info });
        for piece in [header, bytes, padding] {
            self.piece(piece);
        }
        Ok(())
    }

    fn piece(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.offset += piece.len() as u64;
            self.pieces.push_back(piece);
        }
    }
}

impl Stream for Framed {
    type Item = Result<Bytes, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(piece) = self.pieces.pop_front() {
                return Poll::Ready(Some(Ok(piece)));
            }
            let Some(segments) = &mut self.segments else {
                return Poll::Ready(None);
            };
            let Some(segment) = ready!(segments.poll_next_unpin(context)) else {
                self.segments = None;
                self.piece(pack::end());
                continue;
            };
            if let Err(error) = segment.and_then(|segment| self.frame(segment)) {
                self.segments = None;
                return Poll::Ready(Some(Err(error)));
            }
        }
    }
}
