//! A log that fails where it is told to.

use std::fmt;
use std::future::{Future, pending};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use alluvium_core::{
    Bounds, Change, Holdings, KeyStream, ListStream, Log, LogError, LogStream, Scope, Sequence, Survey,
};
use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt as _};

/// What a log's streams are.
type Items<T> = BoxStream<'static, Result<T, LogError>>;

/// What goes wrong at a step of a [`FaultyLog`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LogFault {
    /// [`LogError::Unavailable`]; of a stream it is the last item.
    Fail,
    /// No answer ever comes, and no item: whoever has no limit of time waits for ever.
    TimeOut,
    /// The stream ends before its time, without a word, which a log never does. A call that makes a stream makes one that is
    /// at its end; one that makes none fails.
    EndEarly,
}

impl LogFault {
    /// Every fault.
    pub const ALL: [Self; 3] = [Self::Fail, Self::TimeOut, Self::EndEarly];
}

/// A log over another one, at which one step goes wrong. A step is a call of a method, or an item that is asked for of a
/// stream.
///
/// ```
/// use std::sync::Arc;
/// use alluvium_conformance::{FaultyLog, LogFault};
/// use alluvium_core::{ErrorKind, Log as _, Scope, Sequence};
/// use alluvium_memory::MemoryLog;
/// use futures_util::StreamExt as _;
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let sound = MemoryLog::new("orders");
/// sound.put("orders.1", "placed");
/// // The first step is the call; the second, the first message; the third, the word that this is the end.
/// let log = FaultyLog::failing(Arc::new(sound), 3, LogFault::Fail);
/// let mut stream = log.read(Sequence::FIRST, &Scope::all()).await?;
/// assert!(stream.next().await.is_some_and(|first| first.is_ok()));
/// let error = stream.next().await.and_then(Result::err).expect("it fails");
/// assert_eq!(error.kind(), ErrorKind::Transient);
/// assert!(stream.next().await.is_none());
/// assert_eq!(log.steps(), 3);
/// # Ok::<(), alluvium_core::LogError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// To have every step of a run go wrong in turn, count them once, and start over for each:
///
/// ```text
/// let steps = { let log = FaultyLog::sound(new()); run(&log).await; log.steps() };
/// for step in 1..=steps { for fault in LogFault::ALL { run(&FaultyLog::failing(new(), step, fault)).await; … } }
/// ```
///
/// Clones count together.
#[derive(Clone)]
pub struct FaultyLog {
    inner: Arc<dyn Log>,
    state: Arc<State>,
}

struct State {
    plan: Option<(u64, LogFault)>,
    steps: AtomicU64,
}

impl FaultyLog {
    /// One that only counts.
    pub fn sound(inner: Arc<dyn Log>) -> Self {
        Self::new(inner, None)
    }

    /// One at which the step of this number, from 1, goes wrong.
    pub fn failing(inner: Arc<dyn Log>, step: u64, fault: LogFault) -> Self {
        Self::new(inner, Some((step, fault)))
    }

    fn new(inner: Arc<dyn Log>, plan: Option<(u64, LogFault)>) -> Self {
        let state = State {
            plan,
            steps: AtomicU64::new(0),
        };
        Self {
            inner,
            state: Arc::new(state),
        }
    }

    /// How many steps there were. What goes wrong counts too.
    pub fn steps(&self) -> u64 {
        self.state.steps.load(Ordering::Acquire)
    }

    /// What goes wrong at this step.
    fn step(&self) -> Option<LogFault> {
        let number = self.state.steps.fetch_add(1, Ordering::AcqRel) + 1;
        let (planned, fault) = self.state.plan?;
        (planned == number).then_some(fault)
    }

    fn error(&self, doing: &'static str) -> LogError {
        LogError::Unavailable {
            log: self.inner.name().to_owned(),
            doing,
            source: "it was told to fail".into(),
        }
    }

    async fn call<T>(
        &self,
        doing: &'static str,
        sent: impl Future<Output = Result<T, LogError>>,
    ) -> Result<T, LogError> {
        match self.step() {
            None => sent.await,
            Some(LogFault::TimeOut) => pending().await,
            Some(LogFault::Fail | LogFault::EndEarly) => Err(self.error(doing)),
        }
    }

    /// A stream, of which every item is a step, and the making.
    async fn stream<T: Send + 'static>(
        &self,
        doing: &'static str,
        sent: impl Future<Output = Result<Items<T>, LogError>>,
    ) -> Result<Items<T>, LogError> {
        let inner = match self.step() {
            None => Some(sent.await?),
            Some(LogFault::EndEarly) => None,
            Some(LogFault::TimeOut) => pending().await,
            Some(LogFault::Fail) => return Err(self.error(doing)),
        };
        let this = self.clone();
        let items = stream::unfold(inner, move |inner| {
            let this = this.clone();
            async move {
                let mut inner = inner?;
                match this.step() {
                    None => Some((inner.next().await?, Some(inner))),
                    Some(LogFault::EndEarly) => None,
                    Some(LogFault::TimeOut) => pending().await,
                    Some(LogFault::Fail) => Some((Err(this.error(doing)), None)),
                }
            }
        });
        Ok(items.boxed())
    }
}

impl fmt::Debug for FaultyLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyLog")
            .field("inner", &self.inner.name())
            .field("plan", &self.state.plan)
            .field("steps", &self.steps())
            .finish()
    }
}

// A method that is not forwarded would be no step.
#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Log for FaultyLog {
    fn name(&self) -> &str {
        self.inner.name()
    }

    async fn bounds(&self) -> Result<Bounds, LogError> {
        self.call("asking for its bounds", self.inner.bounds()).await
    }

    async fn survey(&self) -> Result<Survey, LogError> {
        self.call("surveying it", self.inner.survey()).await
    }

    async fn holdings(&self, most: u64) -> Result<Option<Holdings>, LogError> {
        let told = self.inner.holdings(most);
        self.call("asking what it holds", told).await
    }

    async fn read(&self, from: Sequence, scope: &Scope) -> Result<LogStream, LogError> {
        self.stream("reading", self.inner.read(from, scope)).await
    }

    async fn current(&self, scope: &Scope) -> Result<LogStream, LogError> {
        self.stream("listing", self.inner.current(scope)).await
    }

    async fn list(&self, scope: &Scope) -> Result<ListStream, LogError> {
        self.stream("listing without values", self.inner.list(scope))
            .await
    }

    async fn keys(&self, scope: &Scope) -> Result<KeyStream, LogError> {
        self.stream("listing keys", self.inner.keys(scope)).await
    }

    async fn message_at(&self, sequence: Sequence) -> Result<Option<Change>, LogError> {
        self.call("asking for a message", self.inner.message_at(sequence))
            .await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use alluvium_core::ErrorKind;
    use alluvium_memory::MemoryLog;
    use futures_util::Stream;

    use super::*;

    fn three() -> Arc<dyn Log> {
        let log = MemoryLog::new("log");
        for key in ["a", "b", "c"] {
            log.put(key, key);
        }
        Arc::new(log)
    }

    /// How many items came, and whether an error was the last.
    async fn drain<T>(stream: Result<impl Stream<Item = Result<T, LogError>>, LogError>) -> (usize, bool) {
        match stream {
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Transient);
                (0, true)
            }
            Ok(stream) => {
                let items: Vec<_> = stream.collect().await;
                let errors = items.iter().filter(|item| item.is_err()).count();
                let failed = items.last().is_some_and(Result::is_err);
                assert_eq!(errors, usize::from(failed), "an error is the last item");
                (items.len() - errors, failed)
            }
        }
    }

    #[tokio::test]
    async fn a_sound_one_counts_calls_and_items() {
        let log = FaultyLog::sound(three());
        assert_eq!(log.name(), "log");
        assert_eq!(log.bounds().await.unwrap().messages, 3);
        assert!(log.message_at(Sequence::FIRST).await.unwrap().is_some());
        assert_eq!(log.steps(), 2);
        // Three keys, the word that this is all, and the end; then three and the end.
        assert_eq!(drain(log.current(&Scope::all()).await).await, (4, false));
        assert_eq!(log.steps(), 2 + 1 + 5);
        assert_eq!(drain(log.keys(&Scope::all()).await).await, (3, false));
        assert_eq!(log.steps(), 8 + 1 + 4);
    }

    #[tokio::test]
    async fn one_step_goes_wrong_as_it_is_told() {
        for (step, fault, expected) in [
            (1, LogFault::Fail, (0, true)),
            (1, LogFault::EndEarly, (0, false)),
            (2, LogFault::Fail, (0, true)),
            (4, LogFault::Fail, (2, true)),
            (4, LogFault::EndEarly, (2, false)),
            (5, LogFault::EndEarly, (3, false)),
        ] {
            let log = FaultyLog::failing(three(), step, fault);
            assert_eq!(
                drain(log.current(&Scope::all()).await).await,
                expected,
                "{fault:?}"
            );
            assert_eq!(drain(log.current(&Scope::all()).await).await, (4, false));
        }
        for fault in [LogFault::Fail, LogFault::EndEarly] {
            let log = FaultyLog::failing(three(), 1, fault);
            assert!(log.bounds().await.is_err());
            assert!(log.bounds().await.is_ok());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_that_times_out_never_answers() {
        for step in [1, 3] {
            let log = FaultyLog::failing(three(), step, LogFault::TimeOut);
            let limit = Duration::from_hours(1);
            let everything = Scope::all();
            let drained = async { drain(log.current(&everything).await).await };
            assert!(tokio::time::timeout(limit, drained).await.is_err());
        }
    }
}
