//! The decision how a table goes on from its log, and what becomes of a table that cannot.

use std::sync::Arc;

use alluvium_core::{Bounds, Change, KeyRange, LogError, Mode, Plan, PlanInput, Sequence, plan};

use super::driver::{Course, Driver, Interruption, LONGEST_PAUSE};
use super::status::State;
use crate::ReplicaError;
use crate::error::Chain;

impl Driver {
    /// Whether what the table holds is served after this error.
    pub(super) fn serves(&self, error: &ReplicaError) -> bool {
        self.serve_when_refused && matches!(error, ReplicaError::Refused(_))
    }

    /// Serves what the table holds, and decides anew a little later.
    pub(super) async fn refused(
        &self,
        error: ReplicaError,
    ) -> Result<Result<Course, ReplicaError>, Interruption> {
        self.queue.settle().await?;
        self.status.send_modify(|status| {
            if status.state != State::Refused {
                tracing::error!(table = self.table.name(), error = %Chain(&error), "the table is served as it is");
            }
            status.error = Some(error);
            status.enter(State::Refused);
        });
        tokio::time::sleep(LONGEST_PAUSE.min(self.bounds_every)).await;
        Ok(match self.log.bounds().await {
            Ok(bounds) => {
                let decided = self.decide(bounds).await;
                if decided.is_ok() {
                    self.status.send_modify(|status| status.error = None);
                }
                decided
            }
            // Refused it is until there is another answer.
            Err(error) => match &self.status.borrow().error {
                Some(refused) => Err(refused.clone()),
                None => Err(error.into()),
            },
        })
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

    /// Where, in what was received after a position, an archive may have missed messages that the log evicted before they
    /// were read. A mirror needs none of those.
    ///
    /// Messages that are left out may have been replaced or deleted; but if the log begins after them, nobody can tell.
    pub(super) async fn overrun(
        &self,
        position: Sequence,
        received: &[Change],
    ) -> Result<Option<usize>, LogError> {
        if self.mode == Mode::Mirror || !self.table.has_evicted() {
            return Ok(None);
        }
        let before = std::iter::once(position).chain(received.iter().map(|change| change.sequence));
        let mut pairs = received.iter().zip(before).enumerate();
        let gap = pairs.find(|(_, (change, before))| change.sequence > before.next());
        let Some((index, (_, before))) = gap else {
            return Ok(None);
        };
        let bounds = self.log.bounds().await?;
        if bounds.first <= before.next() {
            return Ok(None);
        }
        // Of several gaps it may be a later one; what lies between is applied again then, which changes nothing.
        Ok(Some(index))
    }

    pub(super) fn evicted_unread(&self) -> LogError {
        LogError::Unavailable {
            log: self.log.name().to_owned(),
            doing: "reading",
            source: "messages may have been evicted before they were read".into(),
        }
    }
}
