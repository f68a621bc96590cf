//! [`Publisher`]: what a handler publishes to a stream, once although its messages are given to it again.
//!
//! A worker is given each message at least once: after a failure, a crash or a takeover it is given again what came after
//! the last commit, perhaps cut into other batches. Whatever its handler publishes is then published again, too. The server
//! stores a message once if it knows its id (`Nats-Msg-Id`) already, and so the id here is derived from nothing but what
//! stays the same when a message is given again:
//!
//! ```text
//! <worker>/<log>/<created>/<sequence>/<label>/<timestamp>
//! mailer/ORDERS/1763731200000000000/42/customer/1763734800000000042
//! ```
//!
//! - the worker's name: the same in every process that may do its work, another one for other work;
//! - the log, and when it was created, in nanoseconds: the messages of a stream that was made again are others;
//! - the sequence of the message in it;
//! - a label for the effect, among those that the one message has;
//! - when the message was stored: a log that lost its tail uses its sequences again.
//!
//! All but the last is what [`Evidence::message_id`] says. Bytes that are not printable ASCII are written as `%` and two
//! hexadecimal digits, so that no two effects share an id.
//!
//! # What is guaranteed
//!
//! Let *t* be the moment at which the server stored a message of this id, and *w* the stream's window
//! ([`Publisher::window`]), which [`open`](Publisher::open) has found to be there.
//!
//! 1. When [`Effects::flush`] returns, every effect since the last time is in the stream, or was it: the server has said so of
//!    each. It is to be called before the cursor is committed. Then no effect is left out, whatever crashes. How durable the
//!    stream is, its replicas and the server's `sync_interval` say.
//! 2. Whatever arrives with the same id from *t* until *t + w*, by the server's clock, is not stored, whoever sends it,
//!    from whichever process, in whichever batch, and under whichever subject of the stream. It is acknowledged as a
//!    duplicate, with the sequence of the first.
//! 3. A duplicate does not begin the window anew: what counts is the first one.
//!
//! # What is not
//!
//! - **Later than *t + w*** it is stored again. A worker that is down for longer than the window between an effect and its
//!   commit publishes that effect twice; so does one that is reset to a position further back. The server's default window
//!   is two minutes; it is at least 100 ms and at most the stream's `max_age`. After a restart the server may know an id
//!   for up to *w* longer.
//! - **A server that restarts** knows the ids only of messages that are still stored. One that was deleted, purged, evicted
//!   by a limit, consumed from a work queue, or never kept because nobody was interested is stored again if it comes again.
//!   So is any message of a stream in memory, which is gone itself.
//! - **Without a restart it is the other way round**: the ids of messages that were deleted, purged, evicted or consumed stay
//!   known until *t + w*. A redelivery is then a duplicate of a message that the stream does not hold any more.
//! - **A stream that was deleted and made again**, or restored from a backup of an earlier state, knows nothing of what
//!   came after. A window that is made smaller forgets sooner: it is looked at when the publisher is opened.
//! - **Order** is that of [`Effects::publish`], except that what [`Effects::flush`] has to send again comes after the rest.
//! - **A handler that decides otherwise** when it sees a message again is not protected: under an id that is known nothing
//!   is stored, whatever it holds. Labels must not depend on a clock, a random number or the order of a hash map.
//! - **A stream that publishes into itself** sees its own effects again where the worker's scope has their subjects in it,
//!   and each of those is another message with other ids: that never ends. Choose a scope without them.
//! - **Whoever sources or mirrors the stream** copies what is stored, twice if it is stored twice.
//!
//! All of this was tried with server 2.15. In a stream of three replicas the next leader knows what the former one knew.

mod effects;
mod error;
mod id;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use alluvium_core::{AssignmentVersion, ErrorKind, Evidence, Filter, LogIdentity, Sequence};
use async_nats::Client;
use async_nats::jetstream::{self, Context};

use crate::api::Api;
use crate::mapping::Mapping;
use crate::reach::{Reach, reach_methods};
use crate::subject;

pub use effects::{Acknowledged, Effect, Effects, Flushed};
pub use error::PublisherError;

/// A stream that handlers publish to, each effect once, although the messages that cause them are given again: see
/// [`Effects`] for how, and for how far that goes.
///
/// ```
/// use alluvium_core::{Change, Evidence};
/// use alluvium_nats::{Effect, Publisher, PublisherError};
///
/// /// What a handler does for one delivery. When it has returned, the worker commits.
/// async fn mail(mails: &Publisher, of: &Evidence, orders: &[Change]) -> Result<(), PublisherError> {
///     let mut effects = mails.effects(of);
///     for order in orders {
///         let text = order.value().cloned().unwrap_or_default();
///         effects.publish(order, "customer", Effect::new("mails.customer", text.clone())).await?;
///         effects.publish(order, "sales", Effect::new("mails.sales", text)).await?;
///     }
///     let flushed = effects.flush().await?;
///     println!("{} of {} had been published before", flushed.duplicates(), flushed.messages.len());
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct Publisher {
    api: Arc<Api>,
    context: Context,
    stream: String,
    window: Duration,
    limits: Limits,
}

/// How much may be without an acknowledgement.
#[derive(Clone, Copy, Debug)]
struct Limits {
    messages: usize,
    bytes: usize,
}

/// How a [`Publisher`] reaches its stream.
///
/// The domain and the API prefix are those that the look at the stream goes by: effects are published under their subjects as they
/// are, and have to be brought there by them. The timeout is that of acknowledgements, too.
#[derive(Clone)]
#[must_use = "a builder does nothing until `open`"]
pub struct PublisherBuilder {
    reach: Reach,
    stream: String,
    limits: Limits,
}

impl PublisherBuilder {
    reach_methods!(reach);

    /// How many messages may be without an acknowledgement before [`Effects::publish`] waits. 1,024 by default.
    pub fn max_in_flight_messages(mut self, messages: usize) -> Self {
        self.limits.messages = messages.max(1);
        self
    }

    /// How many bytes may be without an acknowledgement before [`Effects::publish`] waits. 8 MiB by default. A message that is
    /// larger travels alone.
    pub fn max_in_flight_bytes(mut self, bytes: usize) -> Self {
        self.limits.bytes = bytes.max(1);
        self
    }

    /// Looks whether the stream is there, and whether it finds duplicates.
    ///
    /// # Errors
    ///
    /// [`PublisherError::Stream`] if it is not there, or nobody answers, or the server says no;
    /// [`PublisherError::Unsuitable`] if it has no duplicate window, does not acknowledge, is sealed, or is a mirror.
    pub async fn open(self) -> Result<Publisher, PublisherError> {
        let Self {
            reach,
            stream,
            limits,
        } = self;
        if !subject::is_stream(&stream) {
            return Err(alluvium_core::LogError::NotFound { log: stream }.into());
        }
        let api = Api::new(reach.clone(), stream.clone(), Mapping::Stream);
        let config = api.info().await?.config;
        let problem = if config.mirror.is_some() {
            Some("it is a mirror, which nobody can publish to: name its origin")
        } else if config.sealed {
            Some("it is sealed: name another one")
        } else if config.no_ack {
            Some("it does not acknowledge what it stores: turn `no_ack` off")
        } else if config.duplicate_window.is_zero() {
            Some("it has no duplicate window: give it one with `nats stream edit --dupe-window`")
        } else {
            None
        };
        if let Some(problem) = problem {
            return Err(PublisherError::Unsuitable { stream, problem });
        }
        let context = jetstream::ContextBuilder::new()
            .timeout(reach.timeout)
            // Shared by all effects that there are at a time, each of which has limits of its own.
            .max_ack_inflight(1 << 20)
            .build(reach.client);
        Ok(Publisher {
            api: Arc::new(api),
            context,
            stream,
            window: config.duplicate_window,
            limits,
        })
    }
}

impl Publisher {
    /// A publisher to a stream, by way of this client.
    ///
    /// # Errors
    ///
    /// As [`PublisherBuilder::open`].
    pub async fn open(client: Client, stream: impl Into<String>) -> Result<Self, PublisherError> {
        Self::builder(client, stream).open().await
    }

    /// The same, with more to say.
    pub fn builder(client: Client, stream: impl Into<String>) -> PublisherBuilder {
        PublisherBuilder {
            reach: Reach::new(client),
            stream: stream.into(),
            limits: Limits {
                messages: 1_024,
                bytes: 8 << 20,
            },
        }
    }

    /// The stream.
    pub fn stream(&self) -> &str {
        &self.stream
    }

    /// How long the server knows the id of a message after it has stored it, as it was when the publisher was opened. A worker
    /// has to be back within that time for its effects not to be published twice.
    pub fn window(&self) -> Duration {
        self.window
    }

    /// Begins the effects of a delivery.
    pub fn effects(&self, evidence: &Evidence) -> Effects {
        Effects::new(self.clone(), evidence.clone())
    }

    /// Begins the effects of what somebody is given who has a name and a log, and no evidence. The name is that of the
    /// work, not of the process: whoever takes it over has the same.
    pub fn effects_of(&self, worker: impl Into<String>, log: LogIdentity) -> Effects {
        self.effects(&Evidence {
            worker: worker.into(),
            log,
            first: Sequence::ZERO,
            last: Sequence::ZERO,
            attempt: 1,
            assignment: AssignmentVersion::OFF,
        })
    }

    /// What it asks for that nobody takes a subject: the stream may be gone, or without a leader for a moment.
    async fn why_nobody_takes(&self, subject: &str) -> ErrorKind {
        let takes = |filter: &String| {
            let filter = filter.parse::<Filter>();
            filter.is_ok_and(|filter| filter.matches(subject.as_bytes()))
        };
        match self.api.info().await {
            Ok(info) if info.config.subjects.iter().any(takes) => ErrorKind::Transient,
            Ok(_) => ErrorKind::NotFound,
            Err(error) if error.kind() == ErrorKind::NotFound => ErrorKind::NotFound,
            Err(_) => ErrorKind::Transient,
        }
    }
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher")
            .field("stream", &self.stream)
            .field("window", &self.window)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for PublisherBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublisherBuilder")
            .field("stream", &self.stream)
            .field("prefix", &self.reach.prefix)
            .field("timeout", &self.reach.timeout)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
