//! A log in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use alluvium_core::{
    Bounds, Change, KeyStream, Log, LogError, LogEvent, LogIdentity, LogStream, Retention, Scope, Sequence,
};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use tokio::sync::watch;

/// Messages in order, of which those before some sequence are forgotten.
pub(crate) struct MemoryLog {
    identity: LogIdentity,
    messages: watch::Sender<Vec<Change>>,
}

impl MemoryLog {
    pub(crate) fn new(identity: &LogIdentity, messages: &[Change]) -> Arc<Self> {
        Arc::new(Self {
            identity: identity.clone(),
            messages: watch::Sender::new(messages.to_vec()),
        })
    }

    fn last(&self) -> Sequence {
        self.messages
            .borrow()
            .last()
            .map_or(Sequence::ZERO, |last| last.sequence)
    }

    fn latest(&self, scope: &Scope) -> Vec<Change> {
        let messages = self.messages.borrow();
        let in_scope = messages.iter().filter(|change| scope.matches(&change.key));
        let latest: BTreeMap<Bytes, Change> = in_scope
            .map(|change| (change.key.clone(), change.clone()))
            .collect();
        let mut latest: Vec<_> = latest.into_values().collect();
        latest.sort_by_key(|change| change.sequence);
        latest
    }
}

#[async_trait]
impl Log for MemoryLog {
    fn name(&self) -> &str {
        &self.identity.name
    }

    async fn bounds(&self) -> Result<Bounds, LogError> {
        let messages = self.messages.borrow();
        let last = messages.last().map_or(Sequence::ZERO, |last| last.sequence);
        Ok(Bounds {
            log: self.identity.clone(),
            first: messages.first().map_or(last.next(), |first| first.sequence),
            last,
            messages: messages.len() as u64,
            bytes: 0,
            retention: Retention::default(),
        })
    }

    async fn read(&self, from: Sequence, scope: &Scope) -> Result<LogStream, LogError> {
        let last = self.last();
        if from > last.next() {
            return Err(LogError::BeyondEnd {
                log: self.identity.name.clone(),
                from,
                last,
            });
        }
        let reading = (self.messages.subscribe(), from, None, scope.clone());
        let events = stream::unfold(reading, |(mut messages, mut next, mut told, scope)| async move {
            loop {
                let event = {
                    let messages = messages.borrow_and_update();
                    let last = messages.last().map_or(Sequence::ZERO, |last| last.sequence);
                    let mut rest = messages.iter().filter(|change| change.sequence >= next);
                    match rest.find(|change| scope.matches(&change.key)) {
                        Some(change) => {
                            next = change.sequence.next();
                            Some(LogEvent::Change(change.clone()))
                        }
                        None if told != Some(last) => {
                            told = Some(last);
                            Some(LogEvent::CaughtUp(last))
                        }
                        None => None,
                    }
                };
                if let Some(event) = event {
                    return Some((Ok(event), (messages, next, told, scope)));
                }
                messages.changed().await.ok()?;
            }
        });
        Ok(events.boxed())
    }

    async fn current(&self, scope: &Scope) -> Result<LogStream, LogError> {
        let changes = self.latest(scope).into_iter().map(LogEvent::Change);
        let events: Vec<_> = changes.chain([LogEvent::CaughtUp(self.last())]).map(Ok).collect();
        Ok(stream::iter(events).boxed())
    }

    async fn keys(&self, scope: &Scope) -> Result<KeyStream, LogError> {
        let keys: Vec<_> = self
            .latest(scope)
            .into_iter()
            .map(|change| Ok(change.key))
            .collect();
        Ok(stream::iter(keys).boxed())
    }

    async fn message_at(&self, sequence: Sequence) -> Result<Option<Change>, LogError> {
        let messages = self.messages.borrow();
        Ok(messages
            .iter()
            .find(|change| change.sequence == sequence)
            .cloned())
    }
}
