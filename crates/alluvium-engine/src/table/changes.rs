//! The change index: which keys changed after a sequence.
//!
//! An entry per change, by sequence, and for each key that was deleted the sequence of its last delete. An entry is
//! stale once its key has changed again; stale entries stay until they are the oldest, because finding them would
//! cost a read per write. A put is current if the row has its sequence, a delete if there is no row and the last
//! delete has its sequence. An entry is also stale if it is of an earlier era: a repair may take the table back to
//! before it, or to another log, where its sequence means something else.

use std::collections::HashSet;

use alluvium_core::{Change, DeleteReason, KeyRange, Operation, Sequence, TableError, Timestamp};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::layout::{self, Encoder};
use super::{corrupt, storage};
use crate::{Engine, EngineSnapshot, Space, WriteBatch};

/// Entries dropped per commit beyond what the commit itself brings, so that no commit pays for all at once.
const TRIM_STEP: u64 = 1_024;

/// The state of the change index, stored with every commit that moves it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ChangeIndex {
    on: bool,
    /// Every change after this sequence is in the index. `None` while nothing is known: off, or in a repair.
    floor: Option<Sequence>,
    /// Entries that are stored, current, stale or left from before.
    entries: u64,
    /// Which entries count: those that were made since the last repair or switch began.
    #[serde(default)]
    era: u64,
}

impl ChangeIndex {
    pub(super) fn is_on(&self) -> bool {
        self.on
    }

    pub(super) fn floor(&self) -> Option<Sequence> {
        self.floor.filter(|_| self.on)
    }

    /// How many pairs of the space are its, roughly.
    pub(super) fn pairs(&self) -> u64 {
        self.entries + u64::from(*self != Self::default())
    }

    pub(super) fn switch(&mut self, on: bool, cursor: Option<Sequence>) {
        if on != self.on {
            self.on = on;
            self.floor = cursor.filter(|_| on);
            self.era += 1;
        }
    }

    /// The cursor moves to `sequence`: from there on the index is whole, if it was not before.
    pub(super) fn settle(&mut self, sequence: Sequence) {
        if self.on && self.floor.is_none() {
            self.floor = Some(sequence);
        }
    }

    /// Changes come in that are in no order: the index is not whole until the next [`settle`](Self::settle).
    pub(super) fn unsettle(&mut self) {
        if self.floor.take().is_some() {
            self.era += 1;
        }
    }

    pub(super) fn era(&self) -> u64 {
        self.era
    }

    /// The index of a generation that was just loaded.
    pub(super) fn restarted(&self, cursor: Sequence) -> Self {
        Self {
            on: self.on,
            floor: self.on.then_some(cursor),
            entries: 0,
            era: 0,
        }
    }

    pub(super) fn record(
        &mut self,
        batch: &mut WriteBatch,
        space: Space,
        encoder: &mut Encoder,
        change: &Change,
    ) {
        let mut value = [0; 17];
        value[0] = tag(&change.operation);
        value[1..9].copy_from_slice(&change.timestamp.as_nanos().to_be_bytes());
        value[9..].copy_from_slice(&self.era.to_be_bytes());
        batch.put(
            space,
            encoder.change_key(change.sequence, &change.key),
            Bytes::copy_from_slice(&value),
        );
        if change.value().is_none() {
            let sequence = Bytes::copy_from_slice(&change.sequence.get().to_be_bytes());
            batch.put(space, encoder.deleted_key(&change.key), sequence);
        }
        self.entries += 1;
    }

    /// Drops the oldest entries while there are more than `max`, or any while the index is off.
    pub(super) fn trim(
        &mut self,
        batch: &mut WriteBatch,
        space: Space,
        engine: &dyn Engine,
        max: u64,
    ) -> Result<(), TableError> {
        if self.on && self.floor.is_none() {
            // A repair may write entries again that are there already: leave them alone until it is over.
            return Ok(());
        }
        let keep = if self.on { max } else { 0 };
        // In steps, so that at rest a commit does not look for one entry to drop each time.
        if self.entries < keep + if self.on { TRIM_STEP } else { 1 } {
            return Ok(());
        }
        let surplus = self.entries - keep;
        let step = surplus.min(batch.writes().len() as u64 + TRIM_STEP);
        let snapshot = engine.snapshot().map_err(storage)?;
        // A delete in this very batch has its own, newer record.
        let recorded: HashSet<Bytes> = batch
            .writes()
            .iter()
            .filter(|write| write.key[0] == layout::DELETED)
            .map(|write| write.key.clone())
            .collect();
        let mut dropped = 0;
        for pair in snapshot
            .scan(space, &all_entries())
            .map_err(storage)?
            .take(usize::try_from(step).unwrap_or(0))
        {
            let (key, value) = pair.map_err(storage)?;
            let sequence = layout::number(&key, 1).map(Sequence::new);
            if value.first().is_some_and(|tag| *tag != PUT) {
                let deleted = deleted_key(&key);
                let last = snapshot.get(space, &deleted).map_err(storage)?;
                let is_last = last.and_then(|last| layout::number(&last, 0)).map(Sequence::new) == sequence;
                if is_last && !recorded.contains(&deleted) {
                    batch.remove(space, deleted);
                }
            }
            batch.remove(space, key);
            if let (Some(floor), Some(sequence)) = (&mut self.floor, sequence) {
                *floor = sequence.max(*floor);
            }
            dropped += 1;
        }
        // What the batch adds is not in the snapshot: what is missing there was never stored.
        self.entries = if dropped < step {
            self.entries.min(keep)
        } else {
            self.entries - dropped
        };
        Ok(())
    }
}

const PUT: u8 = 0;
const DELETED: u8 = 1;
const PURGED: u8 = 2;
const EXPIRED: u8 = 3;
const VANISHED: u8 = 4;

fn tag(operation: &Operation) -> u8 {
    match operation {
        Operation::Put(_) => PUT,
        Operation::Delete(DeleteReason::Purged) => PURGED,
        Operation::Delete(DeleteReason::Expired) => EXPIRED,
        Operation::Delete(DeleteReason::Vanished) => VANISHED,
        Operation::Delete(_) => DELETED,
    }
}

fn reason(tag: u8) -> Option<DeleteReason> {
    match tag {
        DELETED => Some(DeleteReason::Deleted),
        PURGED => Some(DeleteReason::Purged),
        EXPIRED => Some(DeleteReason::Expired),
        VANISHED => Some(DeleteReason::Vanished),
        _ => None,
    }
}

fn all_entries() -> KeyRange {
    KeyRange::of([layout::CHANGE]..[layout::CHANGE + 1])
}

/// The entries after a sequence.
pub(super) fn entries_after(since: Sequence) -> KeyRange {
    let mut start = vec![layout::CHANGE];
    start.extend_from_slice(&since.next().get().to_be_bytes());
    KeyRange::of(start..vec![layout::CHANGE + 1])
}

/// Where the last delete of the key of an index entry is recorded.
fn deleted_key(entry: &[u8]) -> Bytes {
    let mut deleted = vec![layout::DELETED];
    deleted.extend_from_slice(entry.get(9..).unwrap_or_default());
    deleted.into()
}

/// The change that an index entry stands for, `None` if it is stale.
pub(super) fn current_change(
    table: &str,
    snapshot: &dyn EngineSnapshot,
    space: Space,
    era: u64,
    (key, value): &(Bytes, Bytes),
) -> Result<Option<Change>, TableError> {
    let damaged = || corrupt(table, "an entry of the change index makes no sense");
    if layout::number(value, 9).ok_or_else(damaged)? != era {
        return Ok(None);
    }
    let sequence = Sequence::new(layout::number(key, 1).ok_or_else(damaged)?);
    let timestamp = Timestamp::from_nanos(layout::number(value, 1).ok_or_else(damaged)?.cast_signed());
    let changed = key.slice(9..);
    let row = snapshot
        .get(space, layout::RowKey::new(&changed).as_ref())
        .map_err(storage)?;
    if value[0] == PUT {
        let Some(row) = row else { return Ok(None) };
        let entry = layout::entry(table, row)?;
        return Ok((entry.sequence == sequence)
            .then(|| Change::put(changed, entry.value, sequence, entry.timestamp)));
    }
    let reason = reason(value[0]).ok_or_else(damaged)?;
    let last = snapshot.get(space, &deleted_key(key)).map_err(storage)?;
    let is_last = last.and_then(|last| layout::number(&last, 0)) == Some(sequence.get());
    Ok((row.is_none() && is_last).then(|| Change::delete(changed, reason, sequence, timestamp)))
}
