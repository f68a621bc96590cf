//! The replica: decides by the real plan, and carries it out step by step.

use alluvium_core::{Mode, Plan, ReconcileReason, RestoreReason, unlisted_is_deleted};

use crate::exporter::Artifact;
use crate::log::{KEYS, Message, NO_BRANCH, Place, Rows, apply, retention};
use crate::{Guard, Kind, Model, State};

/// What survives a crash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Table {
    /// The cursor.
    pub cursor: Option<Place>,
    /// The rows.
    pub rows: Rows,
    /// Whether it has seen that its log evicts.
    pub has_evicted: bool,
    /// The sequences that were gone when it began with nothing. Nobody knows but who checks the model.
    pub excused: u8,
}

/// What does not.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// It looks at the log, and decides.
    Deciding {
        /// Rows were found gone.
        vanished: bool,
    },
    /// It has read up to there, of a log whose first sequence was this one when it was decided.
    Following(Place, u8),
    /// There was nothing more to be read, to be forgotten or to be found gone.
    Settled(Place, u8),
    /// It lists what the log holds, and applies that, key by key.
    Reconciling {
        /// Up to where the listing is complete.
        to: Place,
        /// The rows that were listed so far.
        listed: Rows,
        /// The next key.
        key: usize,
        /// Whether what is not listed was taken for deleted when the listing began.
        swept: bool,
    },
    /// It has fetched an artifact.
    Fetched {
        /// Which one.
        artifact: Artifact,
        /// Whether that is because the log has changed, so that keys go back with it.
        changed: bool,
    },
    /// There is no way.
    Refused,
}

impl Phase {
    pub(crate) fn goes_on(&self) -> bool {
        !matches!(self, Self::Settled(..) | Self::Refused)
    }

    pub(crate) fn is_settled(&self) -> bool {
        matches!(self, Self::Settled(..))
    }

    /// There may be something new.
    pub(crate) fn wake(&mut self) {
        if let Self::Settled(place, first) = self {
            *self = Self::Following(*place, *first);
        }
    }
}

impl Model {
    /// One atomic step.
    pub(crate) fn step(&self, state: &mut State) {
        let deciding = Phase::Deciding { vanished: false };
        state.phase = match std::mem::replace(&mut state.phase, Phase::Refused) {
            Phase::Deciding { vanished } => self.decide(state, vanished),
            Phase::Following(place, first) => self.follow(state, place, first),
            Phase::Reconciling {
                to,
                listed,
                key,
                swept,
            } => self.reconcile(state, to, listed, key, swept),
            Phase::Fetched { artifact, changed } => {
                let named = state.exports.pointer == Some(artifact);
                match self.plan(state, false) {
                    Plan::Restore { reason, .. } if named => {
                        self.load(state, &artifact, follows_change(reason));
                    }
                    _ if !self.has(Guard::DecidingBeforeLoading) => self.load(state, &artifact, changed),
                    _ => {}
                }
                deciding
            }
            over @ (Phase::Settled(..) | Phase::Refused) => over,
        };
    }

    fn decide(&self, state: &mut State, vanished: bool) -> Phase {
        let decided = self.plan(state, vanished);
        let log = &state.log;
        if log.evicts && self.has(Guard::Remembering) {
            state.table.has_evicted = true;
        }
        match decided {
            Plan::Resume { from } => {
                self.went(1);
                let after = u8::try_from(from.get()).unwrap_or(u8::MAX) - 1;
                if state.table.cursor.is_none() {
                    self.excuse(state);
                }
                Phase::Following(state.log.place(after), state.log.first())
            }
            Plan::Reconcile(reason) => {
                self.went(2);
                let swept = unlisted_is_deleted(self.mode, state.table.has_evicted, &retention(log.evicts));
                let to = log.place(log.last());
                if state.table.rows == [None; KEYS] {
                    self.excuse(state);
                }
                if is_change(reason) {
                    state.seen = [0; KEYS];
                }
                Phase::Reconciling {
                    to,
                    listed: [None; KEYS],
                    key: 0,
                    swept,
                }
            }
            Plan::Restore { reason, .. } => {
                self.went(4);
                // One that is not there is asked for again.
                let there = state
                    .exports
                    .pointer
                    .filter(|named| state.exports.store.contains(named));
                let changed = follows_change(reason);
                there.map_or(Phase::Deciding { vanished }, |artifact| Phase::Fetched {
                    artifact,
                    changed,
                })
            }
            Plan::Refuse(_) => {
                self.went(8);
                Phase::Refused
            }
        }
    }

    fn follow(&self, state: &mut State, place: Place, first: u8) -> Phase {
        let log = &state.log;
        let deciding = Phase::Deciding { vanished: false };
        let is_of = log.created == place.created;
        let other = log
            .at(place.sequence)
            .is_some_and(|message| message.branch != place.branch);
        if !is_of && self.has(Guard::LogWhileReading) {
            return deciding;
        }
        if is_of && (log.last() < place.sequence || other) && self.has(Guard::EndWhileReading) {
            return deciding;
        }
        if log.first() > first.max(place.sequence + 1) && self.has(Guard::OverrunWhileReading) {
            return deciding;
        }
        let next = log
            .held()
            .find(|message| message.sequence > place.sequence)
            .copied();
        let table = &mut state.table;
        if let Some(message) = next {
            table.rows = apply(table.rows, [&message]);
            let read = log.place(message.sequence);
            table.cursor = Some(read);
            return Phase::Following(read, first);
        }
        let end = log.place(log.last());
        // The message that was read last may be another by now.
        let is_further = end.sequence > place.sequence || end.sequence == 0;
        if is_further && (end.sequence == 0 || end.branch != NO_BRANCH) {
            table.cursor = Some(end);
        }
        if self.mode == Mode::Mirror && self.has(Guard::Forgetting) {
            table.rows = table
                .rows
                .map(|row| row.filter(|row| row.sequence >= log.first()));
        }
        let is_looked_for = unlisted_is_deleted(self.mode, table.has_evicted, &retention(log.evicts));
        let forgotten = |row: &Message| self.mode == Mode::Mirror && row.sequence < log.first();
        if is_looked_for
            && table
                .rows
                .iter()
                .flatten()
                .any(|row| log.has_lost(row) && !forgotten(row))
            && self.has(Guard::VanishedRows)
        {
            return Phase::Deciding { vanished: true };
        }
        let read = if end.sequence == place.sequence {
            place
        } else {
            end
        };
        Phase::Settled(read, first)
    }

    fn reconcile(&self, state: &mut State, to: Place, listed: Rows, key: usize, swept: bool) -> Phase {
        let (log, table) = (&state.log, &mut state.table);
        if key < KEYS {
            let mut listed = listed;
            let of_key = || log.held().filter(|message| usize::from(message.key) == key);
            if let Some(message) = of_key().filter(|message| message.sequence <= to.sequence).last() {
                table.rows[key] = message.is_put.then_some(*message);
                listed[key] = table.rows[key];
            } else if of_key().next().is_some() {
                // What was to be listed has been replaced since. That is read next, and no row is newer than the cursor.
                listed[key] = table.rows[key];
            }
            // Of an archive that begins with what the log holds, that is what is listed.
            if !swept {
                let gone = |message: &&Message| {
                    usize::from(message.key) == key && log.at(message.sequence).is_none()
                };
                let gone = log.messages.iter().filter(gone);
                table.excused = gone.fold(table.excused, |mask, message| mask | 1 << message.sequence);
            }
            if self.has(Guard::NoCursorWhileReconciling) {
                table.cursor = None;
            } else if key == 0 {
                table.cursor = Some(to);
            }
            return Phase::Reconciling {
                to,
                listed,
                key: key + 1,
                swept,
            };
        }
        if log.created != to.created && self.has(Guard::LogWhileReading) {
            return Phase::Deciding { vanished: false };
        }
        let asked = unlisted_is_deleted(self.mode, table.has_evicted, &retention(log.evicts));
        if !(if self.has(Guard::AskingBeforeSweeping) {
            asked
        } else {
            swept
        }) && table.rows != listed
        {
            // What was not listed may be deleted or evicted. Without a cursor it is decided anew.
            return Phase::Deciding { vanished: false };
        }
        table.rows = listed;
        table.cursor = Some(to);
        // Nobody has looked yet whether the log goes on from there.
        Phase::Following(to, 0)
    }

    /// A table that begins with nothing, and of whose log there is no artifact for it, begins with what the log holds.
    fn excuse(&self, state: &mut State) {
        let log = &state.log;
        let archived = self.kind == Kind::Same
            && state
                .exports
                .pointer
                .is_some_and(|named| named.place.created == log.created);
        let gone = log
            .messages
            .iter()
            .filter(|message| log.at(message.sequence).is_none());
        let excused = gone.fold(0, |mask, message| mask | 1 << message.sequence);
        state.table.excused = if archived { 0 } else { excused };
    }

    fn load(&self, state: &mut State, artifact: &Artifact, changed: bool) {
        if changed {
            state.seen = [0; KEYS];
        }
        let (log, table) = (&state.log, &mut state.table);
        table.rows = artifact.rows;
        if self.mode == Mode::Mirror {
            table.rows = table
                .rows
                .map(|row| row.filter(|row| row.sequence >= log.first()));
        }
        table.cursor = Some(artifact.place);
        table.excused = 0;
        let place = artifact.place;
        let other = log
            .at(place.sequence)
            .is_some_and(|message| message.branch != place.branch);
        let goes_on = log.first() <= place.sequence + 1 && place.sequence <= log.last() && !other;
        state.in_vain |= place.created != log.created || !goes_on;
        table.has_evicted |= artifact.has_evicted;
    }
}

fn is_change(reason: ReconcileReason) -> bool {
    matches!(
        reason,
        ReconcileReason::LogReplaced | ReconcileReason::TailLost | ReconcileReason::HistoryChanged
    )
}

fn follows_change(reason: RestoreReason) -> bool {
    matches!(
        reason,
        RestoreReason::LogReplaced | RestoreReason::TailLost | RestoreReason::HistoryChanged
    )
}
