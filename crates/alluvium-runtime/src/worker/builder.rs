//! What a worker is made of, and how it is started.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use alluvium_core::{AssignmentVersion, BoxError};
use tokio::sync::watch;

use super::call::Runner;
use super::driver::{Driver, Options};
use super::parking::Parking;
use super::stopping::Stopping;
use super::{
    Action, DeadLetters, Delivery, Handler, RestartPolicy, Worker, WorkerError, WorkerEvent, WorkerStatus,
};
use crate::LogCursorBuilder;
use crate::events::Listener;

/// How a [`Worker`] is started.
#[derive(Clone)]
#[must_use = "a builder does nothing until `start`"]
pub struct WorkerBuilder {
    cursor: LogCursorBuilder,
    options: Options,
    listener: Listener<WorkerEvent>,
    halt: Option<watch::Receiver<bool>>,
}

impl WorkerBuilder {
    pub(super) fn new(cursor: LogCursorBuilder) -> Self {
        Self {
            options: Options {
                name: cursor.name().unwrap_or("worker").to_owned(),
                assignment: AssignmentVersion::OFF,
                max_messages: 1_024,
                max_bytes: 1 << 20,
                linger: Duration::ZERO,
                restart: RestartPolicy::default(),
                first_pause: Duration::from_millis(100),
                longest_pause: Duration::from_secs(10),
                handler_timeout: None,
                shutdown_deadline: Duration::from_secs(30),
                parking: None,
            },
            cursor,
            listener: Listener::default(),
            halt: None,
        }
    }

    /// The worker's name in its [evidence](alluvium_core::Evidence). By default that of its cursor.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.options.name = name.into();
        self
    }

    /// The version of the assignment that the worker's evidence tells: see
    /// [`Evidence::assignment`](alluvium_core::Evidence::assignment).
    pub fn assignment(mut self, version: AssignmentVersion) -> Self {
        self.options.assignment = version;
        self
    }

    /// A delivery has at most so many messages, and stops growing once they have so many bytes of keys, values and headers; one
    /// message is always in it. 1,024 messages and 1 MiB by default.
    pub fn max_batch(mut self, messages: usize, bytes: usize) -> Self {
        self.options.max_messages = messages.max(1);
        self.options.max_bytes = bytes;
        self
    }

    /// How long a delivery that is not full waits for more messages after its first. Not at all by default: a
    /// delivery is then whatever has arrived while the one before was handled.
    pub fn linger(mut self, linger: Duration) -> Self {
        self.options.linger = linger;
        self
    }

    /// How often a handler that fails is restarted. By default 10 times within a minute.
    pub fn restart(mut self, policy: RestartPolicy) -> Self {
        self.options.restart = policy;
        self
    }

    /// The pause before a restart: the first, and the longest to which it doubles as long as it goes wrong. From 100 ms to 10 s by
    /// default, give or take a half. The same between attempts to reach a log that does not answer, and to save the cursor.
    pub fn pauses(mut self, first: Duration, longest: Duration) -> Self {
        self.options.first_pause = first;
        self.options.longest_pause = longest.max(first);
        self
    }

    /// How long the handler may take for a delivery; that is a failure then. An async handler is cancelled where it awaits.
    /// A blocking one cannot be: [`Delivery::is_cancelled`] asks it to return, and if it does not within a second the worker
    /// stops with [`WorkerError::Stuck`]. For ever by default.
    pub fn handler_timeout(mut self, timeout: Duration) -> Self {
        self.options.handler_timeout = Some(timeout);
        self
    }

    /// How long a worker that is to stop waits for the delivery in hand. 30 s by default. What is not done by then is
    /// cancelled, and comes again after a restart.
    pub fn shutdown_deadline(mut self, deadline: Duration) -> Self {
        self.options.shutdown_deadline = deadline;
        self
    }

    /// Messages on which alone the handler fails so often, at least once, go there instead of being tried for ever. When a
    /// delivery of several fails, they are given again one by one, so that those go that are at fault, and no other. What led to a
    /// parking no longer counts for the restarts.
    pub fn park_after(mut self, failures: u32, dead_letters: impl DeadLetters) -> Self {
        self.options.parking = Some(Parking {
            after: failures.max(1),
            dead_letters: Arc::new(dead_letters),
        });
        self
    }

    /// Is called with what happens beside the work, from the worker's task: it must not block, and the worker survives its
    /// panic. The events are also logged.
    pub fn on_event(mut self, call: impl Fn(&WorkerEvent) + Send + Sync + 'static) -> Self {
        self.listener = Listener::new(call);
        self
    }

    /// Once this is true, or nobody is left who could say so, the worker stops at once: the delivery in hand is cancelled.
    pub(crate) fn halted_by(mut self, halt: watch::Receiver<bool>) -> Self {
        self.halt = Some(halt);
        self
    }

    /// Opens the cursor, and starts to work. Needs a tokio runtime.
    ///
    /// # Errors
    ///
    /// [`WorkerError::Cursor`], as [`LogCursorBuilder::open`].
    pub async fn start(self, handler: impl Handler) -> Result<Worker, WorkerError> {
        self.start_with(Runner::Async(Arc::new(handler))).await
    }

    /// The same for a handler that blocks, on a thread for such work.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub async fn start_blocking<F>(self, handler: F) -> Result<Worker, WorkerError>
    where
        F: Fn(&Delivery) -> Result<Action, BoxError> + Send + Sync + 'static,
    {
        self.start_with(Runner::Blocking(Arc::new(handler))).await
    }

    async fn start_with(self, runner: Runner) -> Result<Worker, WorkerError> {
        let cursor = self.cursor.open().await?;
        let log = Arc::clone(cursor.log());
        let status = watch::Sender::new(WorkerStatus::starting(cursor.committed().clone()));
        let (stop, stopping) = watch::channel(false);
        let stopping = Stopping::new(stopping, self.halt);
        let watching = status.subscribe();
        let driver = Driver::new(cursor, self.options, runner, self.listener, status, stopping);
        let task = tokio::spawn(driver.run());
        Ok(Worker {
            log,
            stop,
            status: watching,
            task,
        })
    }
}

impl fmt::Debug for WorkerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerBuilder")
            .field("cursor", &self.cursor)
            .field("name", &self.options.name)
            .finish_non_exhaustive()
    }
}
