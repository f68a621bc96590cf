//! A reconcile, seen from the table: which of the listed changes differ, and which rows are gone.
//!
//! Readers never see a key move back: a row is replaced only by what the log holds of it now. The set of listed keys
//! is held in memory, so a reconcile takes about as much memory as the keys of the log.

use std::collections::HashSet;

use alluvium_core::{Change, Cursor, DeleteReason, KeyRange, Table, TableError};

use crate::ReplicaError;

/// How many vanished rows one step of the sweep takes.
const SWEEP_STEP: usize = 4_096;

/// What has been listed so far.
#[derive(Default)]
pub(super) struct Reconcile {
    /// Keys that the log holds a value of. Copies: a listed key is a slice of a large receive buffer.
    live: HashSet<Box<[u8]>>,
}

impl Reconcile {
    /// Of listed changes, those that the table does not show yet.
    pub(super) fn differing(
        &mut self,
        table: &dyn Table,
        listed: Vec<Change>,
    ) -> Result<Vec<Change>, TableError> {
        let mut differing = Vec::new();
        for change in listed {
            let entry = table.get(&change.key)?;
            let differs = if let Some(value) = change.value() {
                self.live.insert(change.key.as_ref().into());
                entry.is_none_or(|entry| {
                    let same_message =
                        entry.sequence == change.sequence && entry.timestamp == change.timestamp;
                    !same_message || entry.value != *value
                })
            } else {
                self.live.remove(change.key.as_ref());
                entry.is_some()
            };
            if differs {
                differing.push(change);
            }
        }
        Ok(differing)
    }

    /// Gives the rows that the log no longer holds, as deletes, in steps.
    pub(super) fn sweep(
        &self,
        table: &dyn Table,
        cursor: &Cursor,
        mut step: impl FnMut(Vec<Change>) -> Result<(), ReplicaError>,
    ) -> Result<(), ReplicaError> {
        let mut vanished = Vec::new();
        for row in table.snapshot()?.scan(&KeyRange::all())? {
            let (key, _) = row?;
            if !self.live.contains(key.as_ref()) {
                vanished.push(Change::delete(
                    key,
                    DeleteReason::Vanished,
                    cursor.sequence,
                    cursor.timestamp,
                ));
                if vanished.len() == SWEEP_STEP {
                    step(std::mem::take(&mut vanished))?;
                }
            }
        }
        step(vanished)
    }
}
