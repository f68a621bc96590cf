//! The loop of a worker: gather a delivery, have it handled, commit.

use std::sync::Arc;
use std::time::{Duration, Instant};

use alluvium_core::{AssignmentVersion, Change, Cursor, ErrorKind, Evidence, Sequence};
use tokio::sync::watch;

use super::call::{Caller, Outcome, Runner};
use super::event::Events;
use super::handler::InHand;
use super::parking::Parking;
use super::policy::Budget;
use super::stopping::Stopping;
use super::{
    Action, HandlerError, Parked, RestartPolicy, WorkerError, WorkerEvent, WorkerState, WorkerStatus,
};
use crate::error::Chain;
use crate::events::Listener;
use crate::pauses::Pauses;
use crate::{LogCursor, LogCursorError};

/// How long a save that fails for a moment is tried, unless the worker is to stop.
const SAVE_PATIENCE: Duration = Duration::from_secs(30);

/// What a worker was built with.
#[derive(Clone)]
pub(super) struct Options {
    pub(super) name: String,
    pub(super) assignment: AssignmentVersion,
    pub(super) max_messages: usize,
    pub(super) max_bytes: usize,
    pub(super) linger: Duration,
    pub(super) restart: RestartPolicy,
    pub(super) first_pause: Duration,
    pub(super) longest_pause: Duration,
    pub(super) handler_timeout: Option<Duration>,
    pub(super) shutdown_deadline: Duration,
    pub(super) parking: Option<Parking>,
}

pub(super) struct Driver {
    cursor: LogCursor,
    options: Options,
    caller: Caller,
    events: Events,
    status: watch::Sender<WorkerStatus>,
    stopping: Stopping,
    budget: Budget,
    /// After a failure of the handler.
    restart_pauses: Pauses,
    /// After a failure of the log.
    log_pauses: Pauses,
    /// Failures since the last commit.
    failures: u32,
    /// Those of them that were on the first message alone.
    alone: u32,
    /// Up to here messages are given one by one, to find those that are at fault.
    one_by_one: Sequence,
}

/// Whether it goes on after a delivery.
enum Next {
    Delivery,
    End,
}

impl Driver {
    pub(super) fn new(
        cursor: LogCursor,
        options: Options,
        runner: Runner,
        listener: Listener<WorkerEvent>,
        status: watch::Sender<WorkerStatus>,
        stopping: Stopping,
    ) -> Self {
        Self {
            budget: Budget::new(options.restart),
            restart_pauses: Pauses::new(options.first_pause, options.longest_pause),
            log_pauses: Pauses::new(options.first_pause, options.longest_pause),
            cursor,
            caller: Caller {
                runner,
                timeout: options.handler_timeout,
                shutdown_deadline: options.shutdown_deadline,
            },
            events: Events {
                worker: options.name.clone(),
                listener,
            },
            options,
            status,
            stopping,
            failures: 0,
            alone: 0,
            one_by_one: Sequence::ZERO,
        }
    }

    /// Works until it is told to stop, or cannot go on. Gives the position that is committed.
    pub(super) async fn run(mut self) -> Result<Cursor, WorkerError> {
        let result = self.work().await;
        let committed = self.cursor.committed().clone();
        self.status.send_modify(|status| {
            status.committed = committed.clone();
            status.error = result.as_ref().err().cloned();
            status.enter(match result {
                Ok(()) => WorkerState::Stopped,
                Err(_) => WorkerState::Failed,
            });
        });
        result.map(|()| committed)
    }

    async fn work(&mut self) -> Result<(), WorkerError> {
        while let Some(messages) = self.gather().await? {
            if let Next::End = self.deliver(messages).await? {
                break;
            }
        }
        Ok(())
    }

    /// The messages of the next delivery; `None` if the worker is to stop.
    async fn gather(&mut self) -> Result<Option<Vec<Change>>, WorkerError> {
        loop {
            let (max_messages, max_bytes) = self.room();
            let stopping = self.stopping.clone();
            let polled = tokio::select! {
                biased;
                () = stopping.told() => return Ok(None),
                polled = self.cursor.poll_within(max_messages, max_bytes) => polled,
            };
            self.tell_gaps();
            match polled {
                Ok(mut messages) => {
                    self.log_pauses.reset();
                    self.linger(&mut messages).await;
                    return Ok(Some(messages));
                }
                Err(error) if is_passing(&error) => {
                    let (error, pause) = (Arc::new(error), self.log_pauses.next());
                    self.enter(WorkerState::Stalled);
                    self.events.tell(&WorkerEvent::Stalled { error, pause });
                    if self.pause(pause).await {
                        return Ok(None);
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// How much goes into the next delivery.
    fn room(&self) -> (usize, usize) {
        if self.cursor.position().sequence < self.one_by_one {
            return (1, 0);
        }
        (self.options.max_messages, self.options.max_bytes)
    }

    /// Waits for more messages, if that is wanted and there is room for them.
    async fn linger(&mut self, messages: &mut Vec<Change>) {
        if self.options.linger.is_zero() {
            return;
        }
        let until = tokio::time::Instant::now() + self.options.linger;
        let (max_messages, max_bytes) = self.room();
        let mut bytes: usize = messages.iter().map(Change::len_bytes).sum();
        let stopping = self.stopping.clone();
        while messages.len() < max_messages && bytes < max_bytes {
            let more = self
                .cursor
                .poll_within(max_messages - messages.len(), max_bytes - bytes);
            let more = tokio::select! {
                more = more => more,
                () = tokio::time::sleep_until(until) => return,
                () = stopping.told() => return,
            };
            // An error comes again when the next delivery is gathered.
            let Ok(more) = more else { return };
            bytes += more.iter().map(Change::len_bytes).sum::<usize>();
            messages.extend(more);
        }
    }

    async fn deliver(&mut self, messages: Vec<Change>) -> Result<Next, WorkerError> {
        let (Some(first), Some(last)) = (messages.first(), messages.last()) else {
            return Ok(Next::Delivery);
        };
        let evidence = Evidence {
            worker: self.options.name.clone(),
            log: self.cursor.position().log.clone(),
            first: first.sequence,
            last: last.sequence,
            attempt: self.failures.saturating_add(1),
            assignment: self.options.assignment,
        };
        self.status.send_modify(|status| {
            status.delivery = Some(evidence.clone());
            status.enter(WorkerState::Working);
        });
        let in_hand = InHand::new(messages, evidence);
        match self.caller.call(&in_hand, &self.stopping).await? {
            Outcome::Done(Action::StopWithRollback) | Outcome::Abandoned => {
                self.roll_back().await;
                Ok(Next::End)
            }
            Outcome::Done(action) => {
                let handled = len(in_hand.messages.len());
                self.commit(&in_hand, in_hand.take_rows(), |status| {
                    status.handled = status.handled.saturating_add(handled);
                })
                .await?;
                Ok(if action == Action::Stop {
                    Next::End
                } else {
                    Next::Delivery
                })
            }
            Outcome::Failed(error) => self.failed(&in_hand, error).await,
        }
    }

    /// Parks what is poisonous; else goes back, and tries again if it may.
    async fn failed(&mut self, in_hand: &InHand, error: HandlerError) -> Result<Next, WorkerError> {
        let mut error = Arc::new(error);
        let on = &in_hand.evidence;
        self.failures = self.failures.saturating_add(1);
        if in_hand.messages.len() == 1 {
            self.alone = self.alone.saturating_add(1);
        }
        if let Some(parking) = self.options.parking.clone()
            && let [message] = in_hand.messages.as_slice()
            && self.alone >= parking.after
        {
            let parked = Parked {
                message: message.clone(),
                evidence: on.clone(),
                error: Arc::clone(&error),
            };
            match parking.dead_letters.park(parked.clone()).await {
                Ok(()) => {
                    self.budget.forgive(self.failures);
                    self.commit(in_hand, Vec::new(), |status| {
                        status.parked = status.parked.saturating_add(1);
                        status.last_failure = Some(Arc::clone(&error));
                    })
                    .await?;
                    self.events.tell(&WorkerEvent::Parked(parked));
                    return Ok(Next::Delivery);
                }
                Err(source) => error = Arc::new(HandlerError::NotParked(source)),
            }
        }
        if self.options.parking.is_some() {
            self.one_by_one = self.one_by_one.max(on.last);
        }
        self.status
            .send_modify(|status| status.last_failure = Some(Arc::clone(&error)));
        self.roll_back().await;
        if !self.budget.spend(Instant::now()) {
            self.events.tell(&WorkerEvent::BudgetExhausted {
                on: on.clone(),
                error: Arc::clone(&error),
            });
            return Err(WorkerError::Handler {
                on: on.clone(),
                restarts: self.status.borrow().restarts,
                source: error,
            });
        }
        let pause = self.restart_pauses.next();
        self.status.send_modify(|status| {
            status.restarts = status.restarts.saturating_add(1);
            status.enter(WorkerState::Restarting);
        });
        self.events.tell(&WorkerEvent::Restarting {
            on: on.clone(),
            error,
            pause,
        });
        Ok(if self.pause(pause).await {
            Next::End
        } else {
            Next::Delivery
        })
    }

    /// Moves the cursor behind what was given. What fails for a moment is tried again: it leaves the record before, or this one.
    /// Of a worker that is to stop it is tried at once, and for the last time.
    async fn commit(
        &mut self,
        in_hand: &InHand,
        rows: Vec<Change>,
        count: impl FnOnce(&mut WorkerStatus),
    ) -> Result<(), WorkerError> {
        let rows: Arc<[Change]> = rows.into();
        let until = tokio::time::Instant::now() + SAVE_PATIENCE;
        let mut pauses = Pauses::new(self.options.first_pause, self.options.longest_pause);
        let mut again = true;
        loop {
            match self.cursor.commit_with(Arc::clone(&rows)).await {
                Ok(()) => break,
                Err(error) if again && error.kind() == ErrorKind::Transient => {
                    let pause = pauses.next();
                    tracing::warn!(worker = %self.options.name, error = %Chain(&error), ?pause, "the cursor is not saved yet");
                    let stopped = self.pause(pause).await;
                    again = !stopped && tokio::time::Instant::now() < until;
                }
                Err(error) => {
                    let (at, error) = (in_hand.evidence.clone(), Arc::new(error));
                    self.roll_back().await;
                    self.events.tell(&WorkerEvent::SaveFailed {
                        at: at.clone(),
                        error: Arc::clone(&error),
                    });
                    return Err(WorkerError::Save { at, source: error });
                }
            }
        }
        (self.failures, self.alone) = (0, 0);
        self.restart_pauses.reset();
        let committed = self.cursor.committed().clone();
        self.status.send_modify(|status| {
            status.committed = committed;
            status.commits = status.commits.saturating_add(1);
            status.enter(WorkerState::Idle);
            count(status);
        });
        Ok(())
    }

    /// What cannot be told of the last commit now is told by the store at the next start.
    async fn roll_back(&mut self) {
        if let Err(error) = self.cursor.rollback().await {
            tracing::warn!(worker = %self.options.name, error = %Chain(&error), "the cursor is not rolled back");
        }
    }

    /// Whether the worker is to stop, at the latest at the end of the pause.
    async fn pause(&mut self, pause: Duration) -> bool {
        tokio::select! {
            biased;
            () = self.stopping.told() => true,
            () = tokio::time::sleep(pause) => false,
        }
    }

    fn enter(&self, state: WorkerState) {
        self.status.send_modify(|status| status.enter(state));
    }

    fn tell_gaps(&mut self) {
        let gaps = self.cursor.take_gaps();
        if !gaps.gaps.is_empty() || gaps.dropped > 0 {
            self.events.tell(&WorkerEvent::Gaps(gaps));
        }
    }
}

/// Whether the log may answer the next time.
fn is_passing(error: &LogCursorError) -> bool {
    matches!(error, LogCursorError::Log(error) if matches!(error.kind(), ErrorKind::Transient | ErrorKind::Fenced))
}

fn len(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
