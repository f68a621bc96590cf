//! [`StreamLog`]: any stream as a log.

use alluvium_core::{
    Bounds, Change, Holdings, KeyStream, ListStream, Log, LogError, LogStream, Scope, Sequence, Survey,
};
use async_nats::Client;
use async_trait::async_trait;

use crate::builder::LogBuilder;
use crate::jetstream::JetStream;
use crate::mapping::Mapping;
use crate::subject;

/// A JetStream stream as a [`Log`]: the key of a message is its subject, and every message is a put of its payload, an
/// empty one too. The message's headers come with the change, sorted by name; the values of one name keep their order.
///
/// ```
/// use alluvium_core::{Log, LogEvent, Scope, Sequence};
/// use alluvium_nats::StreamLog;
/// use futures_util::StreamExt;
///
/// async fn print(client: async_nats::Client) -> Result<(), Box<dyn std::error::Error>> {
///     let log = StreamLog::open(client, "ORDERS").await?;
///     let mut messages = log.read(Sequence::FIRST, &Scope::of(["orders.*.placed"])?).await?;
///     while let Some(event) = messages.next().await {
///         match event? {
///             LogEvent::Change(message) => {
///                 println!("{:?} {:?}", message.key, message.headers.get("Nats-Msg-Id"));
///             }
///             LogEvent::CaughtUp(sequence) => println!("that is all up to {sequence}"),
///         }
///     }
///     Ok(())
/// }
/// ```
///
/// # What kinds of streams there are
///
/// - **Subjects** are those that messages are stored under: where the stream transforms subjects, what comes out of
///   that. A scope is compared with them, and may name subjects that the stream never holds. Where a stream republishes,
///   its own messages are read, not those that it sends out.
/// - **Mirrors** hold their origin's messages under their origin's sequences and instants; a mirror is a log of its own
///   all the same, with an identity of its own. **Sources** give messages new sequences, and say in the header
///   `Nats-Stream-Source` where one came from.
/// - **Limits**, `max_msgs_per_subject`, deletions, purges and a message's own time to live take messages away. Whoever
///   reads is given what is there when it is delivered; [`bounds`](Log::bounds) says what can happen. A marker that the
///   server leaves where a message expired is a message like any other, with the header `Nats-Marker-Reason`.
/// - **Work queues**, and streams that keep messages only while there is interest in them, cannot be read:
///   [`LogError::Consumed`]. What a reader is given would be gone, and after a crash nobody could read it again. Store
///   the subjects in a stream with limits retention, read that one, and let the work queue source it.
#[derive(Clone, Debug)]
pub struct StreamLog {
    log: JetStream,
}

/// How a [`StreamLog`] reaches its stream.
pub type StreamLogBuilder = LogBuilder<StreamLog>;

impl LogBuilder<StreamLog> {
    /// Looks whether the stream is there, and can be read without taking anything away.
    ///
    /// # Errors
    ///
    /// [`LogError::NotFound`] if it is not there, or cannot be because no stream can have such a name;
    /// [`LogError::Consumed`] if its retention is not that of limits; [`LogError::Unavailable`] if nobody answers,
    /// [`LogError::Refused`] if the server says no.
    pub async fn open(self) -> Result<StreamLog, LogError> {
        let stream = self.name.clone();
        if !subject::is_stream(&stream) {
            return Err(LogError::NotFound { log: stream });
        }
        let log = self.look(stream, Mapping::Stream).await?;
        Ok(StreamLog { log })
    }
}

impl StreamLog {
    /// The stream as a log, by way of this client.
    ///
    /// # Errors
    ///
    /// As [`StreamLogBuilder::open`].
    pub async fn open(client: Client, stream: impl Into<String>) -> Result<Self, LogError> {
        Self::builder(client, stream).open().await
    }

    /// The same, with more to say.
    pub fn builder(client: Client, stream: impl Into<String>) -> StreamLogBuilder {
        LogBuilder::new(client, stream.into())
    }
}

#[async_trait]
impl Log for StreamLog {
    fn name(&self) -> &str {
        self.log.name()
    }

    async fn bounds(&self) -> Result<Bounds, LogError> {
        self.log.bounds().await
    }

    async fn survey(&self) -> Result<Survey, LogError> {
        self.log.survey().await
    }

    /// As the trait says, in one answer of the server.
    async fn holdings(&self, most: u64) -> Result<Option<Holdings>, LogError> {
        self.log.holdings(most).await
    }

    async fn read(&self, from: Sequence, scope: &Scope) -> Result<LogStream, LogError> {
        self.log.read(from, scope).await
    }

    /// The last message of each subject, as the trait says. One that is published to while the listing runs may come
    /// twice; the later one is the latest. Of a subject whose last message is taken away meanwhile, so that an older one
    /// is the last again, that one may not come.
    async fn current(&self, scope: &Scope) -> Result<LogStream, LogError> {
        self.log.current(scope).await
    }

    /// As [`current`](Log::current), without the payloads.
    async fn list(&self, scope: &Scope) -> Result<ListStream, LogError> {
        self.log.list(scope).await
    }

    /// The subjects that there are messages of. One that is published to meanwhile may come twice.
    async fn keys(&self, scope: &Scope) -> Result<KeyStream, LogError> {
        self.log.keys(scope).await
    }

    /// The message itself, whether or not the stream allows direct gets: the stream's own API is asked.
    async fn message_at(&self, sequence: Sequence) -> Result<Option<Change>, LogError> {
        self.log.message_at(sequence).await
    }
}
