//! A reconcile, seen from the table: which of the listed messages it does not show, and which rows are gone.
//!
//! Readers never see a key move back: a row is replaced only by what the log holds of it now. What was listed is held as
//! positions, a bounded number of them in memory.

use std::collections::HashSet;

use alluvium_core::{
    Change, Cursor, DeleteReason, KeyRange, Listed, Mode, Operation, Sequence, Table, TableError, Timestamp,
};
use bytes::Bytes;

use super::listed::{ListedSet, WINDOW};
use crate::ReplicaError;

/// How many vanished rows one step of the sweep takes.
const SWEEP_STEP: usize = 4_096;

/// What has been listed so far.
pub(super) struct Reconcile {
    mode: Mode,
    /// The messages that put a value there.
    live: ListedSet,
    /// Keys that the log holds a message of, wherever that stands.
    spared: HashSet<Bytes>,
    has_evicted: bool,
    /// What the table showed when the first listed messages were compared.
    shown: Option<Shown>,
}

/// The messages that rows of a table are of, rising: as many as one window of a listing. To look up a row for each listed key takes
/// longer than to fetch it.
struct Shown(Vec<(Sequence, Timestamp)>);

impl Shown {
    fn by(table: &dyn Table) -> Result<Self, TableError> {
        let rows = table.snapshot()?.scan(&KeyRange::all())?;
        let messages = rows
            .take(WINDOW)
            .map(|row| row.map(|(_, entry)| (entry.sequence, entry.timestamp)));
        let mut messages: Vec<_> = messages.collect::<Result<_, _>>()?;
        messages.sort_unstable();
        Ok(Self(messages))
    }

    /// Whether there is a row of this message. If not, there may be one beyond what is known.
    fn has(&self, message: (Sequence, Timestamp)) -> bool {
        self.0.binary_search(&message).is_ok()
    }
}

/// What was found of the table when the listing was complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// It is what was listed.
    Whole,
    /// It has rows that were not listed, and may be deleted in truth, or not.
    Unlisted,
    /// It has rows that are newer than the end of the listing.
    Newer,
}

/// A listed message that the table does not show.
pub(super) struct Differing {
    pub(super) listed: Listed,
    /// The message that the row of the key is of, if there is one.
    pub(super) row: Option<(Sequence, Timestamp)>,
}

impl Reconcile {
    pub(super) fn new(mode: Mode) -> Self {
        Self {
            mode,
            live: ListedSet::new(),
            spared: HashSet::new(),
            has_evicted: false,
            shown: None,
        }
    }

    /// Of listed messages, those that the table does not show yet.
    pub(super) fn compare(
        &mut self,
        table: &dyn Table,
        listed: Vec<Listed>,
    ) -> Result<Vec<Differing>, ReplicaError> {
        let shown = match self.shown.take() {
            Some(shown) => shown,
            None => Shown::by(table)?,
        };
        let mut differing = Vec::new();
        for listed in listed {
            if listed.deleted.is_some_and(|reason| self.keeps(reason)) {
                self.has_evicted = true;
                self.spare(&listed.key);
                continue;
            }
            let message = (listed.sequence, listed.timestamp);
            if listed.deleted.is_none() {
                self.note(&listed.key, listed.sequence, listed.timestamp)?;
                // Whatever was done to the table since then was done to other keys.
                if shown.has(message) {
                    continue;
                }
            }
            let entry = table.get(&listed.key)?;
            let row = entry.map(|entry| (entry.sequence, entry.timestamp));
            let differs = match listed.deleted {
                Some(_) => row.is_some(),
                None => row != Some(message),
            };
            if differs {
                differing.push(Differing { listed, row });
            }
        }
        self.shown = Some(shown);
        Ok(differing)
    }

    /// Of listed changes, those that the table does not show yet.
    pub(super) fn differing(
        &mut self,
        table: &dyn Table,
        listed: Vec<Change>,
    ) -> Result<Vec<Change>, ReplicaError> {
        let mut differing = Vec::new();
        for change in listed {
            if let Operation::Delete(reason) = change.operation
                && self.keeps(reason)
            {
                self.has_evicted = true;
                self.spare(&change.key);
                continue;
            }
            let entry = table.get(&change.key)?;
            let differs = if let Some(value) = change.value() {
                self.note(&change.key, change.sequence, change.timestamp)?;
                entry.is_none_or(|entry| {
                    let same_message =
                        entry.sequence == change.sequence && entry.timestamp == change.timestamp;
                    !same_message || entry.value != *value
                })
            } else {
                entry.is_some()
            };
            if differs {
                differing.push(change);
            }
        }
        Ok(differing)
    }

    /// Whether what was listed tells that the log has evicted something that an archive keeps, whatever it says that it may.
    pub(super) fn has_evicted(&self) -> bool {
        self.has_evicted
    }

    /// Whether the table keeps the row of a key that went for this reason.
    fn keeps(&self, reason: DeleteReason) -> bool {
        self.mode == Mode::Archive && reason == DeleteReason::Expired
    }

    fn note(&mut self, key: &Bytes, sequence: Sequence, timestamp: Timestamp) -> Result<(), ReplicaError> {
        if !self.live.push(sequence, timestamp)? {
            self.spare(key);
        }
        Ok(())
    }

    /// Leaves the row of a key alone: the log holds something of it.
    pub(super) fn spare(&mut self, key: &[u8]) {
        // A copy: what is received is a slice of a large buffer.
        self.spared.insert(Bytes::copy_from_slice(key));
    }

    /// Gives the rows that the log no longer holds, as deletes, in steps, if they are to be deleted.
    pub(super) fn end(
        self,
        table: &dyn Table,
        cursor: &Cursor,
        delete: bool,
        mut step: impl FnMut(Vec<Change>) -> Result<(), ReplicaError>,
    ) -> Result<Ending, ReplicaError> {
        let (mut vanished, mut ending) = (Vec::new(), Ending::Whole);
        for window in self.live.windows()? {
            let window = window?;
            for row in table.snapshot()?.scan(&KeyRange::all())? {
                let (key, entry) = row?;
                let unlisted = window.tells(entry.sequence, entry.timestamp) == Some(false)
                    && !self.spared.contains(&key);
                if !unlisted {
                    // What the log holds of its key is not that, or comes later: another listing tells.
                    if entry.sequence > cursor.sequence {
                        ending = Ending::Newer;
                    }
                    continue;
                }
                if !delete {
                    return Ok(Ending::Unlisted);
                }
                vanished.push(gone(key, cursor));
                if vanished.len() == SWEEP_STEP {
                    step(std::mem::take(&mut vanished))?;
                }
            }
        }
        step(vanished)?;
        Ok(ending)
    }
}

/// The delete of a row that the log does not hold, at the position of whoever found out.
pub(super) fn gone(key: Bytes, cursor: &Cursor) -> Change {
    Change::delete(key, DeleteReason::Vanished, cursor.sequence, cursor.timestamp)
}
