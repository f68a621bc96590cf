//! The decision how a table goes on from its log, and what becomes of a table that cannot.

use std::sync::Arc;

use alluvium_core::artifact::{FitInput, check_fit};
use alluvium_core::{
    Binding, Bounds, Change, Cursor, KeyRange, LogError, Mode, NewestArtifact, Plan, PlanInput,
    ReconcileReason, RefuseReason, Sequence, Timestamp, plan,
};

use super::driver::{Course, Driver, Interruption, LONGEST_PAUSE};
use super::forget::RowAt;
use super::restore::Restoring;
use super::status::State;
use super::witness;
use crate::ReplicaError;
use crate::artifact::Chosen;
use crate::error::Chain;

/// What was found of a table.
#[derive(Clone, Debug)]
pub(super) struct FoundTable {
    binding: Option<Binding>,
    cursor: Option<Cursor>,
    has_rows: bool,
    pub(super) has_evicted: bool,
    /// The newest rows, where the log does not hold the message at the cursor.
    newest: Vec<RowAt>,
}

/// What a decision rests on, beside an artifact.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) bounds: Bounds,
    pub(super) table: FoundTable,
    /// Or of a message in the place of one before.
    at_cursor: Option<Timestamp>,
}

impl Found {
    /// Whether the log holds no message at the table's cursor that could be compared.
    fn tells_nothing(&self) -> bool {
        let within = |cursor| witness::is_within(&self.bounds, cursor);
        self.at_cursor.is_none() && self.table.cursor.as_ref().is_some_and(within)
    }

    /// Whether an artifact could make another plan of the one without. If not, no store is asked.
    fn artifact_may_help(&self, mode: Mode, without: &Plan) -> bool {
        let table = &self.table;
        let goes_on = |cursor: &Cursor| cursor.sequence.next() >= self.bounds.first;
        match without {
            Plan::Resume { .. } => !table.cursor.as_ref().is_some_and(goes_on),
            Plan::Reconcile(ReconcileReason::LogReplaced) if !table.has_rows => true,
            // What the log lists is the truth of a mirror. What is that of an archive, an artifact can tell.
            Plan::Reconcile(reason) => mode == Mode::Archive || *reason == ReconcileReason::Overrun,
            Plan::Restore { .. } | Plan::Refuse(RefuseReason::Archive { .. }) => true,
            Plan::Refuse(_) => false,
        }
    }
}

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
            status.enter(State::Refused);
            status.error = Some(error);
        });
        tokio::time::sleep(LONGEST_PAUSE.min(self.bounds_every)).await;
        Ok(match self.decide_now().await {
            // Refused it is until there is another answer.
            Err(ReplicaError::Log(error)) => match &self.status.borrow().error {
                Some(refused) => Err(refused.clone()),
                None => Err(ReplicaError::Log(error)),
            },
            decided => decided,
        })
    }

    /// Decides for a start, as far as that can be done without waiting for a store of artifacts. Nothing if it cannot.
    ///
    /// # Errors
    ///
    /// Why the replica cannot start. To refuse a table, all that may help it is waited for.
    pub(super) async fn decide_at_start(&self, bounds: Bounds) -> Result<Option<Course>, ReplicaError> {
        let found = self.look(bounds).await?;
        let plan = self.plan(&found, None);
        if self.bootstrap.is_none() || !found.artifact_may_help(self.mode, &plan) {
            return self.course(found, plan, None).map(Some);
        }
        if !matches!(plan, Plan::Refuse(_)) {
            return Ok(None);
        }
        match self.decide_on(found).await {
            Ok(course) => Ok(Some(course)),
            Err(ReplicaError::Bootstrap(error)) if error.may_pass() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Decides how the table goes on from its log.
    pub(super) async fn decide_now(&self) -> Result<Course, ReplicaError> {
        let bounds = self.log.bounds().await?;
        self.is_there();
        let found = self.look(bounds).await?;
        self.decide_on(found).await
    }

    async fn decide_on(&self, found: Found) -> Result<Course, ReplicaError> {
        let without = self.plan(&found, None);
        let Some(bootstrap) = &self.bootstrap else {
            return self.course(found, without, None);
        };
        if !found.artifact_may_help(self.mode, &without) {
            return self.course(found, without, None);
        }
        self.status.send_if_modified(|status| {
            status.asks_a_store(&without);
            false
        });
        let Some(newest) = bootstrap.newest(self.mode).await? else {
            return self.course(found, without, None);
        };
        let manifest = &newest.manifest;
        let at_cursor = self.held_at(&found.bounds, &manifest.cursor).await?;
        let plan = self.plan(&found, Some(NewestArtifact::new(manifest, at_cursor)));
        if !matches!(plan, Plan::Restore { .. }) {
            let fit = FitInput {
                log: self.log.name(),
                scope: &self.scope,
                mode: self.mode,
                bounds: Some(&found.bounds),
                at_cursor,
            };
            if let Err(unfit) = check_fit(manifest, &fit) {
                bootstrap.does_not_fit(unfit, &plan)?;
            }
        }
        self.course(found, plan, Some(newest))
    }

    /// What table and log are at.
    async fn look(&self, bounds: Bounds) -> Result<Found, ReplicaError> {
        let table = Arc::clone(&self.table);
        let evicts = bounds.retention.evicts_latest();
        let (mode, log, last) = (self.mode, bounds.log.clone(), bounds.last);
        let look = move || {
            // Before anything is done that rests on it.
            if evicts && !table.has_evicted() {
                table.remember_eviction()?;
                table.sync()?;
            }
            let first = table.snapshot()?.scan(&KeyRange::all())?.next().transpose()?;
            let is_new = first.is_none() && table.cursor().is_none_or(|cursor| cursor.log != log);
            if mode == Mode::Archive && is_new && table.has_evicted() {
                // What it will have of what came before, is what the log holds now.
                table.remember_since(Some(last))?;
            }
            Ok::<_, ReplicaError>(FoundTable {
                binding: table.binding(),
                cursor: table.cursor(),
                has_rows: first.is_some(),
                has_evicted: table.has_evicted(),
                newest: Vec::new(),
            })
        };
        let table = tokio::task::spawn_blocking(look)
            .await
            .map_err(|_| ReplicaError::ShutDown)??;
        let bounds = self.confirmed(bounds, table.cursor.as_ref()).await?;
        let found = self.look_at_log(bounds, table).await?;
        if !found.tells_nothing() {
            return Ok(found);
        }
        let table = Arc::clone(&self.table);
        let newest = tokio::task::spawn_blocking(move || witness::newest(table.as_ref()))
            .await
            .map_err(|_| ReplicaError::ShutDown)??;
        let table = FoundTable {
            newest,
            ..found.table
        };
        Ok(self.look_at_log(found.bounds, table).await?)
    }

    pub(super) async fn look_at_log(&self, bounds: Bounds, table: FoundTable) -> Result<Found, LogError> {
        let mut at_cursor = match &table.cursor {
            Some(cursor) => self.held_at(&bounds, cursor).await?,
            None => None,
        };
        if at_cursor.is_none()
            && let Some(cursor) = &table.cursor
            && witness::is_within(&bounds, cursor)
        {
            at_cursor = self.in_place_of(&bounds, &table.newest).await?;
        }
        Ok(Found {
            bounds,
            table,
            at_cursor,
        })
    }

    /// When the log stored the message that it holds at a position; nothing if it holds none there.
    pub(super) async fn held_at(
        &self,
        bounds: &Bounds,
        cursor: &Cursor,
    ) -> Result<Option<Timestamp>, LogError> {
        if !witness::is_within(bounds, cursor) {
            return Ok(None);
        }
        let message = self.log.message_at(cursor.sequence).await?;
        Ok(message.map(|message| message.timestamp))
    }

    pub(super) fn plan(&self, found: &Found, newest: Option<NewestArtifact<'_>>) -> Plan {
        let table = &found.table;
        plan(&PlanInput {
            bound_to: table.binding.as_ref().map(|binding| binding.log.as_str()),
            scope: &self.scope,
            mode: self.mode,
            cursor: table.cursor.as_ref(),
            has_rows: table.has_rows,
            has_evicted: table.has_evicted,
            vanished: *self.vanished.borrow(),
            bounds: &found.bounds,
            at_cursor: found.at_cursor,
            newest,
        })
    }

    /// Tells of a plan, and makes a course of it.
    fn course(&self, found: Found, plan: Plan, newest: Option<Chosen>) -> Result<Course, ReplicaError> {
        self.status.send_modify(|status| {
            status.log_last = found.bounds.last;
            status.decided(plan.clone(), found.bounds.messages);
        });
        if let Plan::Refuse(reason) = plan {
            return Err(ReplicaError::Refused(reason));
        }
        let artifact = newest.filter(|_| matches!(plan, Plan::Restore { .. }));
        Ok(Course {
            log: found.bounds.log.clone(),
            plan,
            cursor: found.table.cursor.clone(),
            restoring: artifact.map(|artifact| Box::new(Restoring { artifact, found })),
        })
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

    pub(super) fn vanished(&self) -> LogError {
        LogError::Unavailable {
            log: self.log.name().to_owned(),
            doing: "reading",
            source: "the last messages of keys are gone, and those before them are the last again".into(),
        }
    }

    pub(super) fn evicted_unread(&self) -> LogError {
        LogError::Unavailable {
            log: self.log.name().to_owned(),
            doing: "reading",
            source: "messages may have been evicted before they were read".into(),
        }
    }
}
