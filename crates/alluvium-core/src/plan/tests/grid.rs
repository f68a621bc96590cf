//! Every input, as what makes a difference.

use super::super::*;
use super::bounds;
use crate::LogIdentity;

/// The longest log and the furthest position.
pub(super) const LAST: u64 = 3;

/// What the log holds at a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Seen {
    Nothing,
    TheMessage,
    Another,
}

/// A position, of a table or an artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Position {
    /// Or of a log of the same name, before it was created again.
    pub(super) of_this_log: bool,
    pub(super) sequence: u64,
    pub(super) seen: Seen,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ArtifactFacts {
    pub(super) at: Position,
    pub(super) of_scope: bool,
    pub(super) mode: Mode,
    pub(super) has_evicted: bool,
}

/// An input, as what makes a difference. Of the log's name see
/// [`a_table_of_another_log_is_refused_whatever_else`](super::a_table_of_another_log_is_refused_whatever_else).
#[allow(clippy::struct_excessive_bools, reason = "each is asked for alone")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Facts {
    pub(super) mode: Mode,
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) evicts: bool,
    pub(super) cursor: Option<Position>,
    pub(super) has_rows: bool,
    pub(super) has_evicted: bool,
    pub(super) vanished: bool,
    pub(super) newest: Option<ArtifactFacts>,
}

const BOTH: [bool; 2] = [false, true];
const MODES: [Mode; 2] = [Mode::Mirror, Mode::Archive];

/// Every position: below, inside and above a log, and before its first message; what is seen there, as far as it can be.
fn positions(first: u64, last: u64) -> Vec<Position> {
    let mut positions = Vec::new();
    for of_this_log in BOTH {
        for sequence in 0..=LAST + 1 {
            let inside = of_this_log && sequence >= first && sequence <= last;
            let seen = [Seen::Nothing, Seen::TheMessage, Seen::Another];
            for seen in seen.into_iter().take(if inside { 3 } else { 1 }) {
                positions.push(Position {
                    of_this_log,
                    sequence,
                    seen,
                });
            }
        }
    }
    positions
}

fn artifacts(positions: &[Position]) -> Vec<Option<ArtifactFacts>> {
    let mut artifacts = vec![None];
    for at in positions {
        for of_scope in BOTH {
            for mode in MODES {
                for has_evicted in BOTH {
                    artifacts.push(Some(ArtifactFacts {
                        at: *at,
                        of_scope,
                        mode,
                        has_evicted,
                    }));
                }
            }
        }
    }
    artifacts
}

/// Tells every input there is, up to the length of the log.
pub(super) fn every_input(mut tell: impl FnMut(&Facts)) {
    for last in 0..=LAST {
        for first in 1..=last + 1 {
            let positions = positions(first, last);
            let cursors = std::iter::once(None).chain(positions.iter().copied().map(Some));
            let artifacts = artifacts(&positions);
            for (cursor, mode) in cursors.flat_map(|cursor| MODES.map(|mode| (cursor, mode))) {
                for flags in 0..16_u8 {
                    for newest in &artifacts {
                        tell(&Facts {
                            mode,
                            first,
                            last,
                            evicts: flags & 1 > 0,
                            cursor,
                            has_rows: flags & 2 > 0,
                            has_evicted: flags & 4 > 0,
                            vanished: flags & 8 > 0,
                            newest: *newest,
                        });
                    }
                }
            }
        }
    }
}

impl Position {
    /// The cursor, and the timestamp that the log holds at its sequence.
    fn cursor(&self, log: &LogIdentity) -> (Cursor, Option<Timestamp>) {
        let mut log = log.clone();
        if !self.of_this_log {
            log.created = Timestamp::from_nanos(50);
        }
        let applied = Timestamp::from_nanos(7);
        let found = match self.seen {
            Seen::Nothing => None,
            Seen::TheMessage => Some(applied),
            Seen::Another => Some(Timestamp::from_nanos(8)),
        };
        let cursor = Cursor::start_of(log).at(Sequence::new(self.sequence), applied);
        (cursor, found)
    }
}

impl Facts {
    /// What is decided.
    pub(super) fn plan(&self) -> Plan {
        let mut bounds = bounds(self.first, self.last);
        bounds.retention.max_bytes = self.evicts.then_some(1);
        let cursor = self.cursor.map(|position| position.cursor(&bounds.log));
        let scope = Scope::of(["a.>", "b.>"]).unwrap();
        let narrower = Scope::of(["a.>"]).unwrap();
        let newest = self.newest.map(|newest| (newest, newest.at.cursor(&bounds.log)));
        plan(&PlanInput {
            bound_to: Some("KV_a"),
            scope: &scope,
            mode: self.mode,
            cursor: cursor.as_ref().map(|(cursor, _)| cursor),
            has_rows: self.has_rows,
            has_evicted: self.has_evicted,
            vanished: self.vanished,
            bounds: &bounds,
            at_cursor: cursor.as_ref().and_then(|(_, found)| *found),
            newest: newest.as_ref().map(|(facts, (cursor, found))| NewestArtifact {
                cursor,
                scope: if facts.of_scope { &scope } else { &narrower },
                mode: facts.mode,
                has_evicted: facts.has_evicted,
                at_cursor: *found,
            }),
        })
    }

    /// What holds of every decision, whether or not there can be such a world.
    pub(super) fn check_form(&self, decided: &Plan) {
        match decided {
            Plan::Resume { from } => {
                let (from, applied) = (from.get(), self.cursor.map_or(0, |cursor| cursor.sequence));
                assert!(from >= self.first, "{self:?}: {from} would be moved up silently");
                assert!(from <= self.last + 1, "{self:?}: {from} would wait for ever");
                assert!(from > applied, "{self:?}: {from} was applied already");
            }
            Plan::Restore { artifact, reason } => {
                let newest = self.newest.expect("there is an artifact to restore");
                assert_eq!(artifact.sequence.get(), newest.at.sequence, "{self:?}");
                assert!(newest.of_scope && newest.mode == self.mode, "{self:?}: {reason}");
            }
            Plan::Reconcile(_) => {}
            Plan::Refuse(reason) => {
                assert_eq!(self.mode, Mode::Archive, "{self:?}: {reason}");
                let sentence = reason.to_string();
                assert!(sentence.contains("start again, or"), "{sentence}");
            }
        }
    }

    /// Whether the log begins after the table's cursor.
    pub(super) fn is_overrun(&self) -> bool {
        let overrun = |cursor: Position| cursor.of_this_log && cursor.sequence + 1 < self.first;
        self.cursor.is_some_and(overrun)
    }
}
