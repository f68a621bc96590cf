//! What the plan is told.

use alluvium_core::{Cursor, Mode, NewestArtifact, Plan, PlanInput, Scope, Timestamp, plan};

use crate::log::{KEYS, Log, NAME, Place, identity, retention, sequence, stored};
use crate::{Guard, Kind, Model, State};

impl Model {
    /// The real plan, told all but what it is to be kept from.
    pub(crate) fn plan(&self, state: &State, vanished: bool) -> Plan {
        let (log, table) = (&state.log, &state.table);
        let mut bounds = log.bounds();
        if !self.has(Guard::RetentionOfLog) {
            bounds.retention = retention(false);
        }
        let mut seen = table.cursor.map(|place| Seen::of(log, place));
        if let Some(seen) = &mut seen {
            seen.hide(log, [!self.has(Guard::LogOfCursor), !self.has(Guard::EndOfLog)]);
            if !self.has(Guard::MessageAtCursor) {
                seen.found = None;
            }
            if !self.has(Guard::BeginningOfLog) {
                bounds.first = bounds.first.min(seen.cursor.sequence.next());
            }
        }
        let (all, narrower) = (Scope::all(), Scope::of(["a.>"]).unwrap_or_else(|_| Scope::all()));
        let mut artifact = state
            .exports
            .pointer
            .map(|named| (named, Seen::of(log, named.place)));
        if let Some((_, seen)) = &mut artifact {
            seen.hide(
                log,
                [
                    !self.has(Guard::LogOfArtifact),
                    !self.has(Guard::EndBeforeArtifact),
                ],
            );
            if !self.has(Guard::MessageAtArtifact) {
                seen.found = seen.found.map(|_| seen.cursor.timestamp);
            }
            if !self.has(Guard::BeginningAfterArtifact) {
                seen.cursor.sequence = seen.cursor.sequence.max(bounds.first.previous());
            }
        }
        let newest = artifact.as_ref().map(|(named, seen)| NewestArtifact {
            cursor: &seen.cursor,
            scope: if self.kind == Kind::Narrower && self.has(Guard::ScopeOfArtifact) {
                &narrower
            } else {
                &all
            },
            mode: if self.has(Guard::ModeOfArtifact) {
                named.mode
            } else {
                self.mode
            },
            has_evicted: named.has_evicted && self.has(Guard::MemoryOfArtifact),
            at_cursor: seen.found,
        });
        let has_rows = table.rows != [None; KEYS];
        plan(&PlanInput {
            bound_to: Some(NAME),
            scope: &all,
            mode: if self.has(Guard::ModeOfTable) {
                self.mode
            } else {
                Mode::Mirror
            },
            cursor: seen.as_ref().map(|seen| &seen.cursor),
            has_rows: has_rows && (table.cursor.is_some() || self.has(Guard::RowsWithoutCursor)),
            has_evicted: table.has_evicted && self.has(Guard::MemoryOfEvictions),
            vanished,
            bounds: &bounds,
            at_cursor: seen.as_ref().and_then(|seen| seen.found),
            newest,
        })
    }
}

/// A cursor, and what the log holds there.
struct Seen {
    cursor: Cursor,
    found: Option<Timestamp>,
}

impl Seen {
    fn of(log: &Log, place: Place) -> Self {
        let held = log.at(place.sequence).filter(|_| log.created == place.created);
        Self {
            cursor: Cursor::start_of(identity(place.created))
                .at(sequence(place.sequence), stored(place.branch)),
            found: held.map(|message| stored(message.branch)),
        }
    }

    /// Hides that it is of another log, or past the end.
    fn hide(&mut self, log: &Log, [of_another, past_the_end]: [bool; 2]) {
        if of_another {
            self.cursor.log = identity(log.created);
        }
        if past_the_end && self.cursor.sequence > sequence(log.last()) {
            self.cursor.sequence = sequence(log.last());
            self.found = None;
        }
    }
}
