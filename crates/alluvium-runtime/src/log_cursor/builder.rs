//! What a cursor is made of, and where it begins.

use std::fmt;
use std::sync::Arc;

use alluvium_core::{CursorRecord, CursorStore, Log, Scope, Sequence};

use super::gaps::GapBuffer;
use super::{LogCursor, LogCursorError, start};

/// How many gaps are kept by default.
const GAPS: usize = 1_024;

/// Where a cursor begins that has no stored position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StartAt {
    /// With the oldest message that the log holds.
    #[default]
    Oldest,
    /// With the next message that comes.
    Next,
    /// With the message of this sequence, or the first one after it that the log holds. Past the end it is the next one that
    /// comes.
    Sequence(Sequence),
}

/// What a cursor does when its position is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnLoss {
    /// Ends with [`LogCursorError::Lost`]. The stored position stays.
    Stop,
    /// Goes on where that loses the least, and tells it as a [`Gap`](super::Gap).
    Continue,
}

/// How a [`LogCursor`] is opened.
#[derive(Clone)]
#[must_use = "a builder does nothing until `open`"]
pub struct LogCursorBuilder {
    log: Arc<dyn Log>,
    scope: Scope,
    store: Option<(Arc<dyn CursorStore>, String)>,
    start_at: StartAt,
    on_overrun: OnLoss,
    on_break: OnLoss,
    max_gaps: usize,
}

impl LogCursorBuilder {
    pub(super) fn new(log: Arc<dyn Log>, scope: Scope) -> Self {
        Self {
            log,
            scope,
            store: None,
            start_at: StartAt::default(),
            on_overrun: OnLoss::Continue,
            on_break: OnLoss::Stop,
            max_gaps: GAPS,
        }
    }

    /// The name that the position is kept under, if it is kept.
    pub fn name(&self) -> Option<&str> {
        self.store.as_ref().map(|(_, name)| name.as_str())
    }

    /// The position is kept in this store under this name, which is taken over. Without, it lasts as long as the
    /// [`LogCursor`].
    pub fn held_in(mut self, store: Arc<dyn CursorStore>, name: impl Into<String>) -> Self {
        self.store = Some((store, name.into()));
        self
    }

    /// Where it begins if there is no stored position. With the oldest message by default.
    pub fn start_at(mut self, start_at: StartAt) -> Self {
        self.start_at = start_at;
        self
    }

    /// What to do when the log has forgotten messages that were not given yet, as a log does that retention bounds. To
    /// continue with the oldest one that is left, by default.
    pub fn on_overrun(mut self, what: OnLoss) -> Self {
        self.on_overrun = what;
        self
    }

    /// What to do when the log was created again, lost its tail, or has another message at the position than was given.
    /// To stop, by default. To continue is to begin with the oldest message of the new history; after a lost tail, with the
    /// next message that comes.
    pub fn on_break(mut self, what: OnLoss) -> Self {
        self.on_break = what;
        self
    }

    /// How many gaps are kept for [`take_gaps`](LogCursor::take_gaps): 1,024 by default. When they are full the oldest go,
    /// and are counted.
    pub fn max_gaps(mut self, max: usize) -> Self {
        self.max_gaps = max;
        self
    }

    /// Takes the name over, looks at the stored position and at the log, and begins to read. A cursor without a stored
    /// position stores where it begins.
    ///
    /// # Errors
    ///
    /// [`LogCursorError::Store`]: among them [`Mismatch`](alluvium_core::CursorStoreError::Mismatch) for a position of another
    /// log or scope; [`LogCursorError::Log`]; [`LogCursorError::Lost`].
    pub async fn open(self) -> Result<LogCursor, LogCursorError> {
        let (held, stored) = match &self.store {
            None => (None, None),
            Some((store, name)) => {
                let held = store.hold(name).await?;
                let stored = held.load().await?;
                if let Some(stored) = &stored {
                    stored.check(self.log.name(), &self.scope)?;
                }
                (Some(held), stored)
            }
        };
        let fresh = stored.is_none();
        let position = match stored {
            Some(CursorRecord { cursor, .. }) => cursor,
            None => start::beginning(self.log.as_ref(), self.start_at).await?,
        };
        if let (Some(held), true) = (&held, fresh) {
            // Else a restart before the first commit would begin somewhere else.
            held.save(&CursorRecord::new(position.clone(), self.scope.clone()))
                .await?;
        }
        let mut cursor = LogCursor {
            log: self.log,
            scope: self.scope,
            held,
            on_overrun: self.on_overrun,
            on_break: self.on_break,
            committed: position.clone(),
            stored: true,
            unsure: false,
            observed: position.sequence,
            position,
            reading: None,
            gaps: GapBuffer::new(self.max_gaps),
        };
        cursor.start().await?;
        Ok(cursor)
    }
}

impl fmt::Debug for LogCursorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogCursorBuilder")
            .field("log", &self.log.name())
            .field("scope", &self.scope)
            .field("name", &self.store.as_ref().map(|(_, name)| name))
            .field("start_at", &self.start_at)
            .field("on_overrun", &self.on_overrun)
            .field("on_break", &self.on_break)
            .field("max_gaps", &self.max_gaps)
            .finish()
    }
}

impl fmt::Debug for LogCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogCursor")
            .field("name", &self.held.as_ref().map(|held| held.name()))
            .field("scope", &self.scope)
            .field("position", &self.position)
            .field("committed", &self.committed)
            .finish_non_exhaustive()
    }
}
