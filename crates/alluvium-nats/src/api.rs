//! Requests to the JetStream API, and what their failures mean to whoever reads a log.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::{Duration, Instant};

use alluvium_core::{BoxError, Change, LogError, LogIdentity, Sequence, Timestamp};
use async_nats::connection::State;
use async_nats::jetstream::response::Response;
use async_nats::jetstream::{self, ErrorCode, consumer, stream};
use async_nats::message::OutboundMessage;
use async_nats::{Client, Request, RequestErrorKind, Statistics, Subject};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::Sink;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::mapping::{Mapping, Stored};
use crate::reach::Reach;
use crate::{authority, headers};

/// How often a lost connection is looked for where the client has no way to tell of it.
pub(crate) const LOOK: Duration = Duration::from_millis(50);

/// Until a cluster without a leader is asked again.
const AGAIN: Duration = Duration::from_millis(100);
/// Until a leader that was replaced has learned of it.
const SETTLED: Duration = Duration::from_secs(1);

/// What is being done while a message is asked for.
const READING: &str = "reading a message";

/// The JetStream API for one stream.
#[derive(Debug)]
pub(crate) struct Api {
    reach: Reach,
    /// The stream's name.
    pub(crate) stream: String,
    /// What its messages mean.
    pub(crate) mapping: Mapping,
    statistics: Arc<Statistics>,
}

/// The answer cannot come any more.
#[derive(Debug, thiserror::Error)]
#[error("the connection was lost before the answer came")]
struct ConnectionLost;

/// The client does not connect any more: it was drained, or gave up.
#[derive(Debug, thiserror::Error)]
#[error("the client is closed")]
struct ClientClosed;

#[derive(Serialize)]
struct CreateConsumer<'a> {
    stream_name: &'a str,
    config: &'a consumer::Config,
    action: &'a str,
}

#[derive(Serialize)]
struct GetMessage {
    seq: u64,
}

#[derive(Serialize)]
struct NextMessage<'a> {
    seq: u64,
    next_by_subj: &'a str,
}

#[derive(Deserialize)]
struct GotMessage {
    message: stream::RawMessage,
}

impl Api {
    pub(crate) fn new(reach: Reach, stream: String, mapping: Mapping) -> Self {
        Self {
            statistics: reach.client.statistics(),
            reach,
            stream,
            mapping,
        }
    }

    /// The client that everything goes by.
    pub(crate) fn client(&self) -> &Client {
        &self.reach.client
    }

    /// How often the client has connected: whoever sees another number than before was disconnected in between.
    pub(crate) fn connects(&self) -> u64 {
        self.statistics.connects.load(Ordering::Relaxed)
    }

    fn is_connected(&self) -> bool {
        self.client().connection_state() == State::Connected
    }

    /// Waits until the client is connected, for ever if it goes on trying.
    ///
    /// # Errors
    ///
    /// [`LogError::Unavailable`] if it does not go on trying.
    pub(crate) async fn connected(&self) -> Result<(), LogError> {
        while !self.is_connected() {
            if self.is_closed() {
                return Err(self.closed());
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// Whether the client has stopped for good.
    pub(crate) fn is_closed(&self) -> bool {
        let mut client = self.client().clone();
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let ready = Sink::<OutboundMessage>::poll_ready(std::pin::Pin::new(&mut client), &mut context);
        matches!(ready, Poll::Ready(Err(_)))
    }

    /// The error of a client that has stopped for good.
    pub(crate) fn closed(&self) -> LogError {
        self.unavailable("reading", ClientClosed)
    }

    pub(crate) fn unavailable(&self, doing: &'static str, source: impl Into<BoxError>) -> LogError {
        LogError::Unavailable {
            log: self.stream.clone(),
            doing,
            source: source.into(),
        }
    }

    pub(crate) fn refused(&self, doing: &'static str, source: impl Into<BoxError>) -> LogError {
        LogError::Refused {
            log: self.stream.clone(),
            doing,
            source: source.into(),
        }
    }

    /// Where pulls for a consumer go.
    pub(crate) fn next_subject(&self, consumer: &str) -> Subject {
        let (prefix, stream) = (&self.reach.prefix, &self.stream);
        Subject::from(format!("{prefix}.CONSUMER.MSG.NEXT.{stream}.{consumer}"))
    }

    /// The stream's configuration and state, as a leader tells it that is one. In a cluster that has none just now, it is
    /// waited for as long as for an answer.
    pub(crate) async fn info(&self) -> Result<stream::Info, LogError> {
        self.info_with(Bytes::new()).await
    }

    /// The same, with the sequences of the messages that were deleted between the first and the last: all of them in one answer.
    pub(crate) async fn info_with_deleted(&self) -> Result<stream::Info, LogError> {
        self.info_with(Bytes::from_static(br#"{"deleted_details":true}"#))
            .await
    }

    async fn info_with(&self, details: Bytes) -> Result<stream::Info, LogError> {
        const DOING: &str = "asking for its state";
        let begin = Instant::now();
        loop {
            let answer = self.request(DOING, "STREAM.INFO", "", details.clone()).await?;
            let info = answer.map_err(|error| self.api_error(DOING, error))?;
            match authority::doubt(&info) {
                None => return Ok(info),
                Some(doubt) if begin.elapsed() + AGAIN > self.reach.timeout => {
                    return Err(self.unavailable(DOING, doubt));
                }
                Some(_) => tokio::time::sleep(AGAIN).await,
            }
        }
    }

    /// The same. A log of several nodes that is told to end before a sequence that it has to have is asked once more: so soon
    /// after another node began to lead, the former one can still be heard.
    pub(crate) async fn info_reaching(&self, sequence: Sequence) -> Result<stream::Info, LogError> {
        let info = self.info().await?;
        if info.state.last_sequence >= sequence.get() || !authority::is_replicated(&info) {
            return Ok(info);
        }
        tokio::time::sleep(SETTLED).await;
        self.info().await
    }

    /// Which log that is.
    pub(crate) fn identity(&self, info: &stream::Info) -> LogIdentity {
        LogIdentity::new(&self.stream, timestamp(info.created))
    }

    pub(crate) async fn create_consumer(
        &self,
        name: &str,
        config: &consumer::Config,
    ) -> Result<consumer::Info, LogError> {
        const DOING: &str = "creating a consumer";
        let request = CreateConsumer {
            stream_name: &self.stream,
            config,
            action: "create",
        };
        let request = self.encode(DOING, &request)?;
        let answer = self.request(DOING, "CONSUMER.CREATE", name, request).await?;
        answer.map_err(|error| self.api_error(DOING, error))
    }

    /// Deletes a consumer. One that is not there is as good as deleted, and so is one of a stream that is not there.
    pub(crate) async fn delete_consumer(&self, name: &str) -> Result<(), LogError> {
        const DOING: &str = "deleting a consumer";
        let answer: Result<stream::DeleteStatus, _> =
            self.request(DOING, "CONSUMER.DELETE", name, Bytes::new()).await?;
        match answer {
            Ok(_) => Ok(()),
            Err(error) if error.code() == 404 => Ok(()),
            Err(error) => Err(self.api_error(DOING, error)),
        }
    }

    /// The first message after a sequence whose subject matches a filter, as it is stored.
    pub(crate) async fn message_after(
        &self,
        sequence: Sequence,
        filter: &str,
    ) -> Result<Option<stream::RawMessage>, LogError> {
        let next = NextMessage {
            seq: sequence.next().get(),
            next_by_subj: filter,
        };
        self.message(&next).await
    }

    /// The change that the message at a sequence made, if it is there.
    pub(crate) async fn change_at(&self, sequence: Sequence) -> Result<Option<Change>, LogError> {
        if sequence == Sequence::ZERO {
            return Ok(None);
        }
        let message = self.message(&GetMessage { seq: sequence.get() }).await?;
        message.map(|message| self.change_of(message)).transpose()
    }

    async fn message(&self, which: &impl Serialize) -> Result<Option<stream::RawMessage>, LogError> {
        let request = self.encode(READING, which)?;
        let answer: Result<GotMessage, _> = self.request(READING, "STREAM.MSG.GET", "", request).await?;
        match answer {
            Ok(got) => Ok(Some(got.message)),
            Err(error) if error.error_code() == ErrorCode::NO_MESSAGE_FOUND => Ok(None),
            Err(error) => Err(self.api_error(READING, error)),
        }
    }

    fn change_of(&self, message: stream::RawMessage) -> Result<Change, LogError> {
        let decode = |text: &str| {
            STANDARD
                .decode(text)
                .map_err(|error| self.refused(READING, error))
        };
        let headers = match message.headers.as_deref().map(decode).transpose()? {
            None => None,
            Some(stored) => Some(headers::parse(&stored).ok_or_else(|| LogError::Foreign {
                log: self.stream.clone(),
                subject: message.subject.clone(),
            })?),
        };
        let stored = Stored {
            headers,
            payload: decode(&message.payload)?.into(),
            sequence: Sequence::new(message.sequence),
            timestamp: timestamp(message.time),
            subject: message.subject.into(),
        };
        self.mapping.change(stored, &self.stream)
    }

    fn encode<T: Serialize>(&self, doing: &'static str, request: &T) -> Result<Bytes, LogError> {
        let bytes = serde_json::to_vec(request).map_err(|error| self.refused(doing, error))?;
        Ok(bytes.into())
    }

    /// One request. The outer error is that nobody answered, the inner one that the answer was no.
    async fn request<T: DeserializeOwned>(
        &self,
        doing: &'static str,
        verb: &str,
        consumer: &str,
        payload: Bytes,
    ) -> Result<Result<T, jetstream::Error>, LogError> {
        let (prefix, stream) = (&self.reach.prefix, &self.stream);
        let dot = if consumer.is_empty() { "" } else { "." };
        let subject = format!("{prefix}.{verb}.{stream}{dot}{consumer}");
        let connects = self.connects();
        let request = Request::new().payload(payload).timeout(Some(self.reach.timeout));
        let answer = tokio::select! {
            answer = self.client().send_request(subject, request) => answer,
            () = self.reconnected(connects) => return Err(self.unavailable(doing, ConnectionLost)),
        };
        let answer = answer.map_err(|error| match error.kind() {
            RequestErrorKind::Other if self.is_closed() => self.closed(),
            RequestErrorKind::TimedOut | RequestErrorKind::NoResponders | RequestErrorKind::Other => {
                self.unavailable(doing, error)
            }
            RequestErrorKind::InvalidSubject | RequestErrorKind::MaxPayloadExceeded => {
                self.refused(doing, error)
            }
        })?;
        match serde_json::from_slice(&answer.payload) {
            Ok(Response::Ok(answer)) => Ok(Ok(answer)),
            Ok(Response::Err { error }) => Ok(Err(error)),
            Err(error) => Err(self.refused(doing, error)),
        }
    }

    /// Returns once the client has connected again: an answer on the former connection will not come.
    async fn reconnected(&self, connects: u64) {
        let was_connected = self.is_connected();
        loop {
            tokio::time::sleep(LOOK).await;
            // What was asked while disconnected is sent when the connection is there.
            if self.connects() != connects && was_connected {
                return;
            }
        }
    }

    fn api_error(&self, doing: &'static str, error: jetstream::Error) -> LogError {
        if error.error_code() == ErrorCode::STREAM_NOT_FOUND {
            return LogError::NotFound {
                log: self.stream.clone(),
            };
        }
        // The 500s are a server that starts, a cluster without a leader, resources that are short just now.
        if error.code() >= 500 {
            self.unavailable(doing, error)
        } else {
            self.refused(doing, error)
        }
    }
}

/// The instant that the client's time type says.
pub(crate) fn timestamp(time: async_nats::datetime::DateTime) -> Timestamp {
    let nanos = time.unix_timestamp_nanos();
    Timestamp::from_nanos(i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX }))
}
