//! [`LogCursor`]: a position in a log that moves only after the work.
//!
//! It gives the messages of a [`Log`] in a scope, in batches of whatever has arrived, and saves how far the work on them has
//! come in a [`CursorStore`](alluvium_core::CursorStore). What it promises:
//!
//! 1. Every message in scope that the log holds when its turn comes is given at least once, in order between two
//!    roll-backs.
//! 2. The stored cursor never lies after a message that was not given, nor after one that was given after the last
//!    [`commit`](LogCursor::commit) was called.
//! 3. At a start, after a failure and after a roll-back it looks at what the log holds before it reads on
//!    ([`plan`](alluvium_core::plan())). A log that was created again, lost its tail or has another history ends it, or
//!    is told as a [`Gap`] where that is allowed; so is one that has forgotten what was not given yet.
//! 4. What it can know of messages that went before they were given, it tells: [`take_gaps`](LogCursor::take_gaps).
//!
//! It starts no task. Nothing is asked of the log while nobody polls, and nothing per message.

mod builder;
mod error;
mod gaps;
mod reading;
mod start;

use std::sync::Arc;

use alluvium_core::{Change, Cursor, CursorRecord, ErrorKind, HeldCursor, Log, Scope, Sequence};

pub use builder::{LogCursorBuilder, OnLoss, StartAt};
pub use error::LogCursorError;
pub use gaps::{Gap, GapReason, Gaps, Missing};

use gaps::GapBuffer;
use reading::Reading;

/// A position in a log that moves only after the work.
///
/// Every message in scope that the log holds when its turn comes is given at least once, in order between two roll-backs, and the
/// stored cursor never lies after one that was not given, nor after one that was given after the last
/// [`commit`](LogCursor::commit) was called. What went from the log before it was given is told, as far as it can be known, by
/// [`take_gaps`](LogCursor::take_gaps).
///
/// ```
/// use std::sync::Arc;
/// use alluvium_core::{CursorStore, Log, Scope};
/// use alluvium_runtime::{LogCursor, LogCursorError};
///
/// async fn mail(log: Arc<dyn Log>, cursors: Arc<dyn CursorStore>) -> Result<(), LogCursorError> {
///     let mut orders = LogCursor::builder(log, Scope::all()).held_in(cursors, "mailer").open().await?;
///     loop {
///         let batch = orders.poll_batch(100).await?;
///         for order in &batch {
///             println!("a mail about {:?}", order.key);
///         }
///         orders.commit().await?;
///         for gap in orders.take_gaps().gaps {
///             eprintln!("{gap}");
///         }
///     }
/// }
/// ```
pub struct LogCursor {
    log: Arc<dyn Log>,
    scope: Scope,
    held: Option<Arc<dyn HeldCursor>>,
    on_overrun: OnLoss,
    on_break: OnLoss,
    /// The last message that was given, or where it began.
    position: Cursor,
    /// Where a roll-back goes to: what the last commit left.
    committed: Cursor,
    /// What the store has is `committed`, as far as is known.
    stored: bool,
    /// A commit has failed, and may have been done.
    unsure: bool,
    /// Up to here gaps were told: what is read again is not told again.
    observed: Sequence,
    reading: Option<Reading>,
    gaps: GapBuffer,
}

impl LogCursor {
    /// A cursor over the messages of a log in a scope.
    pub fn builder(log: Arc<dyn Log>, scope: Scope) -> LogCursorBuilder {
        LogCursorBuilder::new(log, scope)
    }

    /// The log.
    pub fn log(&self) -> &Arc<dyn Log> {
        &self.log
    }

    /// The scope.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The last message that was given, or where the cursor began.
    pub fn position(&self) -> &Cursor {
        &self.position
    }

    /// Up to where the work is done: what the last commit left, or where the cursor began.
    pub fn committed(&self) -> &Cursor {
        &self.committed
    }

    /// The next message; waits for it. Cancel-safe: a call that is dropped has taken nothing.
    ///
    /// # Errors
    ///
    /// As [`poll_batch`](Self::poll_batch).
    pub async fn poll(&mut self) -> Result<Change, LogCursorError> {
        loop {
            if let Some(change) = self.poll_batch(1).await?.pop() {
                return Ok(change);
            }
        }
    }

    /// What has arrived, up to `max` messages; waits for one if there is none. Empty only for a `max` of 0. Cancel-safe: a
    /// call that is dropped has taken nothing.
    ///
    /// # Errors
    ///
    /// [`LogCursorError::Log`] if the log fails; the next call looks at the log again and goes on where this one did, so
    /// one of kind [`Transient`](alluvium_core::ErrorKind::Transient) is repeated after a pause. [`LogCursorError::Lost`] if the
    /// position means nothing in the log any more, and it was not said that it may go on.
    pub async fn poll_batch(&mut self, max: usize) -> Result<Vec<Change>, LogCursorError> {
        self.poll_within(max, usize::MAX).await
    }

    /// The same, of which all messages but the last together have fewer bytes than this.
    pub(crate) async fn poll_within(
        &mut self,
        max: usize,
        max_bytes: usize,
    ) -> Result<Vec<Change>, LogCursorError> {
        if max == 0 {
            return Ok(Vec::new());
        }
        loop {
            if self.reading.is_none() {
                self.start().await?;
            }
            self.explain_holes().await;
            let Some(reading) = &mut self.reading else {
                continue;
            };
            if !reading.buffer.is_empty() {
                let batch = reading.take(max, max_bytes);
                if let Some(last) = batch.last() {
                    self.position = self.position.at(last.sequence, last.timestamp);
                }
                return Ok(batch);
            }
            if let Some(error) = reading.failed.take() {
                self.reading = None;
                // What has become of the log is told by looking at it anew.
                if error.kind() == ErrorKind::Fenced {
                    continue;
                }
                return Err(error.into());
            }
            reading.fill(&self.scope).await;
        }
    }

    /// Says that the work on everything given so far is done: from here it goes on after a restart. Does nothing if
    /// nothing was given since the last time, except that it may move along with what the scope leaves out.
    ///
    /// # Errors
    ///
    /// [`LogCursorError::Store`]. The stored cursor is then the one before or the new one: commit again, or
    /// [roll back](Self::rollback). Of kind [`Fenced`](alluvium_core::ErrorKind::Fenced) it is somebody else's, and
    /// neither helps.
    pub async fn commit(&mut self) -> Result<(), LogCursorError> {
        self.commit_with(Vec::new()).await
    }

    /// The same, with these rows in the same atomic commit: see
    /// [`HeldCursor::save_with`](alluvium_core::HeldCursor::save_with). Only of a cursor that is held in a table.
    ///
    /// # Errors
    ///
    /// As [`commit`](Self::commit); also for rows where there is no table.
    pub async fn commit_with(&mut self, rows: impl Into<Arc<[Change]>>) -> Result<(), LogCursorError> {
        let rows = rows.into();
        let target = self.done_up_to().await;
        let Some(held) = &self.held else {
            if !rows.is_empty() {
                return Err(LogCursorError::RowsWithoutStore);
            }
            self.committed = target;
            return Ok(());
        };
        if target == self.committed && self.stored && rows.is_empty() {
            return Ok(());
        }
        (self.stored, self.unsure) = (false, true);
        let record = CursorRecord::new(target.clone(), self.scope.clone());
        held.save_with(&record, rows).await?;
        (self.stored, self.unsure) = (true, false);
        self.position = target.clone();
        self.committed = target;
        Ok(())
    }

    /// Goes back to the last commit: what was given since is given again, as far as the log still holds it.
    ///
    /// # Errors
    ///
    /// [`LogCursorError::Store`] if a commit had failed, and what became of it cannot be read. Roll back again then.
    pub async fn rollback(&mut self) -> Result<(), LogCursorError> {
        self.reading = None;
        if self.unsure
            && let Some(held) = &self.held
        {
            // One of a log that is no more is what was there before the break, and is no place to go back to.
            if let Some(stored) = held.load().await?
                && stored.cursor.log == self.committed.log
            {
                stored.check(self.log.name(), &self.scope)?;
                self.committed = stored.cursor;
                self.stored = true;
            }
            self.unsure = false;
        }
        self.position = self.committed.clone();
        Ok(())
    }

    /// The gaps that were found since the last call, the oldest first. Those up to what was given last are among them;
    /// they may run ahead of that by what has arrived already.
    pub fn take_gaps(&mut self) -> Gaps {
        self.gaps.take()
    }

    /// How far the work is done if it is done for everything that was given. Past what the scope leaves out, if that is all
    /// there is.
    async fn done_up_to(&mut self) -> Cursor {
        let passed = match &self.reading {
            Some(reading) if reading.buffer.is_empty() => reading.caught_up,
            _ => None,
        };
        let Some(passed) = passed.filter(|passed| *passed > self.position.sequence) else {
            return self.position.clone();
        };
        // It is no more than a short cut: without the message's timestamp it is not taken.
        match self.log.message_at(passed).await {
            Ok(Some(message)) => self.position.at(passed, message.timestamp),
            _ => self.position.clone(),
        }
    }
}
