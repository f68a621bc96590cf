//! A log in memory: every message it was ever given, unless it loses its tail.

use std::sync::{Arc, Mutex};

use alluvium_core::{
    Bounds, Change, KeyStream, Log, LogError, LogEvent, LogIdentity, LogStream, Retention, Scope, Sequence,
    Timestamp,
};
use async_trait::async_trait;
use futures_util::{StreamExt as _, stream};
use tokio::sync::{Semaphore, watch};

const NAME: &str = "KV_routes";

pub(crate) struct MemoryLog {
    messages: watch::Sender<Vec<Change>>,
    /// Of what a message's timestamp is, beside its sequence: another one after each loss.
    era: Mutex<i64>,
    /// Who asks for single messages passes here.
    gate: Arc<Semaphore>,
}

impl MemoryLog {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            messages: watch::Sender::new(Vec::new()),
            era: Mutex::new(0),
            gate: Arc::new(Semaphore::new(1)),
        })
    }

    /// Stores a message.
    pub(crate) fn put(&self, key: &str, value: &str) -> Sequence {
        let era = *self.era.lock().unwrap();
        let mut last = Sequence::ZERO;
        self.messages.send_modify(|messages| {
            let number = messages.len() as u64 + 1;
            last = Sequence::new(number);
            let timestamp = Timestamp::from_nanos(era + i64::try_from(number).unwrap());
            messages.push(Change::put(key.to_owned(), value.to_owned(), last, timestamp));
        });
        last
    }

    /// Forgets everything after a sequence, as a server does that was put back from a backup.
    pub(crate) fn lose_tail(&self, after: Sequence) {
        *self.era.lock().unwrap() += 1_000_000;
        let keep = usize::try_from(after.get()).unwrap();
        self.messages.send_modify(|messages| messages.truncate(keep));
    }

    /// The message of a sequence.
    pub(crate) fn message(&self, sequence: usize) -> Change {
        self.messages.borrow()[sequence - 1].clone()
    }

    /// As long as this is held nobody is told of a single message.
    pub(crate) fn gate(&self) -> Arc<Semaphore> {
        Arc::clone(&self.gate)
    }

    fn last(&self) -> Sequence {
        Sequence::new(self.messages.borrow().len() as u64)
    }
}

pub(crate) fn identity() -> LogIdentity {
    LogIdentity::new(NAME, Timestamp::from_nanos(0))
}

#[async_trait]
impl Log for MemoryLog {
    fn name(&self) -> &str {
        NAME
    }

    async fn bounds(&self) -> Result<Bounds, LogError> {
        let messages = self.messages.borrow();
        Ok(Bounds {
            log: identity(),
            first: Sequence::FIRST,
            last: Sequence::new(messages.len() as u64),
            messages: messages.len() as u64,
            bytes: messages.iter().map(|message| message.len_bytes() as u64).sum(),
            retention: Retention::default(),
        })
    }

    async fn read(&self, from: Sequence, scope: &Scope) -> Result<LogStream, LogError> {
        let last = self.last();
        if from > last.next() {
            return Err(LogError::BeyondEnd {
                log: NAME.to_owned(),
                from,
                last,
            });
        }
        let reader = Reader {
            messages: self.messages.subscribe(),
            next: from.max(Sequence::FIRST),
            scope: scope.clone(),
            told: None,
        };
        Ok(Box::pin(stream::unfold(reader, Reader::next_event)))
    }

    async fn current(&self, scope: &Scope) -> Result<LogStream, LogError> {
        let messages = self.messages.borrow().clone();
        let is_latest = |message: &&Change| {
            let later = messages
                .iter()
                .rev()
                .take_while(|other| other.sequence > message.sequence);
            later.into_iter().all(|other| other.key != message.key)
        };
        let listed = messages
            .iter()
            .filter(|message| scope.matches(&message.key))
            .filter(is_latest);
        let mut events: Vec<_> = listed
            .cloned()
            .map(|message| Ok(LogEvent::Change(message)))
            .collect();
        events.push(Ok(LogEvent::CaughtUp(Sequence::new(messages.len() as u64))));
        Ok(Box::pin(stream::iter(events)))
    }

    async fn keys(&self, scope: &Scope) -> Result<KeyStream, LogError> {
        let current = self.current(scope).await?;
        let keys = current.filter_map(async |event| match event {
            Ok(LogEvent::Change(message)) => Some(Ok(message.key)),
            Ok(LogEvent::CaughtUp(_)) => None,
            Err(error) => Some(Err(error)),
        });
        Ok(Box::pin(keys))
    }

    async fn message_at(&self, sequence: Sequence) -> Result<Option<Change>, LogError> {
        let _passed = self.gate.acquire().await;
        let messages = self.messages.borrow();
        Ok(messages
            .iter()
            .find(|message| message.sequence == sequence)
            .cloned())
    }
}

struct Reader {
    messages: watch::Receiver<Vec<Change>>,
    next: Sequence,
    scope: Scope,
    /// Where it was last said that there is no more.
    told: Option<Sequence>,
}

impl Reader {
    async fn next_event(mut self) -> Option<(Result<LogEvent, LogError>, Self)> {
        loop {
            let last = {
                let messages = self.messages.borrow_and_update();
                let last = Sequence::new(messages.len() as u64);
                if last < self.next.previous() {
                    let error = LogError::TailLost {
                        log: NAME.to_owned(),
                        expected: self.next.previous(),
                        last,
                    };
                    drop(messages);
                    return Some((Err(error), self));
                }
                let rest = messages.iter().skip_while(|message| message.sequence < self.next);
                let found = rest
                    .clone()
                    .find(|message| self.scope.matches(&message.key))
                    .cloned();
                if let Some(message) = found {
                    drop(messages);
                    self.next = message.sequence.next();
                    return Some((Ok(LogEvent::Change(message)), self));
                }
                last
            };
            self.next = last.next();
            if self.told != Some(last) {
                self.told = Some(last);
                return Some((Ok(LogEvent::CaughtUp(last)), self));
            }
            self.messages.changed().await.ok()?;
        }
    }
}
