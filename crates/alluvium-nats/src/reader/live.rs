//! A consumer that is being read, and the pull requests that are sent to it.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use alluvium_core::Sequence;
use async_nats::message::OutboundMessage;
use async_nats::{Client, Subject};
use futures_util::Sink;

use super::pulls::{Grant, Pulls};
use crate::consumer::{Open, Purpose};

/// The server says so often that it is there while it has nothing to deliver.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(2);
/// The same for a listing, whose end it can mark.
const LISTING_HEARTBEAT: Duration = Duration::from_millis(10);
/// How long the server keeps a pull.
const EXPIRES: Duration = Duration::from_secs(30);
/// The same for a listing, of which nobody may be reading the heartbeats.
const LISTING_EXPIRES: Duration = Duration::from_secs(5);
/// The same while the consumer's node may lie behind.
const UNSETTLED_EXPIRES: Duration = Duration::from_secs(1);

/// A consumer that is being read.
pub(super) struct Live {
    pub(super) open: Open,
    next_subject: Subject,
    pub(super) pulls: Pulls,
    /// The consumer sequence of the next message.
    pub(super) next: u64,
    /// How many messages the server had left to deliver after the last one that came.
    pub(super) left: u64,
    /// Looks since the server last said anything.
    pub(super) silent: u32,
    /// Whether the consumer's node has told of something at or after what the log ended with when the consumer was made.
    /// Before that, its end is not the log's.
    settled: bool,
}

impl Live {
    /// A consumer of which nothing has come yet.
    pub(super) fn new(open: Open, next_subject: Subject, pulls: Pulls) -> Self {
        Self {
            settled: !open.behind,
            left: open.pending,
            open,
            next_subject,
            pulls,
            next: 1,
            silent: 0,
        }
    }

    /// The consumer's node has told of this sequence. Whether its end is the log's, then.
    pub(super) fn reaches(&mut self, sequence: Sequence) -> bool {
        self.settled |= sequence >= self.open.last;
        self.settled
    }

    /// Sends the pulls that are wanted, as far as the client takes them.
    pub(super) fn poll_pulls(
        &mut self,
        client: &mut Client,
        purpose: Purpose,
        context: &mut Context<'_>,
    ) -> Result<(), ()> {
        while let Some((id, grant)) = self.pulls.wanted() {
            match Sink::<OutboundMessage>::poll_ready(Pin::new(client), context) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Err(()),
                Poll::Pending => return Ok(()),
            }
            let request = OutboundMessage {
                subject: self.next_subject.clone(),
                reply: Some(Subject::from(format!("{}.{id}", self.open.inbox))),
                payload: self.request(grant, purpose).into(),
                headers: None,
            };
            Sink::<OutboundMessage>::start_send(Pin::new(client), request).map_err(|_| ())?;
            self.pulls.sent(grant);
        }
        Ok(())
    }

    fn request(&self, grant: Grant, purpose: Purpose) -> String {
        let (expires, heartbeat, no_wait) = match purpose {
            // Where it cannot tell the end by what is pending, it has to tell it otherwise, and soon.
            Purpose::Follow if !self.settled => (UNSETTLED_EXPIRES, LISTING_HEARTBEAT, ""),
            Purpose::Follow => (EXPIRES, HEARTBEAT, ""),
            // Such a pull ends when the server has nothing more to deliver just then.
            Purpose::List { .. } => (LISTING_EXPIRES, LISTING_HEARTBEAT, r#","no_wait":true"#),
        };
        let longest = self.open.limits.expires;
        let expires = if longest.is_zero() {
            expires
        } else {
            expires.min(longest)
        };
        // The server takes no heartbeat longer than half of what the pull lives.
        let heartbeat = heartbeat.min(expires / 2);
        let max_bytes = grant
            .bytes
            .map_or(String::new(), |bytes| format!(r#","max_bytes":{bytes}"#));
        format!(
            r#"{{"batch":{},"expires":{},"idle_heartbeat":{}{max_bytes}{no_wait}}}"#,
            grant.messages,
            expires.as_nanos(),
            heartbeat.as_nanos(),
        )
    }

    /// The number of the pull that a status is about.
    pub(super) fn pull_of(&self, subject: &str) -> Option<u64> {
        subject
            .strip_prefix(&self.open.inbox)?
            .strip_prefix('.')?
            .parse()
            .ok()
    }
}
