//! Where a cursor begins, and how it goes on from a log that it meets again.

use alluvium_core::{
    Bounds, Cursor, Log, LogError, Mode, Plan, PlanInput, ReconcileReason, Sequence, Timestamp, plan,
};

use super::gaps::{Gap, GapReason, Missing};
use super::reading::Reading;
use super::{LogCursor, LogCursorError, OnLoss, StartAt};

/// Where a cursor begins that has no stored position.
pub(super) async fn beginning(log: &dyn Log, start_at: StartAt) -> Result<Cursor, LogError> {
    let bounds = log.bounds().await?;
    let end = bounds.last.next();
    let from = match start_at {
        StartAt::Oldest => bounds.first.max(Sequence::FIRST).min(end),
        StartAt::Next => end,
        StartAt::Sequence(sequence) => sequence.max(bounds.first).max(Sequence::FIRST).min(end),
    };
    before(log, &bounds, from).await
}

/// The cursor of somebody who has been given everything before `from`.
async fn before(log: &dyn Log, bounds: &Bounds, from: Sequence) -> Result<Cursor, LogError> {
    let start = Cursor::start_of(bounds.log.clone());
    let sequence = from.previous();
    if sequence == Sequence::ZERO {
        return Ok(start);
    }
    let message = log.message_at(sequence).await?;
    // A message that is gone already will not be found to be another one later.
    Ok(start.at(
        sequence,
        message.map_or(bounds.log.created, |message| message.timestamp),
    ))
}

impl LogCursor {
    /// Looks at the log, and begins to read after the position.
    pub(super) async fn start(&mut self) -> Result<(), LogCursorError> {
        let bounds = self.log.bounds().await?;
        let at_cursor = self.timestamp_at_position(&bounds).await?;
        let input = PlanInput {
            bound_to: Some(&self.position.log.name),
            scope: &self.scope,
            // What is gone from the log is told as a gap, whatever the log evicts.
            mode: Mode::Mirror,
            cursor: Some(&self.position),
            // There is something that messages which are gone would have changed: the work.
            has_rows: true,
            has_evicted: false,
            vanished: false,
            bounds: &bounds,
            at_cursor,
            newest: None,
        };
        let from = match plan(&input) {
            Plan::Resume { from } => from,
            Plan::Reconcile(reason) => self.after_a_loss(reason, &bounds).await?,
            // Not without an artifact; what it would replace is lost all the same.
            Plan::Restore { .. } => self.after_a_loss(ReconcileReason::Overrun, &bounds).await?,
            Plan::Refuse(reason) => return Err(LogCursorError::Refused(reason)),
        };
        let stream = match self.log.read(from, &self.scope).await {
            // It has shrunk since it was looked at.
            Err(LogError::BeyondEnd { log, from, last }) => {
                let expected = from.previous();
                return Err(LogError::TailLost { log, expected, last }.into());
            }
            stream => stream?,
        };
        // A stream tells of a log replaced under it, but not of one replaced before.
        if self.log.bounds().await?.log != bounds.log {
            return Err(LogError::Replaced { log: bounds.log.name }.into());
        }
        self.reading = Some(Reading::new(bounds.log.name, stream, from, bounds.first));
        Ok(())
    }

    /// When the message was stored that the log holds at the position.
    async fn timestamp_at_position(&mut self, bounds: &Bounds) -> Result<Option<Timestamp>, LogError> {
        let sequence = self.position.sequence;
        if self.position.log != bounds.log || sequence == Sequence::ZERO || sequence > bounds.last {
            return Ok(None);
        }
        let message = self.log.message_at(sequence).await?;
        Ok(message.map(|message| message.timestamp))
    }

    /// From where to read on although something is lost; tells it.
    async fn after_a_loss(
        &mut self,
        reason: ReconcileReason,
        bounds: &Bounds,
    ) -> Result<Sequence, LogCursorError> {
        let allowed = match reason {
            ReconcileReason::Overrun => self.on_overrun,
            _ => self.on_break,
        };
        if allowed == OnLoss::Stop {
            return Err(LogCursorError::Lost {
                position: self.position.clone(),
                reason,
            });
        }
        let expected = self.position.sequence.next();
        let first = bounds.first.max(Sequence::FIRST);
        let (from, last) = match reason {
            ReconcileReason::Overrun => (first, Some(first.previous())),
            // What the log still holds has been given; what comes will have numbers that were used before.
            ReconcileReason::TailLost => (bounds.last.next(), None),
            _ => (first, None),
        };
        let position = before(self.log.as_ref(), bounds, from).await?;
        if reason == ReconcileReason::Overrun {
            // Told once, however often it is read again.
            let told = self.observed >= from.previous();
            let missing = expected.max(self.observed.next());
            if !told {
                self.tell(expected, missing, last, reason, self.scope.is_all());
            }
            self.observed = self.observed.max(from.previous());
        } else {
            self.tell(expected, expected, last, reason, false);
            self.observed = position.sequence;
            self.committed = position.clone();
            self.position = position;
            // What the store has is of the old history, until the next commit.
            self.stored = false;
        }
        Ok(from)
    }

    fn tell(
        &mut self,
        expected: Sequence,
        first: Sequence,
        last: Option<Sequence>,
        reason: ReconcileReason,
        certain: bool,
    ) {
        self.gaps.push(Gap {
            expected,
            delivered: None,
            missing: vec![Missing {
                first,
                last,
                reason: GapReason::of(reason),
                certain,
            }],
        });
    }
}
