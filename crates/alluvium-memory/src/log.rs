//! [`MemoryLog`]: a log without a server.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::ops::{Bound, RangeBounds};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use alluvium_core::{
    Bounds, Change, DeleteReason, Headers, Holdings, KeyStream, Log, LogError, LogEvent, LogIdentity,
    LogStream, Retention, Scope, Sequence, Survey, Timestamp,
};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};

/// A [`Log`] in memory, written by whoever holds it: for tests and examples of what reads logs.
///
/// It does at a word what a server does in time: messages go, the log is replaced, its tail is lost, and whoever reads is
/// told as the trait says. Clones are the same log. Its instants count its messages and are those of no clock. Nothing is
/// kept anywhere.
///
/// ```
/// use alluvium_core::{Log, LogEvent, Scope, Sequence};
/// use alluvium_memory::MemoryLog;
/// use futures_util::StreamExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), alluvium_core::LogError> {
/// let log = MemoryLog::new("orders");
/// log.put("orders.1", "placed");
/// let mut changes = log.read(Sequence::FIRST, &Scope::all()).await?;
/// let Some(Ok(LogEvent::Change(change))) = changes.next().await else {
///     panic!("there is one")
/// };
/// assert_eq!(change.key, "orders.1");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct MemoryLog {
    name: Arc<str>,
    shared: Arc<Mutex<State>>,
}

struct State {
    /// Which of the logs of this name it is, from 1.
    incarnation: i64,
    /// Whether there is none, as it was deleted.
    destroyed: bool,
    retention: Retention,
    /// How many messages of each key are kept.
    history: usize,
    messages: BTreeMap<Sequence, Change>,
    /// The sequences of each key's messages, never none.
    of_keys: HashMap<Bytes, BTreeSet<Sequence>>,
    last: Sequence,
    /// How often the tail was lost, and what was the last message then.
    cuts: Vec<Sequence>,
    /// Who waits for the next message.
    waiting: Vec<Waker>,
}

impl MemoryLog {
    /// An empty log of this name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        let state = State {
            incarnation: 1,
            destroyed: false,
            retention: Retention::default(),
            history: usize::MAX,
            messages: BTreeMap::new(),
            of_keys: HashMap::new(),
            last: Sequence::ZERO,
            cuts: Vec::new(),
            waiting: Vec::new(),
        };
        Self {
            name: name.into(),
            shared: Arc::new(Mutex::new(state)),
        }
    }

    /// The same, which keeps this many messages of each key, as a bucket does; 0 is taken for 1.
    pub fn with_history(name: impl Into<Arc<str>>, history: u64) -> Self {
        let (log, history) = (Self::new(name), history.max(1));
        let mut state = log.state();
        state.history = usize::try_from(history).unwrap_or(usize::MAX);
        state.retention.history = Some(history);
        drop(state);
        log
    }

    /// Appends a put. A key is never empty.
    pub fn put(&self, key: impl Into<Bytes>, value: impl Into<Bytes>) -> Sequence {
        self.put_with_headers(key, value, Headers::NONE)
    }

    /// Appends a put whose message has these headers.
    pub fn put_with_headers(
        &self,
        key: impl Into<Bytes>,
        value: impl Into<Bytes>,
        headers: Headers,
    ) -> Sequence {
        let (key, value) = (key.into(), value.into());
        self.append(|sequence, at| Change::put(key, value, sequence, at).with_headers(headers))
    }

    /// Appends a delete marker.
    pub fn delete(&self, key: impl Into<Bytes>) -> Sequence {
        let key = key.into();
        self.append(|sequence, at| Change::delete(key, DeleteReason::Deleted, sequence, at))
    }

    /// Takes away every message of a key, and appends a marker that says so.
    pub fn purge(&self, key: impl Into<Bytes>) -> Sequence {
        let key = key.into();
        let mut state = self.state();
        for sequence in state.of_keys.get(&key).cloned().unwrap_or_default() {
            state.take(sequence);
        }
        state.append(|sequence, at| Change::delete(key, DeleteReason::Purged, sequence, at))
    }

    /// Takes one message away, and says whether it was there.
    pub fn remove(&self, sequence: Sequence) -> bool {
        self.state().take(sequence)
    }

    /// Takes away every message before this one, as retention does.
    pub fn evict_before(&self, first: Sequence) {
        self.state().take_all(..first);
    }

    /// Says from now on that this is what it may evict. It evicts nothing by itself, but for what
    /// [`with_history`](Self::with_history) was told.
    pub fn set_retention(&self, retention: Retention) {
        self.state().retention = retention;
    }

    /// Takes away every message after this one, as if they had never been: the tail is lost.
    pub fn cut_after(&self, last: Sequence) {
        let mut state = self.state();
        if last < state.last {
            state.take_all(last.next()..);
            state.last = last;
            state.cuts.push(last);
            state.wake();
        }
    }

    /// Is not there from now on, until it is [`replace`](Self::replace)d: whoever reads or asks is told so. What is written
    /// meanwhile is lost.
    pub fn destroy(&self) {
        self.replace();
        self.state().destroyed = true;
    }

    /// Is another log of the same name from now on, an empty one.
    pub fn replace(&self) {
        let mut state = self.state();
        state.incarnation = state.incarnation.saturating_add(1);
        state.destroyed = false;
        state.messages.clear();
        state.of_keys.clear();
        state.last = Sequence::ZERO;
        state.cuts.clear();
        state.wake();
    }

    /// Is another log of the same name from now on that begins as this one was up to a sequence, as a stream is that was restored
    /// from a backup.
    pub fn restore_to(&self, last: Sequence) {
        self.cut_after(last);
        let mut state = self.state();
        state.incarnation = state.incarnation.saturating_add(1);
        state.wake();
    }

    fn append(&self, change: impl FnOnce(Sequence, Timestamp) -> Change) -> Sequence {
        self.state().append(change)
    }

    /// The state, unless there is no log.
    fn there(&self) -> Result<MutexGuard<'_, State>, LogError> {
        let state = self.state();
        if state.destroyed {
            return Err(LogError::NotFound {
                log: self.name.to_string(),
            });
        }
        Ok(state)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing is done under the lock that leaves it half done.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn append(&mut self, change: impl FnOnce(Sequence, Timestamp) -> Change) -> Sequence {
        let sequence = self.last.next();
        let change = change(sequence, self.instant(sequence));
        let of_key = self.of_keys.entry(change.key.clone()).or_default();
        of_key.insert(sequence);
        if of_key.len() > self.history
            && let Some(oldest) = of_key.pop_first()
        {
            self.messages.remove(&oldest);
        }
        self.messages.insert(sequence, change);
        self.last = sequence;
        self.wake();
        sequence
    }

    /// Takes one message away, and says whether it was there.
    fn take(&mut self, sequence: Sequence) -> bool {
        let Some(change) = self.messages.remove(&sequence) else {
            return false;
        };
        if let Some(of_key) = self.of_keys.get_mut(&change.key) {
            of_key.remove(&sequence);
            if of_key.is_empty() {
                self.of_keys.remove(&change.key);
            }
        }
        true
    }

    fn take_all(&mut self, range: impl RangeBounds<Sequence>) {
        let sequences: Vec<Sequence> = self
            .messages
            .range(range)
            .map(|(sequence, _)| *sequence)
            .collect();
        for sequence in sequences {
            self.take(sequence);
        }
    }

    /// No two messages have the same, also where one took the place of another that was cut off.
    fn instant(&self, sequence: Sequence) -> Timestamp {
        let place = i64::try_from(sequence.get()).unwrap_or(i64::MAX);
        let round = i64::try_from(self.cuts.len()).unwrap_or(i64::MAX);
        let created = self.created().as_nanos();
        Timestamp::from_nanos(created.saturating_add(round << 32).saturating_add(place))
    }

    fn created(&self) -> Timestamp {
        Timestamp::from_nanos(self.incarnation.saturating_mul(1 << 48))
    }

    fn wake(&mut self) {
        self.waiting.drain(..).for_each(Waker::wake);
    }

    fn bounds(&self, name: &str) -> Bounds {
        let bytes: usize = self.messages.values().map(Change::len_bytes).sum();
        let first = self.messages.keys().next().copied();
        Bounds {
            log: LogIdentity::new(name, self.created()),
            first: first.unwrap_or(self.last.next()),
            last: self.last,
            messages: self.messages.len() as u64,
            bytes: bytes as u64,
            retention: self.retention.clone(),
        }
    }

    /// The last message of each key in scope, rising in sequence.
    fn current(&self, scope: &Scope) -> Vec<Change> {
        let in_scope = self.of_keys.iter().filter(|(key, _)| scope.matches(key));
        let last: BTreeSet<&Sequence> = in_scope.filter_map(|(_, of_key)| of_key.last()).collect();
        last.into_iter()
            .filter_map(|sequence| self.messages.get(sequence).cloned())
            .collect()
    }
}

impl fmt::Debug for MemoryLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryLog")
            .field("name", &self.name)
            .field("last", &self.state().last)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Log for MemoryLog {
    fn name(&self) -> &str {
        &self.name
    }

    async fn bounds(&self) -> Result<Bounds, LogError> {
        Ok(self.there()?.bounds(&self.name))
    }

    async fn survey(&self) -> Result<Survey, LogError> {
        let state = self.there()?;
        Ok(Survey {
            bounds: state.bounds(&self.name),
            keys: Some(state.of_keys.len() as u64),
        })
    }

    async fn holdings(&self, most: u64) -> Result<Option<Holdings>, LogError> {
        let state = self.there()?;
        let bounds = state.bounds(&self.name);
        if bounds.deleted() > most {
            return Ok(None);
        }
        let (mut deleted, mut next) = (Vec::new(), bounds.first);
        for held in state.messages.keys() {
            while next < *held {
                deleted.push(next);
                next = next.next();
            }
            next = held.next();
        }
        while next <= bounds.last {
            deleted.push(next);
            next = next.next();
        }
        Ok(Holdings::new(bounds, deleted))
    }

    async fn read(&self, from: Sequence, scope: &Scope) -> Result<LogStream, LogError> {
        let state = self.there()?;
        if from > state.last.next() {
            return Err(LogError::BeyondEnd {
                log: self.name.to_string(),
                from,
                last: state.last,
            });
        }
        Ok(Box::pin(Reader {
            log: self.clone(),
            scope: scope.clone(),
            incarnation: state.incarnation,
            cuts: state.cuts.len(),
            position: from.previous(),
            caught_up: None,
            ended: false,
        }))
    }

    async fn current(&self, scope: &Scope) -> Result<LogStream, LogError> {
        let state = self.there()?;
        let changes = state.current(scope).into_iter().map(LogEvent::Change);
        let end = LogEvent::CaughtUp(state.last);
        Ok(stream::iter(changes.chain([end])).map(Ok).boxed())
    }

    async fn keys(&self, scope: &Scope) -> Result<KeyStream, LogError> {
        let changes = self.there()?.current(scope);
        Ok(stream::iter(changes).map(|change| Ok(change.key)).boxed())
    }

    async fn message_at(&self, sequence: Sequence) -> Result<Option<Change>, LogError> {
        Ok(self.there()?.messages.get(&sequence).cloned())
    }
}

/// Looks up the next message whenever it is polled: it holds none.
struct Reader {
    log: MemoryLog,
    scope: Scope,
    incarnation: i64,
    /// How many cuts it has seen.
    cuts: usize,
    /// Every message wanted up to and including this one was given.
    position: Sequence,
    caught_up: Option<Sequence>,
    ended: bool,
}

impl Reader {
    fn step(&mut self, context: &Context<'_>) -> Poll<Result<LogEvent, LogError>> {
        let log = self.log.clone();
        let mut state = match log.there() {
            Ok(state) => state,
            Err(error) => return Poll::Ready(Err(error)),
        };
        if state.incarnation != self.incarnation {
            return Poll::Ready(Err(LogError::Replaced {
                log: log.name.to_string(),
            }));
        }
        // Of what was cut off after it was read the number is taken again sooner or later.
        let lost = state
            .cuts
            .get(self.cuts..)
            .unwrap_or_default()
            .iter()
            .min()
            .copied();
        self.cuts = state.cuts.len();
        if let Some(last) = lost.filter(|last| *last < self.position) {
            return Poll::Ready(Err(LogError::TailLost {
                log: log.name.to_string(),
                expected: self.position,
                last,
            }));
        }
        let rest = (Bound::Excluded(self.position), Bound::Unbounded);
        let next = state
            .messages
            .range(rest)
            .find(|(_, change)| self.scope.matches(&change.key));
        if let Some((sequence, change)) = next {
            self.position = *sequence;
            return Poll::Ready(Ok(LogEvent::Change(change.clone())));
        }
        self.position = self.position.max(state.last);
        if self.caught_up != Some(self.position) {
            self.caught_up = Some(self.position);
            return Poll::Ready(Ok(LogEvent::CaughtUp(self.position)));
        }
        if !state.waiting.iter().any(|waker| waker.will_wake(context.waker())) {
            state.waiting.push(context.waker().clone());
        }
        Poll::Pending
    }
}

impl Stream for Reader {
    type Item = Result<LogEvent, LogError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let next = self.step(context);
        self.ended = matches!(next, Poll::Ready(Err(_)));
        next.map(Some)
    }
}
