//! Reads a log: pulls, checks that nothing is missing, and starts over where it stopped when something is.
//!
//! Each message says its place among those that the consumer delivered. A place left out means that messages were
//! lost on the way: with a connection, or because a channel inside the client was full. Then, and whenever the
//! consumer may be gone, a new one takes over right after the last message that was given. A heartbeat says how far
//! the consumer has delivered, so that the loss of the very last messages shows too.
//!
//! The stream is polled by hand. Whatever has arrived is handed on without a timer, a task or a channel in between; only
//! when nothing has arrived is it looked whether the connection is the same and the server still speaks.

mod live;
mod pulls;
mod reopen;
mod reply;
mod status;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use alluvium_core::{Change, LogError, LogEvent, Sequence, Timestamp};
use async_nats::{Client, Message};
use backoff::ExponentialBackoff;
use backoff::backoff::Backoff as _;
use futures_core::Stream;
use futures_core::future::BoxFuture;
use futures_util::StreamExt as _;
use tokio::time::{Interval, MissedTickBehavior};
use tracing::debug;

use crate::api::{Api, LOOK};
use crate::consumer::{Course, Open, Purpose};
use crate::mapping::Stored;
use live::{HEARTBEAT, Live};
use pulls::Pulls;
use reopen::{LONGEST_PAUSE, pauses, reopen};
use reply::Delivery;
use status::Status;

/// A silence longer than two heartbeats is a loss.
const SILENCE: u32 = 2;

/// What may be in flight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

/// Why a consumer has to be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// The client has connected again: pulls and messages of the former connection are lost.
    Reconnected,
    /// A message is missing.
    Gap,
    /// The server was silent for too long.
    Silence,
    /// The server says that the consumer is gone.
    Gone,
    /// The server has ended a pull for want of messages, and had told of more: they went in between, or it could not get at
    /// the next one just then, which it does not tell apart. Another consumer tells what there is.
    Unfinished,
    /// The server is through with its list of last messages, or stopped where one of them was gone: it does so at each,
    /// and does not say which it is. Another consumer tells, and goes on with every message.
    Skipped,
}

/// A stream of what the log has.
pub(crate) struct Reader {
    api: Arc<Api>,
    client: Client,
    course: Course,
    /// Whether the consumer may deliver what the scope does not want.
    sift: bool,
    budget: Budget,
    state: State,
    /// What comes after the message that was just given.
    held: Option<LogEvent>,
    /// The sequence of the last [`LogEvent::CaughtUp`], if no change came after it.
    caught_up: Option<Sequence>,
    look: Interval,
    /// Between attempts that brought nothing.
    pauses: ExponentialBackoff,
    /// Connections in a row that brought nothing new.
    fruitless: u32,
}

enum State {
    Live(Box<Live>),
    Opening(BoxFuture<'static, Result<Open, LogError>>),
    Ended,
}

/// What a message comes to.
enum Outcome {
    Event(LogEvent),
    Nothing,
    /// A listing is complete up to there.
    End(Sequence),
    Replace(Cause),
    Fail(LogError),
}

impl Reader {
    pub(crate) fn new(api: Arc<Api>, course: Course, budget: Budget, open: Open) -> Self {
        let sift = course.scope.disjoint_cover() != course.scope.filters();
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut reader = Self {
            client: api.client().clone(),
            api,
            course,
            sift,
            budget,
            state: State::Ended,
            held: None,
            caught_up: None,
            look,
            pauses: pauses(),
            fruitless: 0,
        };
        reader.go_live(open);
        reader
    }

    /// Takes up a consumer that was just made.
    fn go_live(&mut self, open: Open) {
        let least = |limit: u64, ours: u64| {
            if limit == 0 {
                ours
            } else {
                ours.min(limit.saturating_mul(2))
            }
        };
        let pulls = Pulls::new(
            least(open.limits.messages, self.budget.messages),
            least(open.limits.bytes, self.budget.bytes),
            self.course.purpose == Purpose::Follow,
        );
        if open.pending == 0 && (!open.behind || self.course.position >= open.last) {
            let sequence = open.last.max(self.course.position);
            if self.caught_up.is_none_or(|said| said < sequence) {
                self.caught_up = Some(sequence);
                self.held = Some(LogEvent::CaughtUp(sequence));
            }
            if self.course.purpose != Purpose::Follow {
                self.state = State::Ended;
                return;
            }
        }
        let next_subject = self.api.next_subject(&open.consumer.name);
        self.state = State::Live(Box::new(Live::new(open, next_subject, pulls)));
    }

    /// Lets go of the consumer and makes another one.
    fn replace(&mut self, cause: Cause) {
        debug!(log = self.api.stream, position = %self.course.position, ?cause, "another consumer is needed");
        match cause {
            // The connection was there all the time: the client's own channel was full. It takes fewer than were in
            // flight, and if it was filled at one go, no more than came out of it.
            Cause::Gap => {
                let came = match &self.state {
                    State::Live(live) => live.next - 1,
                    _ => 0,
                };
                self.budget.messages = (self.budget.messages / 2).min(came).max(1);
            }
            Cause::Skipped => {
                if let Purpose::List { every, .. } = &mut self.course.purpose {
                    *every = true;
                }
            }
            Cause::Reconnected => self.fruitless = self.fruitless.saturating_add(1),
            Cause::Silence | Cause::Gone | Cause::Unfinished => {}
        }
        let came = matches!(&self.state, State::Live(live) if live.next > 1);
        let pause = match cause {
            // Nothing is wrong with the server, or it was the connection's turn to wait.
            Cause::Reconnected | Cause::Gap | Cause::Skipped => Duration::ZERO,
            Cause::Unfinished if came => Duration::ZERO,
            Cause::Silence | Cause::Gone | Cause::Unfinished => {
                self.pauses.next_backoff().unwrap_or(LONGEST_PAUSE)
            }
        };
        let (api, course) = (Arc::clone(&self.api), self.course.clone());
        self.state = State::Opening(Box::pin(reopen(api, course, pause, self.fruitless)));
    }

    fn fail(&mut self, error: LogError) -> Poll<Option<Result<LogEvent, LogError>>> {
        self.state = State::Ended;
        Poll::Ready(Some(Err(error)))
    }

    fn caught_up(&mut self, sequence: Sequence) -> LogEvent {
        self.caught_up = Some(sequence);
        LogEvent::CaughtUp(sequence)
    }
}

impl Reader {
    /// What a message from the server comes to.
    fn accept(&mut self, message: Message) -> Outcome {
        let State::Live(live) = &mut self.state else {
            return Outcome::Nothing;
        };
        live.silent = 0;
        // Not by its status: whoever publishes can put one into the headers of a message.
        let Some(delivery) = message.reply.as_deref().and_then(Delivery::parse) else {
            if let Some(code) = message.status {
                return self.accept_status(&message, Status::of(code, &message));
            }
            let subject = message.reply.unwrap_or(message.subject);
            return Outcome::Fail(LogError::Foreign {
                log: self.api.stream.clone(),
                subject: subject.into_string(),
            });
        };
        if delivery.consumer_sequence != live.next {
            return self.lost();
        }
        live.next += 1;
        live.left = delivery.pending;
        live.pulls.took(message.length as u64);
        let sequence = Sequence::new(delivery.sequence);
        let timestamp = Timestamp::from_nanos(delivery.nanos);
        let at_end = live.reaches(sequence) && delivery.pending == 0;
        self.course.seen.push(sequence, timestamp);
        // A listing that began again comes past what it has given.
        let wanted = sequence > self.course.position;
        if wanted {
            self.course.position = sequence;
            self.fruitless = 0;
        }
        let stored = Stored {
            subject: message.subject,
            headers: message.headers,
            payload: message.payload,
            sequence,
            timestamp,
        };
        let change = match self.api.mapping.change(stored, &self.api.stream) {
            Ok(change) => change,
            Err(error) => return Outcome::Fail(error),
        };
        self.give(change, wanted, at_end)
    }

    /// Gives a change, and says afterwards what it has come to.
    fn give(&mut self, change: Change, wanted: bool, at_end: bool) -> Outcome {
        let wanted = wanted && (!self.sift || self.course.scope.matches(&change.key));
        let follows = self.course.purpose == Purpose::Follow;
        let position = self.course.position;
        if wanted {
            self.caught_up = None;
            if at_end && follows {
                self.held = Some(self.caught_up(position));
            }
            Outcome::Event(LogEvent::Change(change))
        } else if at_end && follows && self.caught_up.is_none() {
            Outcome::Event(self.caught_up(position))
        } else {
            Outcome::Nothing
        }
    }

    fn accept_status(&mut self, message: &Message, status: Status) -> Outcome {
        let State::Live(live) = &mut self.state else {
            return Outcome::Nothing;
        };
        match status {
            Status::Heartbeat {
                consumer_sequence,
                sequence,
            } => {
                if consumer_sequence >= live.next {
                    return self.lost();
                }
                // Older than a message that has come since.
                if consumer_sequence + 1 < live.next {
                    return Outcome::Nothing;
                }
                let sequence = Sequence::new(sequence).max(self.course.position);
                if !live.reaches(sequence) {
                    return Outcome::Nothing;
                }
                match self.course.purpose {
                    // Again where only messages out of scope have come: whoever waits for one of those learns of it.
                    Purpose::Follow if self.caught_up.is_none_or(|said| said < sequence) => {
                        Outcome::Event(self.caught_up(sequence))
                    }
                    Purpose::Follow => Outcome::Nothing,
                    Purpose::List { .. } if live.open.skips => Outcome::Replace(Cause::Skipped),
                    Purpose::List { .. } if live.left > 0 => Outcome::Replace(Cause::Unfinished),
                    Purpose::List { .. } => Outcome::End(sequence),
                }
            }
            Status::Ended {
                messages,
                bytes,
                too_large,
            } => {
                if let Some(id) = live.pull_of(&message.subject) {
                    live.pulls.ended(id, messages, bytes, too_large);
                }
                Outcome::Nothing
            }
            Status::NoMessages => {
                let Some(id) = live.pull_of(&message.subject) else {
                    return Outcome::Nothing;
                };
                live.pulls.ended(id, 0, 0, false);
                match self.course.purpose {
                    Purpose::Follow => Outcome::Nothing,
                    Purpose::List { .. } if live.open.skips => Outcome::Replace(Cause::Skipped),
                    Purpose::List { .. } if live.left > 0 => Outcome::Replace(Cause::Unfinished),
                    // A heartbeat tells when its node has the rest.
                    Purpose::List { .. } if !live.reaches(self.course.position) => Outcome::Nothing,
                    Purpose::List { .. } => Outcome::End(self.course.position.max(live.open.last)),
                }
            }
            Status::Gone => Outcome::Replace(Cause::Gone),
            Status::Refused(why) => Outcome::Fail(self.api.refused("pulling", why)),
        }
    }

    /// A message is missing: on the way, or with a connection.
    fn lost(&self) -> Outcome {
        match &self.state {
            State::Live(live) if live.open.connects == self.api.connects() => Outcome::Replace(Cause::Gap),
            _ => Outcome::Replace(Cause::Reconnected),
        }
    }

    /// Nothing has arrived: is everything still as it was?
    fn poll_look(&mut self, context: &mut Context<'_>) -> Poll<Cause> {
        let State::Live(live) = &mut self.state else {
            return Poll::Pending;
        };
        if live.open.connects != self.api.connects() {
            return Poll::Ready(Cause::Reconnected);
        }
        loop {
            ready!(self.look.poll_tick(context));
            live.silent += 1;
            if !live.pulls.is_idle() && LOOK * live.silent > HEARTBEAT * SILENCE {
                return Poll::Ready(Cause::Silence);
            }
        }
    }
}

impl Stream for Reader {
    type Item = Result<LogEvent, LogError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(event) = this.held.take() {
                return Poll::Ready(Some(Ok(event)));
            }
            let message = match &mut this.state {
                State::Ended => return Poll::Ready(None),
                State::Opening(opening) => {
                    match ready!(opening.as_mut().poll(context)) {
                        Ok(open) => this.go_live(open),
                        Err(error) => return this.fail(error),
                    }
                    continue;
                }
                State::Live(live) => {
                    if live
                        .poll_pulls(&mut this.client, this.course.purpose, context)
                        .is_err()
                    {
                        let error = this.api.closed();
                        return this.fail(error);
                    }
                    live.open.subscriber.poll_next_unpin(context)
                }
            };
            let outcome = match message {
                Poll::Ready(Some(message)) => this.accept(message),
                Poll::Ready(None) => Outcome::Fail(this.api.closed()),
                Poll::Pending => Outcome::Replace(ready!(this.poll_look(context))),
            };
            match outcome {
                Outcome::Event(event) => {
                    this.pauses.reset();
                    return Poll::Ready(Some(Ok(event)));
                }
                Outcome::Nothing => {}
                Outcome::End(sequence) => {
                    this.state = State::Ended;
                    return Poll::Ready(Some(Ok(LogEvent::CaughtUp(sequence))));
                }
                Outcome::Replace(cause) => this.replace(cause),
                Outcome::Fail(error) => return this.fail(error),
            }
        }
    }
}
