//! [`Effects`]: what was published since the last flush, until the server has acknowledged it.

use std::collections::HashSet;
use std::fmt;
use std::future::{Future, IntoFuture as _};
use std::pin::Pin;
use std::str::FromStr as _;
use std::sync::Arc;

use alluvium_core::{Change, ErrorKind, Evidence, Headers, Sequence};
use async_nats::header::{HeaderName, HeaderValue};
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::{self, ErrorCode};
use async_nats::{HeaderMap, Subject};
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

use super::id::message_id;
use super::{Publisher, PublisherError};
use crate::kind;

const MESSAGE_ID: &str = "Nats-Msg-Id";
const EXPECTED_STREAM: &str = "Nats-Expected-Stream";

/// What is published because of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    subject: String,
    payload: Bytes,
    headers: Headers,
}

impl Effect {
    /// This payload under this subject.
    pub fn new(subject: impl Into<String>, payload: impl Into<Bytes>) -> Self {
        Self {
            subject: subject.into(),
            payload: payload.into(),
            headers: Headers::NONE,
        }
    }

    /// The same with these headers. `Nats-Msg-Id` and `Nats-Expected-Stream` cannot be among them: they are set here.
    #[must_use]
    pub fn with_headers(self, headers: Headers) -> Self {
        Self { headers, ..self }
    }

    fn len_bytes(&self) -> usize {
        self.subject.len() + self.payload.len() + self.headers.len_bytes()
    }

    /// Why it cannot be published.
    fn problem(&self) -> Option<String> {
        let Self { subject, headers, .. } = self;
        let is_token = |token: &str| {
            !token.is_empty()
                && token != "*"
                && token != ">"
                && !token.contains(|c: char| c.is_whitespace() || c.is_control())
        };
        if !subject.split('.').all(is_token) {
            return Some(format!(
                "{subject:?} is no subject to publish under: use words between dots, without wildcards and white space"
            ));
        }
        for (name, value) in headers.iter() {
            if [MESSAGE_ID, EXPECTED_STREAM]
                .iter()
                .any(|own| own.eq_ignore_ascii_case(name))
            {
                return Some(format!("the header {name} is the publisher's own: leave it out"));
            }
            if header(name, value).is_none() {
                return Some(format!(
                    "the header {name:?} cannot be sent: use printable ASCII for the name, and text without line breaks for \
                     the value"
                ));
            }
        }
        None
    }

    fn message(&self, id: &str, stream: &str) -> PublishMessage {
        let mut map = HeaderMap::new();
        let valid = self
            .headers
            .iter()
            .filter_map(|(name, value)| header(name, value));
        for (name, value) in valid {
            map.append(name, value);
        }
        map.insert(MESSAGE_ID, id);
        map.insert(EXPECTED_STREAM, stream);
        PublishMessage::build().payload(self.payload.clone()).headers(map)
    }
}

fn header(name: &str, value: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let value = std::str::from_utf8(value).ok()?;
    Some((
        HeaderName::from_str(name).ok()?,
        HeaderValue::from_str(value).ok()?,
    ))
}

/// An effect that is in the stream, or was it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// Its message id.
    pub id: String,
    /// Where it was stored.
    pub sequence: Sequence,
    /// Whether it had been stored before, and was not this time.
    pub duplicate: bool,
}

/// What a [flush](Effects::flush) has brought to an end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Flushed {
    /// The effects, in the order in which they were published.
    pub messages: Vec<Acknowledged>,
}

impl Flushed {
    /// How many of them had been stored before.
    pub fn duplicates(&self) -> usize {
        self.messages.iter().filter(|message| message.duplicate).count()
    }
}

/// Until the server has answered, or the time for that is over.
type Answer = Pin<Box<dyn Future<Output = (usize, Result<PublishAck, PublishError>)> + Send>>;

/// The effects of the messages that a worker was given, published under ids that are derived from those messages.
///
/// The guarantee is in time, and is this. Let *t* be when the server stored an effect, and *w* the stream's duplicate window
/// ([`Publisher::window`]).
///
/// - Until *t + w*, by the server's clock, it is not stored again, whoever publishes it and however the messages are cut
///   into batches. A duplicate does not begin the window anew.
/// - Later it is stored again: a worker that is down for longer, or is reset further back, publishes twice.
/// - When [`flush`](Self::flush) has returned, every effect is in the stream, or was it. Commit the cursor after that, and
///   none is left out.
///
/// A stream that is deleted and made again, or restored, forgets; so does a server that restarts, for messages that are not
/// stored any more. Of messages that were deleted or purged without a restart the ids stay known until *t + w*: what is
/// published again is then stored nowhere. A worker whose scope has the subjects of its own effects in it never comes to an
/// end.
///
/// Dropped without a flush, they are given up: what is on its way may still be stored, and will be a duplicate when
/// the messages are given again. For a batch that is rolled back that is what to do.
pub struct Effects {
    publisher: Publisher,
    evidence: Evidence,
    /// Since the last flush that was a success.
    entries: Vec<Entry>,
    ids: HashSet<String>,
    answers: FuturesUnordered<Answer>,
    /// How many, and how many bytes, are not acknowledged.
    held: (usize, usize),
}

struct Entry {
    id: String,
    state: State,
}

enum State {
    /// It is sent, or is about to be.
    Sent(Effect),
    /// It may be stored or not.
    Failed(Effect, Arc<PublishError>),
    Stored(Sequence, bool),
}

impl Effects {
    pub(super) fn new(publisher: Publisher, evidence: Evidence) -> Self {
        Self {
            publisher,
            evidence,
            entries: Vec::new(),
            ids: HashSet::new(),
            answers: FuturesUnordered::new(),
            held: (0, 0),
        }
    }

    /// Publishes an effect of a message. The label tells it from other effects of the same message: a number, or a word.
    /// Does not wait until it is stored, [`flush`](Self::flush) does, but until there is room. A call that is dropped has
    /// published it or not.
    ///
    /// # Errors
    ///
    /// [`PublisherError::Invalid`] for a subject or header that cannot be sent, and for a label that another effect of that
    /// message has had since the last flush; [`PublisherError::Unacknowledged`] if there is no room because others have
    /// failed. The effect is then not published.
    pub async fn publish(
        &mut self,
        source: &Change,
        label: impl fmt::Display,
        effect: Effect,
    ) -> Result<(), PublisherError> {
        let id = message_id(&self.evidence, source, label)?;
        if let Some(problem) = effect.problem() {
            return Err(PublisherError::Invalid(problem));
        }
        if self.ids.contains(&id) {
            // The server would take the second for the first.
            return Err(PublisherError::Invalid(format!(
                "two effects of one message have the id {id}: give each another label"
            )));
        }
        self.make_room(effect.len_bytes()).await?;
        self.held.0 += 1;
        self.held.1 += effect.len_bytes();
        let index = self.entries.len();
        self.ids.insert(id.clone());
        self.entries.push(Entry {
            id,
            // Until it is sent: a call that is dropped meanwhile leaves it to the flush.
            state: State::Failed(effect, Arc::new(PublishError::new(PublishErrorKind::TimedOut))),
        });
        self.send(index).await;
        Ok(())
    }

    /// Waits until the server has acknowledged everything that was published since the last time. What had failed is sent
    /// again first, and is stored once all the same. Cancel-safe: a call that is dropped is to be made again.
    ///
    /// # Errors
    ///
    /// [`PublisherError::Unacknowledged`]: at least one effect may be stored or not. Flush again, or give the effects up
    /// and have the messages given again; but do not commit.
    pub async fn flush(&mut self) -> Result<Flushed, PublisherError> {
        for index in 0..self.entries.len() {
            if matches!(self.entries[index].state, State::Failed(..)) {
                self.send(index).await;
            }
        }
        while let Some((index, answer)) = self.answers.next().await {
            self.settle(index, answer);
        }
        if let Some(error) = self.failure().await {
            return Err(error);
        }
        self.ids.clear();
        let messages = self
            .entries
            .drain(..)
            .filter_map(|Entry { id, state }| match state {
                State::Stored(sequence, duplicate) => Some(Acknowledged {
                    id,
                    sequence,
                    duplicate,
                }),
                State::Sent(_) | State::Failed(..) => None,
            });
        Ok(Flushed {
            messages: messages.collect(),
        })
    }

    /// How many effects are not acknowledged.
    pub fn unacknowledged(&self) -> usize {
        self.held.0
    }

    async fn make_room(&mut self, bytes: usize) -> Result<(), PublisherError> {
        let limits = self.publisher.limits;
        while self.held.0 >= limits.messages
            || (self.held.0 > 0 && self.held.1.saturating_add(bytes) > limits.bytes)
        {
            match self.answers.next().await {
                Some((index, answer)) => self.settle(index, answer),
                // What is left has failed.
                None => return self.failure().await.map_or(Ok(()), Err),
            }
        }
        Ok(())
    }

    /// Sends an entry that has failed, or was never sent.
    async fn send(&mut self, index: usize) {
        let Entry { id, state } = &mut self.entries[index];
        let State::Failed(effect, why) = state else { return };
        let message = effect.message(id, &self.publisher.stream);
        let subject = Subject::from(effect.subject.as_str());
        match self.publisher.context.send_publish(subject, message).await {
            Ok(answer) => {
                *state = State::Sent(effect.clone());
                let answer = answer.into_future();
                self.answers.push(Box::pin(async move { (index, answer.await) }));
            }
            Err(error) => *why = Arc::new(error),
        }
    }

    fn settle(&mut self, index: usize, answer: Result<PublishAck, PublishError>) {
        let state = &mut self.entries[index].state;
        let State::Sent(effect) = state else { return };
        *state = match answer {
            Ok(ack) => {
                self.held.0 -= 1;
                self.held.1 -= effect.len_bytes();
                State::Stored(Sequence::new(ack.sequence), ack.duplicate)
            }
            Err(error) => State::Failed(effect.clone(), Arc::new(error)),
        };
    }

    /// The first that failed. Borrowed for itself: who flushes has to be able to go to another thread, and effects cannot be
    /// shared by two.
    async fn failure(&mut self) -> Option<PublisherError> {
        let failed = |entry: &&Entry| matches!(entry.state, State::Failed(..));
        let first = self.entries.iter().find(failed)?;
        let State::Failed(effect, error) = &first.state else {
            return None;
        };
        let kind = match error.kind() {
            PublishErrorKind::StreamNotFound => self.publisher.why_nobody_takes(&effect.subject).await,
            _ => kind_of(error),
        };
        Some(PublisherError::Unacknowledged {
            stream: self.publisher.stream.clone(),
            missing: self.entries.iter().filter(failed).count(),
            published: self.entries.len(),
            id: first.id.clone(),
            subject: effect.subject.clone(),
            kind,
            source: Arc::clone(error).into(),
        })
    }
}

/// What an effect that failed asks for.
fn kind_of(error: &PublishError) -> ErrorKind {
    let refused =
        std::error::Error::source(error).and_then(|source| source.downcast_ref::<jetstream::Error>());
    match refused {
        Some(refused) if refused.error_code() == ErrorCode::STREAM_NOT_MATCH => ErrorKind::Invalid,
        // A cluster is just storing one of the same id.
        Some(refused) if refused.code() == 409 => ErrorKind::Transient,
        _ => kind::of_publish(error),
    }
}

impl fmt::Debug for Effects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Effects")
            .field("stream", &self.publisher.stream)
            .field("published", &self.entries.len())
            .field("unacknowledged", &self.held.0)
            .finish_non_exhaustive()
    }
}
