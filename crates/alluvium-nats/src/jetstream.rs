//! What every log here is: a stream of the server, read by consumers. What its messages mean, the mapping says.

use std::sync::Arc;

use alluvium_core::{
    Bounds, Change, Holdings, KeyStream, ListEvent, ListStream, Listed, LogError, LogEvent, LogStream,
    Retention, Scope, Sequence, Survey,
};
use async_nats::jetstream::stream;
use futures_util::StreamExt as _;

use crate::api::Api;
use crate::consumer::{self, Course, Purpose, Seen};
use crate::reader::{Budget, Reader};

/// A stream, and how it is read. The methods are those of the [`Log`](alluvium_core::Log) trait.
#[derive(Clone, Debug)]
pub(crate) struct JetStream {
    pub(crate) api: Arc<Api>,
    pub(crate) budget: Budget,
}

impl JetStream {
    /// Whether the stream is there, and can be read as a log.
    pub(crate) async fn check(&self) -> Result<(), LogError> {
        let info = self.api.info().await?;
        consumer::check_retention(&self.api, &info)
    }

    async fn start(
        &self,
        info: &stream::Info,
        purpose: Purpose,
        from: Sequence,
        scope: &Scope,
    ) -> Result<Reader, LogError> {
        let course = Course {
            purpose,
            scope: scope.clone(),
            log: self.api.identity(info),
            position: from.previous(),
            seen: Seen::default(),
        };
        let open = consumer::open(&self.api, &course, info).await?;
        Ok(Reader::new(Arc::clone(&self.api), course, self.budget, open))
    }

    async fn latest(&self, scope: &Scope, headers_only: bool) -> Result<Reader, LogError> {
        let info = self.api.info().await?;
        let purpose = Purpose::List {
            headers_only,
            every: false,
        };
        self.start(&info, purpose, Sequence::FIRST, scope).await
    }

    fn bounds_of(&self, info: &stream::Info) -> Bounds {
        let last = Sequence::new(info.state.last_sequence);
        Bounds {
            log: self.api.identity(info),
            // The server says 0, or what was the first one once.
            first: if info.state.messages == 0 {
                last.next()
            } else {
                Sequence::new(info.state.first_sequence)
            },
            last,
            messages: info.state.messages,
            bytes: info.state.bytes,
            retention: retention(&info.config),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.api.stream
    }

    pub(crate) async fn bounds(&self) -> Result<Bounds, LogError> {
        let info = self.api.info().await?;
        Ok(self.bounds_of(&info))
    }

    pub(crate) async fn survey(&self) -> Result<Survey, LogError> {
        let info = self.api.info().await?;
        Ok(Survey {
            bounds: self.bounds_of(&info),
            keys: Some(info.state.subjects_count),
        })
    }

    /// The server's answer has no bound of its own, so it is asked for only when there is little to tell. It is no answer if the
    /// server lost messages to a damaged file: it does not count those among the deleted.
    pub(crate) async fn holdings(&self, most: u64) -> Result<Option<Holdings>, LogError> {
        if self.bounds().await?.deleted() > most {
            return Ok(None);
        }
        let mut info = self.api.info_with_deleted().await?;
        let bounds = self.bounds_of(&info);
        let deleted = info.state.deleted.take().filter(|_| !bounds.is_empty());
        let deleted: Vec<Sequence> = deleted
            .unwrap_or_default()
            .into_iter()
            .map(Sequence::new)
            .collect();
        if deleted.len() as u64 > most {
            return Ok(None);
        }
        Ok(Holdings::new(bounds, deleted))
    }

    pub(crate) async fn read(&self, from: Sequence, scope: &Scope) -> Result<LogStream, LogError> {
        let info = self.api.info_reaching(from.previous()).await?;
        let bounds = self.bounds_of(&info);
        if from > bounds.last.next() {
            return Err(LogError::BeyondEnd {
                log: self.api.stream.clone(),
                from,
                last: bounds.last,
            });
        }
        let from = from.max(bounds.first);
        let reader = self.start(&info, Purpose::Follow, from, scope).await?;
        Ok(Box::pin(reader))
    }

    /// A key that is overwritten while the listing runs moves to the end of the log, and so of the listing: it may come
    /// twice, and the later one is the latest. None is missing. That holds also when the consumer is lost on the way
    /// and the listing goes on with another one: what that one has at or below the last sequence given has been given,
    /// for a message that is no longer the last of its key moved to the end, and one that still is was it when the
    /// listing passed.
    pub(crate) async fn current(&self, scope: &Scope) -> Result<LogStream, LogError> {
        Ok(Box::pin(self.latest(scope, false).await?))
    }

    /// As [`current`](Self::current), by a consumer that is sent no payloads: what makes a message a marker is in its headers.
    pub(crate) async fn list(&self, scope: &Scope) -> Result<ListStream, LogError> {
        let listed = self.latest(scope, true).await?.map(|event| {
            event.map(|event| match event {
                LogEvent::Change(change) => ListEvent::Key(Listed::of(change)),
                LogEvent::CaughtUp(sequence) => ListEvent::Complete(sequence),
            })
        });
        Ok(Box::pin(listed))
    }

    /// A key that is overwritten meanwhile may come twice.
    pub(crate) async fn keys(&self, scope: &Scope) -> Result<KeyStream, LogError> {
        let keys = self.latest(scope, true).await?.filter_map(|event| {
            std::future::ready(match event {
                Ok(LogEvent::Change(change)) => Some(Ok(change.key)),
                Ok(LogEvent::CaughtUp(_)) => None,
                Err(error) => Some(Err(error)),
            })
        });
        Ok(Box::pin(keys))
    }

    pub(crate) async fn message_at(&self, sequence: Sequence) -> Result<Option<Change>, LogError> {
        self.api.change_at(sequence).await
    }
}

fn retention(config: &stream::Config) -> Retention {
    let limit = |limit: i64| u64::try_from(limit).ok().filter(|limit| *limit > 0);
    Retention {
        max_age: Some(config.max_age).filter(|age| !age.is_zero()),
        max_bytes: limit(config.max_bytes),
        max_messages: limit(config.max_messages),
        history: limit(config.max_messages_per_subject),
        message_ttl: config.allow_message_ttl,
    }
}
