//! Where changes come from: an ordered, retained sequence of messages.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::Stream;
use serde::{Deserialize, Serialize};

use crate::{
    BoxError, Change, ErrorKind, Holdings, ListEvent, ListStream, Listed, Scope, Sequence, Survey, Timestamp,
};

/// Which log: its name and the instant it was created. A stream deleted and made again under the same name is
/// another log, and no cursor of the old one means anything in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LogIdentity {
    /// The stream's name, `KV_` included for a bucket.
    pub name: String,
    /// When the server created it.
    pub created: Timestamp,
}

impl LogIdentity {
    /// The log of this name, created at this instant.
    pub fn new(name: impl Into<String>, created: Timestamp) -> Self {
        Self {
            name: name.into(),
            created,
        }
    }
}

impl fmt::Display for LogIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// What a log holds right now, and what it may forget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Which log these are the bounds of.
    pub log: LogIdentity,
    /// The first message still held. One past `last` when the log is empty.
    pub first: Sequence,
    /// The last message ever stored, [`Sequence::ZERO`] when there never was one.
    pub last: Sequence,
    /// How many messages are held.
    pub messages: u64,
    /// How many bytes they take on the server.
    pub bytes: u64,
    /// What retention can evict.
    pub retention: Retention,
}

impl Bounds {
    /// Whether the log holds no message at all.
    pub fn is_empty(&self) -> bool {
        self.messages == 0
    }

    /// How many sequences from the first to the last have no message any more.
    pub fn deleted(&self) -> u64 {
        self.last
            .distance_from(self.first.previous())
            .saturating_sub(self.messages)
    }
}

/// What a log evicts by itself. `None` and `false` mean: never on that ground.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Messages older than this go.
    pub max_age: Option<Duration>,
    /// The oldest messages go when the log outgrows this many bytes.
    pub max_bytes: Option<u64>,
    /// The oldest messages go when the log holds more than this many.
    pub max_messages: Option<u64>,
    /// Of each key only this many messages are kept.
    pub history: Option<u64>,
    /// Single messages may carry a time to live.
    pub message_ttl: bool,
}

impl Retention {
    /// Whether the latest message of a key can be evicted, so that "not there" need not mean "deleted".
    /// History alone never does that: it only drops what a newer message of the same key has replaced.
    pub fn evicts_latest(&self) -> bool {
        self.max_age.is_some() || self.max_bytes.is_some() || self.max_messages.is_some() || self.message_ttl
    }
}

/// What a reader of a log is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogEvent {
    /// The next message.
    Change(Change),
    /// Every message in scope that the log held up to and including this sequence has been given. Said whenever
    /// the reader gets to the end of what there is; once, if nothing comes after it.
    CaughtUp(Sequence),
}

/// Changes in log order. Dropping the stream ends the read and frees what it held on the server.
pub type LogStream = Pin<Box<dyn Stream<Item = Result<LogEvent, LogError>> + Send>>;

/// Keys in no particular order.
pub type KeyStream = Pin<Box<dyn Stream<Item = Result<Bytes, LogError>> + Send>>;

/// An ordered, retained sequence of messages.
///
/// Obligations:
///
/// 1. **In order, once.** [`read`](Log::read) gives every message in scope that the log retains at the moment of
///    its delivery, from the sequence asked for on, in rising order, each once, whatever happens to connections,
///    servers and server-side consumers in between.
/// 2. **Backpressured.** A reader that is not polled holds a bounded amount of memory, on both sides, and misses
///    nothing.
/// 3. **Never silent.** A log that is deleted, recreated or shorter than what was already read ends the stream
///    with an error, within ten seconds of the server knowing it.
/// 4. **Clean.** A dropped or failed reader leaves nothing on the server that outlives it by more than a minute.
///
/// ```
/// use std::sync::Arc;
/// use alluvium_core::{Log, LogError, Scope, Sequence};
///
/// async fn depth(log: Arc<dyn Log>) -> Result<u64, LogError> {
///     let bounds = log.bounds().await?;
///     Ok(bounds.last.distance_from(bounds.first.previous()))
/// }
/// ```
#[async_trait]
pub trait Log: Send + Sync + 'static {
    /// The log's name. Known without asking a server.
    fn name(&self) -> &str;

    /// What the log holds now. Answered by the log itself, never from a cache.
    ///
    /// # Errors
    ///
    /// [`LogError::NotFound`] if there is no such log; [`LogError::Unavailable`] if nobody answers.
    async fn bounds(&self) -> Result<Bounds, LogError>;

    /// The same, and of how many keys it holds a message. Written here for logs that do not count those.
    ///
    /// # Errors
    ///
    /// As [`bounds`](Log::bounds).
    async fn survey(&self) -> Result<Survey, LogError> {
        Ok(Survey {
            bounds: self.bounds().await?,
            keys: None,
        })
    }

    /// Which messages it holds now, told by the deleted ones. None if it cannot tell, or if more than `most` are deleted: whoever
    /// asks [lists](Log::list) instead. Written here for logs that cannot.
    ///
    /// # Errors
    ///
    /// As [`bounds`](Log::bounds).
    async fn holdings(&self, most: u64) -> Result<Option<Holdings>, LogError> {
        let _ = most;
        Ok(None)
    }

    /// Reads from `from` on, for ever: past the last message it waits for the next.
    ///
    /// A `from` below the first message held starts at the first one: whether that is acceptable, the caller finds
    /// out from [`bounds`](Log::bounds) beforehand. A `from` more than one past the last message is an error.
    ///
    /// # Errors
    ///
    /// [`LogError::BeyondEnd`] for a `from` that does not exist yet; else as [`bounds`](Log::bounds). Errors later
    /// on arrive as the stream's last item.
    async fn read(&self, from: Sequence, scope: &Scope) -> Result<LogStream, LogError>;

    /// The latest message of each key in scope, rising in sequence, delete markers included; then
    /// [`LogEvent::CaughtUp`], then the end. The sequence of `CaughtUp` is one that the listing is complete up to:
    /// reading from the one after it misses nothing.
    ///
    /// # Errors
    ///
    /// As [`bounds`](Log::bounds).
    async fn current(&self, scope: &Scope) -> Result<LogStream, LogError>;

    /// The same without the values: what a table is compared with before anything is fetched that it has already.
    ///
    /// Written here over [`current`](Log::current), for logs that have no cheaper way.
    ///
    /// # Errors
    ///
    /// As [`bounds`](Log::bounds).
    async fn list(&self, scope: &Scope) -> Result<ListStream, LogError> {
        let listed = self.current(scope).await?;
        Ok(Box::pin(WithoutValues(listed)))
    }

    /// Every key in scope of which the log holds a message, a delete marker included, without its value.
    ///
    /// # Errors
    ///
    /// As [`bounds`](Log::bounds).
    async fn keys(&self, scope: &Scope) -> Result<KeyStream, LogError>;

    /// The change that the message at `sequence` made, `None` if the log does not hold that message (any more).
    ///
    /// # Errors
    ///
    /// As [`bounds`](Log::bounds).
    async fn message_at(&self, sequence: Sequence) -> Result<Option<Change>, LogError>;
}

const _: fn(&dyn Log) = |_| (); // object-safe

/// A listing with its values left out.
struct WithoutValues(LogStream);

impl Stream for WithoutValues {
    type Item = Result<ListEvent, LogError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(context).map(|event| {
            event.map(|event| {
                event.map(|event| match event {
                    LogEvent::Change(change) => ListEvent::Key(Listed::of(change)),
                    LogEvent::CaughtUp(sequence) => ListEvent::Complete(sequence),
                })
            })
        })
    }
}

/// What can go wrong with a log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// There is no such log.
    #[error("{log} does not exist on the server: create it, or mend the name")]
    NotFound {
        /// The log asked for.
        log: String,
    },
    /// The log was deleted and made again while it was read: another log stands in its place.
    #[error("{log} was deleted and created again while it was being read")]
    Replaced {
        /// The log that was read.
        log: String,
    },
    /// The log now ends before what was already read of it: it lost its tail, or was put back from a backup.
    #[error("{log} ends at {last}, but {expected} had already been read: it lost its tail")]
    TailLost {
        /// The log that was read.
        log: String,
        /// The sequence that must be there.
        expected: Sequence,
        /// The last sequence that is.
        last: Sequence,
    },
    /// A read was to begin more than one past the end.
    #[error("{log} ends at {last}: cannot read from {from}")]
    BeyondEnd {
        /// The log.
        log: String,
        /// The sequence asked for.
        from: Sequence,
        /// The last sequence there is.
        last: Sequence,
    },
    /// Nobody answers, or not in time.
    #[error("cannot reach {log}: {doing}")]
    Unavailable {
        /// The log.
        log: String,
        /// What was being done.
        doing: &'static str,
        /// The client's error.
        source: BoxError,
    },
    /// The server refused: permissions, limits, or a request it does not understand.
    #[error("the server refused while {doing} on {log}")]
    Refused {
        /// The log.
        log: String,
        /// What was being done.
        doing: &'static str,
        /// The server's error.
        source: BoxError,
    },
    /// The server deletes what was read of it, or what nobody was reading: there is nothing to come back to.
    #[error(
        "{log} is no log, its {retention} retention deletes what was read: read a stream with limits retention, \
         and let {log} source that one"
    )]
    Consumed {
        /// The stream.
        log: String,
        /// The kind of its retention.
        retention: &'static str,
    },
    /// A message that cannot be a message of this log.
    #[error("{log} holds something that is not a message of it at {subject:?}")]
    Foreign {
        /// The log.
        log: String,
        /// The subject or reply subject that made no sense.
        subject: String,
    },
}

impl LogError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Replaced { .. } | Self::TailLost { .. } => ErrorKind::Fenced,
            Self::BeyondEnd { .. } | Self::Consumed { .. } => ErrorKind::Invalid,
            Self::Unavailable { .. } => ErrorKind::Transient,
            Self::Refused { .. } => ErrorKind::Unavailable,
            Self::Foreign { .. } => ErrorKind::Corrupt,
        }
    }
}
