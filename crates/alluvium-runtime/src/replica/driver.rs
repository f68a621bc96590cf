//! The receiving task: decides how the table goes on, reads the log into the queue, and decides anew when the log
//! fails or changes under it.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use alluvium_core::{
    Bounds, Change, Cursor, ErrorKind, KeyRange, Log, LogError, LogEvent, LogIdentity, LogStream, Mode, Plan,
    PlanInput, ReconcileReason, Scope, Sequence, Table, plan,
};
use backoff::ExponentialBackoff;
use backoff::backoff::Backoff as _;
use futures_util::FutureExt as _;
use futures_util::future::FusedFuture as _;
use tokio::sync::{oneshot, watch};

use super::bootstrap::ReplicaBootstrap;
use super::queue::{Ended, Queue, Work, weight};
use super::status::{State, Status};
use crate::ReplicaError;
use crate::artifact::RunningRounds;
use crate::error::Chain;

/// Received changes are handed over in pieces of at most this many, or of this weight: large enough that handing over
/// costs nothing per change, small enough that the applying thread is not kept waiting for a flood to pause.
const PIECE: usize = 1_024;
pub(super) const PIECE_BYTES: usize = 512 << 10;

/// After so many pieces in a flood the receiving task lets others have their turn, the stop signal among them.
const PIECES_PER_TURN: u64 = 16;

/// How often the rate is worked out.
const RATE_EVERY: Duration = Duration::from_secs(1);

/// Between attempts at a log that fails, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(5);

pub(super) struct Driver {
    pub(super) log: Arc<dyn Log>,
    pub(super) table: Arc<dyn Table>,
    pub(super) scope: Scope,
    pub(super) mode: Mode,
    pub(super) queue: Queue,
    pub(super) status: watch::Sender<Status>,
    pub(super) stalled_after: Duration,
    pub(super) bounds_every: Duration,
    pub(super) bootstrap: Option<ReplicaBootstrap>,
}

/// How a table goes on from a log.
pub(super) struct Course {
    pub(super) log: LogIdentity,
    pub(super) plan: Plan,
    /// Where the table is.
    pub(super) cursor: Option<Cursor>,
}

/// Why reading ended.
pub(super) enum Interruption {
    Failed(ReplicaError),
    /// The applying thread has ended, and tells why itself.
    ApplierEnded,
}

impl<E: Into<ReplicaError>> From<E> for Interruption {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl From<Ended> for Interruption {
    fn from(_: Ended) -> Self {
        Self::ApplierEnded
    }
}

/// What was there to be received at one go.
#[derive(Default)]
pub(super) struct Piece {
    pub(super) changes: Vec<Change>,
    bytes: usize,
    pub(super) end: Option<PieceEnd>,
}

pub(super) enum PieceEnd {
    CaughtUp(Sequence),
    Failed(LogError),
    Over,
}

impl Driver {
    /// Runs until it is told to stop, or something fails that trying again does not mend. Leaves the status over.
    pub(super) async fn run(
        self,
        course: Course,
        mut stop: watch::Receiver<bool>,
        applier: oneshot::Receiver<Result<(), ReplicaError>>,
        rounds: Option<RunningRounds>,
    ) {
        let mut applier = applier.fuse();
        let mut result = {
            // Without tokio's budget, which would make the receiver give way at every 128th message: what bounds it is
            // the queue.
            let follow = pin!(tokio::task::unconstrained(self.follow(course)));
            let watch = pin!(self.watch_bounds());
            let rate = pin!(self.keep_rate());
            tokio::select! {
                // An error means that the handle was dropped, which stops the replica too.
                _ = stop.wait_for(|stop| *stop) => Ok(()),
                error = follow => error.map_or(Ok(()), Err),
                () = watch => Ok(()),
                () = rate => Ok(()),
                over = &mut applier => over.unwrap_or(Err(ReplicaError::ShutDown)),
            }
        };
        if let Some(rounds) = &rounds {
            rounds.stop();
        }
        // Without a filling end the applying thread finishes what is queued, and ends.
        drop(self.queue);
        if !applier.is_terminated()
            && let Ok(over) = applier.await
        {
            result = over.and(result);
        }
        if let Some(rounds) = rounds {
            rounds.ended().await;
        }
        self.status.send_modify(|status| match result {
            Ok(()) => status.enter(State::Stopped),
            Err(error) => {
                tracing::error!(table = self.table.name(), error = %Chain(&error), "the replica stops");
                status.error = Some(error);
                status.enter(State::Failed);
            }
        });
    }

    /// Follows the log, through failures and re-creations. Returns why not any longer; nothing if the applying thread
    /// has ended.
    async fn follow(&self, course: Course) -> Option<ReplicaError> {
        let mut pauses = pauses();
        let mut course = match self.begin(course, &mut pauses).await {
            Ok(course) => course,
            Err(Interruption::Failed(error)) => return Some(error),
            Err(Interruption::ApplierEnded) => return None,
        };
        loop {
            let before = self.status.borrow().changes;
            let error = match self.take(course).await {
                Interruption::Failed(error) => error,
                Interruption::ApplierEnded => return None,
            };
            if self.status.borrow().changes > before {
                pauses.reset();
            }
            course = match self.course_after(error, &mut pauses).await {
                Ok(course) => course,
                Err(Interruption::Failed(error)) => return Some(error),
                Err(Interruption::ApplierEnded) => return None,
            };
        }
    }

    /// Begins with an artifact, where that is wanted.
    async fn begin(&self, course: Course, pauses: &mut ExponentialBackoff) -> Result<Course, Interruption> {
        let Some(bootstrap) = &self.bootstrap else {
            return Ok(course);
        };
        if !bootstrap.run(&course, &self.table, &self.queue).await? {
            return Ok(course);
        }
        // The table is another one now, or the log is, for it took its time.
        self.queue.settle().await?;
        let decided = match self.log.bounds().await {
            Ok(bounds) => self.decide(bounds).await,
            Err(error) => Err(error.into()),
        };
        match decided {
            Ok(course) => Ok(course),
            Err(error) => self.course_after(error, pauses).await,
        }
    }

    /// Decides anew after an error, unless that error is one to stop at.
    async fn course_after(
        &self,
        mut error: ReplicaError,
        pauses: &mut ExponentialBackoff,
    ) -> Result<Course, Interruption> {
        loop {
            if !goes_on(&error) {
                return Err(error.into());
            }
            tracing::warn!(table = self.table.name(), error = %Chain(&error), "reading the log anew");
            self.status.send_modify(|status| status.restarts += 1);
            // What is decided next rests on the table's cursor: let it come to rest.
            self.queue.settle().await?;
            tokio::time::sleep(pauses.next_backoff().unwrap_or(LONGEST_PAUSE)).await;
            let decided = match self.log.bounds().await {
                Ok(bounds) => self.decide(bounds).await,
                Err(error) => Err(error.into()),
            };
            match decided {
                Ok(course) => return Ok(course),
                Err(next) => error = next,
            }
        }
    }

    /// Decides how the table goes on from a log with these bounds.
    pub(super) async fn decide(&self, bounds: Bounds) -> Result<Course, ReplicaError> {
        let table = Arc::clone(&self.table);
        let evicts = bounds.retention.evicts_latest();
        let look = move || {
            // Before anything is done that rests on it.
            if evicts && !table.has_evicted() {
                table.remember_eviction()?;
                table.sync()?;
            }
            let first = table.snapshot()?.scan(&KeyRange::all())?.next().transpose()?;
            Ok::<_, ReplicaError>((
                table.binding(),
                table.cursor(),
                first.is_some(),
                table.has_evicted(),
            ))
        };
        let (binding, cursor, has_rows, has_evicted) = tokio::task::spawn_blocking(look)
            .await
            .map_err(|_| ReplicaError::ShutDown)??;
        let at_cursor = match &cursor {
            Some(cursor) if cursor.log == bounds.log && cursor.sequence > Sequence::ZERO => self
                .log
                .message_at(cursor.sequence)
                .await?
                .map(|change| change.timestamp),
            _ => None,
        };
        let plan = plan(&PlanInput {
            bound_to: binding.as_ref().map(|binding| binding.log.as_str()),
            scope: &self.scope,
            mode: self.mode,
            cursor: cursor.as_ref(),
            has_rows,
            has_evicted,
            vanished: false,
            bounds: &bounds,
            at_cursor,
            newest: None,
        });
        self.status.send_modify(|status| {
            status.log_last = bounds.last;
            status.plan = Some(plan.clone());
        });
        match plan {
            Plan::Refuse(reason) => Err(ReplicaError::Refused(reason)),
            plan => Ok(Course {
                log: bounds.log,
                plan,
                cursor,
            }),
        }
    }

    /// Takes a course until it ends.
    async fn take(&self, course: Course) -> Interruption {
        self.status.send_modify(|status| status.enter(State::Filling));
        let taken = async {
            self.queue.push(Work::Follow(course.log.clone())).await?;
            let from = match course.plan {
                Plan::Resume { from } => from,
                Plan::Reconcile(reason) => self.reconcile(&course.log, reason).await?.next(),
                // Of a mirror, what the log lists is always right.
                Plan::Restore { .. } => self
                    .reconcile(&course.log, ReconcileReason::Overrun)
                    .await?
                    .next(),
                Plan::Refuse(reason) => return Err(ReplicaError::Refused(reason).into()),
            };
            self.read(&course.log, from).await
        };
        match taken.await {
            Ok(()) => self.over().into(),
            Err(interruption) => interruption,
        }
    }

    /// Reads from here on. Ends only with an error, or when the stream is over.
    async fn read(&self, log: &LogIdentity, from: Sequence) -> Result<(), Interruption> {
        let mut stream = self.log.read(from, &self.scope).await?;
        self.still_the_same(log).await?;
        let mut position = from.previous();
        for pieces in 1_u64.. {
            if pieces.is_multiple_of(PIECES_PER_TURN) {
                tokio::task::yield_now().await;
            }
            let piece = self.receive(&mut stream).await;
            if let Some(last) = piece.changes.last() {
                position = last.sequence;
                self.queue.push(Work::Apply(piece.changes)).await?;
            }
            match piece.end {
                None => {}
                Some(PieceEnd::CaughtUp(sequence)) => {
                    // Nothing in scope came up to here. The cursor moves along, so that the next start finds it close.
                    let cursor = if sequence > position || sequence == Sequence::ZERO {
                        self.cursor_at(log, sequence).await?
                    } else {
                        None
                    };
                    self.queue.push(Work::CaughtUp(sequence, cursor)).await?;
                }
                Some(PieceEnd::Failed(error)) => return Err(error.into()),
                Some(PieceEnd::Over) => break,
            }
        }
        Ok(())
    }

    /// Checks, once a stream is open, that it is of the log that the decision was about: a stream tells of a log
    /// replaced under it, but not of one replaced before.
    pub(super) async fn still_the_same(&self, log: &LogIdentity) -> Result<(), LogError> {
        if self.log.bounds().await?.log == *log {
            Ok(())
        } else {
            Err(self.replaced())
        }
    }

    pub(super) fn replaced(&self) -> LogError {
        LogError::Replaced {
            log: self.log.name().to_owned(),
        }
    }

    /// The cursor at a sequence; none if the log does not hold that message.
    pub(super) async fn cursor_at(
        &self,
        log: &LogIdentity,
        sequence: Sequence,
    ) -> Result<Option<Cursor>, LogError> {
        let start = Cursor::start_of(log.clone());
        if sequence == Sequence::ZERO {
            return Ok(Some(start));
        }
        Ok(self
            .log
            .message_at(sequence)
            .await?
            .map(|message| start.at(sequence, message.timestamp)))
    }

    /// A log's stream never ends without an error. One that does is read again.
    pub(super) fn over(&self) -> ReplicaError {
        let log = self.log.name().to_owned();
        LogError::Unavailable {
            log,
            doing: "reading",
            source: "the stream ended".into(),
        }
        .into()
    }

    /// Receives a piece, and counts it. Nobody is told of that alone.
    pub(super) async fn receive(&self, stream: &mut LogStream) -> Piece {
        let piece = receive(stream).await;
        self.count(piece.changes.len());
        piece
    }

    pub(super) fn count(&self, received: usize) {
        self.status.send_if_modified(|status| {
            status.received += received as u64;
            false
        });
    }

    /// Keeps the status's rate.
    async fn keep_rate(&self) {
        let (mut before, mut since) = (0, Instant::now());
        loop {
            tokio::time::sleep(RATE_EVERY).await;
            let elapsed = since.elapsed().as_secs_f64();
            since = Instant::now();
            self.status.send_if_modified(|status| {
                #[allow(clippy::cast_precision_loss, reason = "a rate is shown to people")]
                let rate = (status.changes - before) as f64 / elapsed;
                before = status.changes;
                // At rest nobody is told every second that there is nothing.
                let told = rate > 0.0 || status.rate > 0.0;
                status.rate = rate;
                told
            });
        }
    }

    /// Keeps the status's idea of the log's end, and says when the log has not been heard from.
    async fn watch_bounds(&self) {
        let mut heard = Instant::now();
        loop {
            tokio::time::sleep(self.bounds_every).await;
            let bounds = self.log.bounds().await;
            if bounds.is_ok() {
                heard = Instant::now();
            }
            if let Ok(bounds) = &bounds
                && bounds.retention.evicts_latest()
                && !self.table.has_evicted()
            {
                // If the applying thread has ended, the replica ends too.
                let _ = self.queue.push(Work::RememberEviction).await;
            }
            self.status.send_modify(|status| match bounds {
                Ok(bounds) => {
                    status.log_last = status.log_last.max(bounds.last);
                    if status.state == State::Stalled {
                        status.error = None;
                        status.enter(if status.is_bootstrapping() {
                            State::Bootstrapping
                        } else if matches!(status.plan, Some(Plan::Reconcile(_))) && status.cursor.is_none() {
                            State::Reconciling
                        } else if status.lag() == 0 {
                            State::Live
                        } else {
                            State::Filling
                        });
                    }
                }
                Err(error) if heard.elapsed() >= self.stalled_after => {
                    status.error = Some(error.into());
                    status.enter(State::Stalled);
                }
                Err(_) => {}
            });
        }
    }
}

/// What there is to be received now; waits for something.
async fn receive(stream: &mut LogStream) -> Piece {
    let mut piece = Piece::default();
    poll_fn(|context| {
        while piece.changes.len() < PIECE && piece.bytes < PIECE_BYTES && piece.end.is_none() {
            match stream.as_mut().poll_next(context) {
                Poll::Ready(Some(Ok(LogEvent::Change(change)))) => {
                    piece.bytes += weight(&change);
                    piece.changes.push(change);
                }
                Poll::Ready(Some(Ok(LogEvent::CaughtUp(sequence)))) => {
                    piece.end = Some(PieceEnd::CaughtUp(sequence));
                }
                Poll::Ready(Some(Err(error))) => piece.end = Some(PieceEnd::Failed(error)),
                Poll::Ready(None) => piece.end = Some(PieceEnd::Over),
                Poll::Pending if piece.changes.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready(std::mem::take(&mut piece))
    })
    .await
}

/// Whether an error is one of the log's that a fresh look at the log can mend.
fn goes_on(error: &ReplicaError) -> bool {
    match error {
        // The log shrank between the look and the read.
        ReplicaError::Log(error) if matches!(**error, LogError::BeyondEnd { .. }) => true,
        ReplicaError::Log(error) => matches!(error.kind(), ErrorKind::Transient | ErrorKind::Fenced),
        _ => false,
    }
}

pub(super) fn pauses() -> ExponentialBackoff {
    ExponentialBackoff {
        current_interval: FIRST_PAUSE,
        initial_interval: FIRST_PAUSE,
        max_interval: LONGEST_PAUSE,
        max_elapsed_time: None,
        ..ExponentialBackoff::default()
    }
}
