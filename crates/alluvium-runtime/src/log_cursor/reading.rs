//! A read that is under way: what has arrived and was not given yet.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::Poll;

use alluvium_core::{Change, LogError, LogEvent, LogStream, Scope, Sequence};

use super::LogCursor;
use super::gaps::Hole;

/// So much is taken from the stream at a time, at most.
const MAX_CHANGES: usize = 1_024;
const MAX_BYTES: usize = 512 << 10;

pub(super) struct Reading {
    log: String,
    stream: LogStream,
    /// What has arrived and was not given yet.
    pub(super) buffer: VecDeque<Change>,
    /// What ended the stream. To be told when the buffer is empty.
    pub(super) failed: Option<LogError>,
    /// Where the reader was caught up, if nothing has come since.
    pub(super) caught_up: Option<Sequence>,
    /// What would come next if nothing were missing.
    next: Sequence,
    /// Holes in what has arrived that were not explained yet.
    pub(super) holes: Vec<Hole>,
    /// The log's first message when it was asked last.
    pub(super) log_first: Sequence,
}

impl Reading {
    pub(super) fn new(log: String, stream: LogStream, next: Sequence, log_first: Sequence) -> Self {
        Self {
            log,
            stream,
            buffer: VecDeque::new(),
            failed: None,
            caught_up: None,
            next,
            holes: Vec::new(),
            log_first,
        }
    }

    /// What has arrived, the first of it in any case: until it is so many messages or so many bytes.
    pub(super) fn take(&mut self, max: usize, max_bytes: usize) -> Vec<Change> {
        let mut bytes = 0_usize;
        let count = self
            .buffer
            .iter()
            .take(max)
            .take_while(|change| {
                let room = bytes == 0 || bytes < max_bytes;
                bytes = bytes.saturating_add(change.len_bytes());
                room
            })
            .count();
        self.buffer.drain(..count).collect()
    }

    /// Waits for something to arrive, and takes what is there. Cancel-safe.
    pub(super) async fn fill(&mut self, scope: &Scope) {
        let everything = scope.is_all();
        let (mut bytes, mut events) = (0, 0);
        poll_fn(|context| {
            while self.buffer.len() < MAX_CHANGES && bytes < MAX_BYTES && self.failed.is_none() {
                match self.stream.as_mut().poll_next(context) {
                    Poll::Ready(Some(Ok(LogEvent::Change(change)))) => {
                        bytes += change.len_bytes();
                        self.arrived(change, everything);
                    }
                    Poll::Ready(Some(Ok(LogEvent::CaughtUp(sequence)))) => {
                        self.caught_up(sequence, everything);
                        events += 1;
                        break;
                    }
                    Poll::Ready(Some(Err(error))) => self.failed = Some(error),
                    Poll::Ready(None) => {
                        self.failed = Some(LogError::Unavailable {
                            log: self.log.clone(),
                            doing: "reading",
                            source: "the stream ended".into(),
                        });
                    }
                    Poll::Pending if self.buffer.is_empty() && events == 0 => return Poll::Pending,
                    Poll::Pending => break,
                }
            }
            Poll::Ready(())
        })
        .await;
    }

    fn arrived(&mut self, change: Change, everything: bool) {
        // A reader that was caught up is given what comes as it comes: what lies between is the filter's.
        if change.sequence > self.next && (everything || self.caught_up.is_none()) {
            self.holes.push(Hole {
                first: self.next,
                last: change.sequence.previous(),
                delivered: Some(change.sequence),
            });
        }
        self.caught_up = None;
        self.next = change.sequence.next();
        self.buffer.push_back(change);
    }

    fn caught_up(&mut self, sequence: Sequence, everything: bool) {
        if everything && sequence >= self.next {
            self.holes.push(Hole {
                first: self.next,
                last: sequence,
                delivered: None,
            });
        }
        self.caught_up = Some(sequence);
        self.next = self.next.max(sequence.next());
    }
}

impl LogCursor {
    /// Asks the log about holes, once for all that have arrived together. Cancel-safe: they stay until it has answered.
    pub(super) async fn explain_holes(&mut self) {
        let Some(reading) = &mut self.reading else { return };
        let observed = self.observed;
        reading.holes.retain_mut(|hole| {
            hole.first = hole.first.max(observed.next());
            hole.first <= hole.last
        });
        let Some(last) = reading.holes.last().map(|hole| hole.last) else {
            return;
        };
        let mut log_first = Some(reading.log_first);
        if last >= reading.log_first {
            log_first = match self.log.bounds().await {
                Ok(bounds) if bounds.log == self.position.log => Some(bounds.first),
                _ => None,
            };
        }
        reading.log_first = log_first.unwrap_or(reading.log_first);
        for hole in reading.holes.drain(..) {
            if let Some(gap) = hole.explain(log_first, self.scope.is_all()) {
                self.gaps.push(gap);
            }
        }
        self.observed = self.observed.max(last);
    }
}
