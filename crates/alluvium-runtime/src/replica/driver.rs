//! The receiving task: takes the course that was decided on, reads the log into the queue, and has it decided anew when the
//! log fails or changes under it.

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alluvium_core::{
    Cursor, ErrorKind, Log, LogError, LogIdentity, LogStream, Mode, Plan, Scope, Sequence, Survey, Table,
};
use futures_util::FutureExt as _;
use futures_util::future::FusedFuture as _;
use tokio::sync::{oneshot, watch};

use super::bootstrap::ReplicaBootstrap;
use super::piece::{Piece, PieceEnd, receive};
use super::queue::{Ended, Queue, Work};
use super::restore::Restoring;
use super::retain::Following;
use super::status::{State, Status};
use crate::ReplicaError;
use crate::artifact::RunningRounds;
use crate::error::Chain;
use crate::pauses::Pauses;

/// After so many pieces in a flood the receiving task lets others have their turn, the stop signal among them.
const PIECES_PER_TURN: u64 = 16;

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
    pub(super) following: Mutex<Following>,
    /// What was found at the last look at the log.
    pub(super) surveys: watch::Sender<Option<Survey>>,
    /// Whether rows were found that only a reconcile puts right.
    pub(super) vanished: watch::Sender<bool>,
    pub(super) serve_when_refused: bool,
    pub(super) missing_for: Duration,
    /// Since when the log is not there.
    pub(super) missing: Mutex<Option<tokio::time::Instant>>,
    pub(super) bootstrap: Option<ReplicaBootstrap>,
}

/// How a table goes on from a log.
pub(super) struct Course {
    pub(super) log: LogIdentity,
    pub(super) plan: Plan,
    /// Where the table is.
    pub(super) cursor: Option<Cursor>,
    /// What the table is to be replaced by first, if it is.
    pub(super) restoring: Option<Box<Restoring>>,
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

impl Driver {
    /// Runs until it is told to stop, or something fails that trying again does not mend. Leaves the status over.
    pub(super) async fn run(
        self,
        course: Result<Option<Course>, ReplicaError>,
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
            let retain = pin!(self.retain(self.surveys.subscribe()));
            tokio::select! {
                // An error means that the handle was dropped, which stops the replica too.
                _ = stop.wait_for(|stop| *stop) => Ok(()),
                error = follow => error.map_or(Ok(()), Err),
                () = watch => Ok(()),
                () = rate => Ok(()),
                error = retain => Err(error),
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
            Ok(()) => {
                // Whatever it was held up by has not stopped it.
                status.error = None;
                status.enter(State::Stopped);
            }
            Err(error) => {
                tracing::error!(table = self.table.name(), error = %Chain(&error), "the replica stops");
                status.error = Some(error);
                status.enter(State::Failed);
            }
        });
    }

    /// Follows the log, through failures and re-creations. Returns why not any longer; nothing if the applying thread
    /// has ended.
    async fn follow(&self, course: Result<Option<Course>, ReplicaError>) -> Option<ReplicaError> {
        let mut pauses = pauses();
        let mut course = match self.first(course, &mut pauses).await {
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
            course = match self.ready(Err(error), &mut pauses).await {
                Ok(course) => course,
                Err(Interruption::Failed(error)) => return Some(error),
                Err(Interruption::ApplierEnded) => return None,
            };
        }
    }

    /// The course to begin with.
    async fn first(
        &self,
        course: Result<Option<Course>, ReplicaError>,
        pauses: &mut Pauses,
    ) -> Result<Course, Interruption> {
        let decided = match course {
            Ok(Some(course)) => self.begin(course).await?,
            Ok(None) => self.decide_now().await,
            Err(error) => Err(error),
        };
        self.ready(decided, pauses).await
    }

    /// Begins with an artifact that is far ahead, where that is wanted.
    async fn begin(&self, course: Course) -> Result<Result<Course, ReplicaError>, Interruption> {
        let Some(bootstrap) = &self.bootstrap else {
            return Ok(Ok(course));
        };
        if !bootstrap.run(&course, &self.table, &self.queue).await? {
            return Ok(Ok(course));
        }
        // The table is another one now, or the log is, for it took its time.
        self.queue.settle().await?;
        Ok(self.decide_now().await)
    }

    /// Decides anew after an error, unless that error is one to stop at.
    pub(super) async fn course_after(
        &self,
        mut error: ReplicaError,
        pauses: &mut Pauses,
    ) -> Result<Course, Interruption> {
        loop {
            if self.serves(&error) {
                error = match self.refused(error).await? {
                    Ok(course) => return Ok(course),
                    Err(error) => error,
                };
                continue;
            }
            if !goes_on(&error) && !self.may_come_back(&error) {
                return Err(error.into());
            }
            // Of a store of artifacts it is told elsewhere.
            if !matches!(error, ReplicaError::Bootstrap(_)) {
                tracing::warn!(table = self.table.name(), error = %Chain(&error), "reading the log anew");
                self.status.send_modify(|status| status.restarts += 1);
            }
            // What is decided next rests on the table's cursor: let it come to rest.
            self.queue.settle().await?;
            tokio::time::sleep(pauses.next()).await;
            match self.decide_now().await {
                Ok(course) => return Ok(course),
                Err(next) => error = next,
            }
        }
    }

    /// Takes a course until it ends.
    async fn take(&self, course: Course) -> Interruption {
        self.follows(None);
        // It has been decided on.
        self.vanished.send_replace(false);
        if let Some(bootstrap) = &self.bootstrap {
            bootstrap.over().await;
        }
        self.status.send_modify(|status| status.takes(&course.plan));
        let taken = async {
            self.queue.push(Work::Follow(course.log.clone())).await?;
            let from = match course.plan {
                Plan::Resume { from } => from,
                Plan::Reconcile(reason) => {
                    let listed = self.reconcile(&course.log, reason).await?;
                    self.status.send_modify(|status| status.enter(State::Filling));
                    listed.next()
                }
                // It has been carried out, and decided anew.
                Plan::Restore { .. } => return Ok(()),
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
        self.follows(Some(log));
        let mut position = from.previous();
        let mut vanished = self.vanished.subscribe();
        for pieces in 1_u64.. {
            if pieces.is_multiple_of(PIECES_PER_TURN) {
                tokio::task::yield_now().await;
            }
            let mut piece = tokio::select! {
                piece = self.receive(&mut stream) => piece,
                // An error would mean that there is no driver.
                _ = vanished.wait_for(|vanished| *vanished) => return Err(self.vanished().into()),
            };
            if let Some(lost) = self.overrun(position, &piece.changes).await? {
                // What comes before it is in order.
                piece.changes.truncate(lost);
                self.queue.push(Work::Apply(piece.changes)).await?;
                return Err(self.evicted_unread().into());
            }
            if let Some(last) = piece.changes.last() {
                position = last.sequence;
                self.queue.push(Work::Apply(piece.changes)).await?;
            }
            match piece.end {
                None => {}
                Some(PieceEnd::CaughtUp(sequence)) => {
                    // Nothing in scope came up to here. The cursor moves along, so that the next start finds it close.
                    let cursor = if sequence > position || sequence == Sequence::ZERO {
                        let cursor = self.cursor_at(log, sequence).await?;
                        // An archive whose cursor stays behind looks as if it had been overrun. Of a message that is gone
                        // no later start will find another one in its place.
                        let gone = || Cursor::start_of(log.clone()).at(sequence, log.created);
                        cursor.or_else(|| (self.mode == Mode::Archive).then(gone))
                    } else {
                        None
                    };
                    position = position.max(sequence);
                    self.queue.push(Work::CaughtUp(sequence, cursor)).await?;
                }
                Some(PieceEnd::Failed(error)) => return Err(error.into()),
                Some(PieceEnd::Over) => break,
            }
        }
        Ok(())
    }

    pub(super) fn follows(&self, log: Option<&LogIdentity>) {
        let mut following = self.following.lock().unwrap_or_else(PoisonError::into_inner);
        following.set(log.cloned());
    }

    /// What is followed now.
    pub(super) fn following(&self) -> Following {
        let following = self.following.lock().unwrap_or_else(PoisonError::into_inner);
        following.clone()
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
            if let Some(reconcile) = &mut status.reconcile {
                reconcile.listed += received as u64;
            }
            false
        });
    }
}

/// Whether an error is one of the log's that a fresh look at the log can mend.
fn goes_on(error: &ReplicaError) -> bool {
    match error {
        // The log shrank between the look and the read.
        ReplicaError::Log(error) if matches!(**error, LogError::BeyondEnd { .. }) => true,
        ReplicaError::Log(error) => matches!(error.kind(), ErrorKind::Transient | ErrorKind::Fenced),
        ReplicaError::Bootstrap(error) => error.may_pass(),
        _ => false,
    }
}

/// Between attempts at a log or a store that fails.
pub(super) fn pauses() -> Pauses {
    Pauses::new(FIRST_PAUSE, LONGEST_PAUSE)
}
