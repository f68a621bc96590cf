//! A model of a replica, its log and its artifacts, small enough that a machine goes through all that can happen.
//!
//! A log is written, forgets, is switched to forget or not to forget, loses its tail, is deleted and created again. A
//! replica does what [`alluvium_core::plan`] says, the real one, step by step, each step one atomic commit, and crashes
//! between any two. Exporters publish what a table was some time ago, and one prunes. All of them take turns in every order.
//!
//! What has to hold:
//!
//! - A replica that has come to the end, and goes on from there, holds the truth of its mode.
//! - No reader sees a key go back to what it was before, as long as the log does not.
//! - The log goes on from what is restored.
//! - The pointer never falls, and what it points to is there.
//!
//! [`Guard`] has everything that the plan and the protocol look at in order to keep that up. The model can be run
//! [without](Model::without) any of them, and the tests do: each has to be missed.

mod exporter;
mod guard;
pub mod log;
mod replica;
mod telling;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use alluvium_core::Mode;
use stateright::Property;

pub use self::exporter::{Artifact, Export, Exports};
pub use self::guard::Guard;
use self::log::{KEYS, Log, Place, Rows, apply};
pub use self::replica::{Phase, Table};

/// What happens to the log, at most once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trouble {
    /// Nothing.
    None,
    /// Its last message is lost.
    TailLost,
    /// It is deleted and created again.
    Replaced,
    /// It begins to evict.
    SwitchedOn,
    /// It evicts no longer.
    SwitchedOff,
    /// The messages of a key go, and no marker tells.
    Purged,
}

/// What is published under the artifacts' key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// What such a table holds.
    Same,
    /// What a table of a narrower scope holds.
    Narrower,
    /// What a table of the other mode holds.
    OtherMode,
}

/// Who takes part, besides the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cast {
    /// A replica, and an exporter that publishes at once. What it published gets old.
    Replica,
    /// Exporters that take their time, and one that prunes.
    Exporters,
}

/// One model.
#[derive(Clone, Debug)]
pub struct Model {
    /// The mode of the replica.
    pub mode: Mode,
    /// Who takes part.
    pub cast: Cast,
    /// What happens to the log.
    pub trouble: Trouble,
    /// What is published.
    pub kind: Kind,
    /// The guard that is taken away.
    pub without: Option<Guard>,
    /// Which ways were gone, as bits: resume, reconcile, restore, refuse.
    pub ways: Arc<AtomicU8>,
}

/// What has to hold in every state.
pub const INVARIANTS: [&str; 5] = [
    "at the end the table holds the truth",
    "no key goes back",
    "the pointer never falls",
    "what the pointer names is there",
    "the log goes on from what is restored",
];

/// The most messages of a log.
const MESSAGES: u8 = 3;

/// All there is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    log: Log,
    writes_left: u8,
    trouble_left: bool,
    table: Table,
    phase: Phase,
    crashes_left: u8,
    exports: Exports,
    /// The newest that a reader has seen of each key.
    seen: [u8; KEYS],
    went_back: bool,
    /// Whether something was restored that the log did not go on from.
    in_vain: bool,
}

/// What may happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A key is put, or deleted.
    Write {
        /// The key.
        key: u8,
        /// Whether it is put.
        is_put: bool,
    },
    /// The oldest message goes.
    Evict,
    /// What happens once, to this key if to one.
    Trouble(u8),
    /// The replica takes a step.
    Step,
    /// The replica dies, and starts again.
    Crash,
    /// An exporter takes a step.
    Export(u8),
    /// Artifacts that nobody needs are removed.
    Prune,
}

impl Model {
    /// A replica with nothing taken away.
    pub fn new(mode: Mode, trouble: Trouble, kind: Kind) -> Self {
        Self {
            mode,
            cast: Cast::Replica,
            trouble,
            kind,
            without: None,
            ways: Arc::default(),
        }
    }

    /// Exporters with nothing taken away.
    pub fn of_exporters() -> Self {
        Self {
            cast: Cast::Exporters,
            ..Self::new(Mode::Archive, Trouble::None, Kind::Same)
        }
    }

    /// The same, without this guard.
    #[must_use]
    pub fn without(mut self, guard: Guard) -> Self {
        self.without = Some(guard);
        self
    }

    fn has(&self, guard: Guard) -> bool {
        self.without != Some(guard)
    }

    fn went(&self, way: u8) {
        self.ways.fetch_or(way, Ordering::Relaxed);
    }

    /// What a table of this mode is to hold, apart from messages that were gone before it began.
    fn truth(mode: Mode, log: &Log, excused: u8) -> Rows {
        let begun = |message: &&log::Message| excused & (1 << message.sequence) == 0;
        match mode {
            Mode::Archive if log.has_evicted => apply([None; KEYS], log.messages.iter().filter(begun)),
            Mode::Archive | Mode::Mirror => apply([None; KEYS], log.held()),
        }
    }

    /// Whether a message may be evicted. One that has the sequence of a lost one is what shows that, so it stays as long as it has
    /// to show that to an archive.
    fn may_go(&self, state: &State, sequence: u8) -> bool {
        let shown = |place: Place| {
            let held = state
                .log
                .at(place.sequence)
                .filter(|_| place.sequence != sequence);
            place.sequence > state.log.last() || held.is_some_and(|message| message.branch != place.branch)
        };
        let is_known = self.mode == Mode::Archive && state.table.cursor.is_some_and(shown);
        sequence < state.log.stays_from || is_known
    }

    fn trouble_actions(&self, state: &State, actions: &mut Vec<Action>) {
        let log = &state.log;
        let possible = match self.trouble {
            Trouble::None => false,
            Trouble::TailLost | Trouble::Replaced => log.last() > 0,
            Trouble::SwitchedOn => !log.evicts,
            Trouble::SwitchedOff => log.evicts,
            Trouble::Purged => {
                let keys = 0..u8::try_from(KEYS).unwrap_or(0);
                let held = keys.filter(|key| log.held().any(|message| message.key == *key));
                return actions.extend(held.filter(|_| state.trouble_left).map(Action::Trouble));
            }
        };
        if possible && state.trouble_left {
            actions.push(Action::Trouble(0));
        }
    }

    fn make_trouble(&self, state: &mut State, key: u8) {
        let log = &mut state.log;
        state.trouble_left = false;
        match self.trouble {
            Trouble::None => {}
            Trouble::TailLost => {
                state.table.excused &= !(1 << log.last());
                log.lose_tail();
                state.seen = [0; KEYS];
            }
            Trouble::Replaced => {
                *log = Log::new(log.created + 1, log.evicts, log.history);
                state.table.excused = 0;
                state.seen = [0; KEYS];
            }
            Trouble::SwitchedOn => {
                log.evicts = true;
                log.has_evicted = true;
            }
            Trouble::SwitchedOff => log.evicts = false,
            Trouble::Purged => {
                let purged: Vec<u8> = log.held().filter(|m| m.key == key).map(|m| m.sequence).collect();
                for sequence in purged {
                    log.forget(sequence);
                }
            }
        }
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?}, {}, {:?}, {:?}",
            self.cast, self.mode, self.trouble, self.kind
        )
    }
}

impl stateright::Model for Model {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let evicts = !matches!(self.trouble, Trouble::SwitchedOn | Trouble::Purged);
        // What a lost message replaced is to be there again.
        let history = if self.trouble == Trouble::TailLost { 2 } else { 1 };
        let state = |evicts| State {
            log: Log::new(1, evicts, history),
            writes_left: if self.trouble == Trouble::TailLost || self.trouble == Trouble::Replaced {
                4
            } else {
                3
            },
            trouble_left: true,
            table: Table::default(),
            phase: Phase::Deciding { vanished: false },
            crashes_left: 1,
            exports: Exports::new(if self.cast == Cast::Replica { 1 } else { 3 }),
            seen: [0; KEYS],
            went_back: false,
            in_vain: false,
        };
        match self.trouble {
            // Whatever happens, also to a log that never forgets.
            Trouble::None | Trouble::TailLost | Trouble::Replaced => vec![state(true), state(false)],
            _ => vec![state(evicts)],
        }
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let log = &state.log;
        if state.writes_left > 0 && log.last() < MESSAGES {
            // A delete of nothing leaves nothing, and keys have no names.
            let choices: u8 = if log.last() == 0 { 1 } else { 4 };
            actions.extend((0..choices).map(|choice| Action::Write {
                key: choice / 2,
                is_put: choice % 2 == 0,
            }));
        }
        if log.evicts && log.first() <= log.last() && self.may_go(state, log.first()) {
            actions.push(Action::Evict);
        }
        self.trouble_actions(state, actions);
        if self.cast == Cast::Replica && state.phase.goes_on() {
            actions.push(Action::Step);
        }
        if self.cast == Cast::Replica && state.crashes_left > 0 {
            actions.push(Action::Crash);
        }
        self.export_actions(state, actions);
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut state = before.clone();
        match action {
            Action::Step => self.step(&mut state),
            Action::Crash => {
                state.crashes_left -= 1;
                state.phase = Phase::Deciding { vanished: false };
            }
            Action::Export(slot) => self.export(&mut state, slot),
            Action::Prune => self.prune(&mut state),
            Action::Write { key, is_put } => {
                state.writes_left -= 1;
                state.log.write(key, is_put);
            }
            Action::Evict => {
                let first = state.log.first();
                state.log.forget(first);
            }
            Action::Trouble(key) => self.make_trouble(&mut state, key),
        }
        if matches!(action, Action::Write { .. } | Action::Evict | Action::Trouble(_)) {
            state.phase.wake();
        }
        state.look();
        (state != *before).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(INVARIANTS[0], |model: &Self, state: &State| {
                let truth = || Self::truth(model.mode, &state.log, state.table.excused);
                !state.phase.is_settled() || state.table.rows == truth()
            }),
            Property::always(INVARIANTS[1], |_, state: &State| !state.went_back),
            Property::always(INVARIANTS[2], |_, state: &State| !state.exports.fell),
            Property::always(INVARIANTS[3], |_, state: &State| {
                let exports = &state.exports;
                exports.pointer.is_none_or(|named| exports.store.contains(&named))
            }),
            Property::always(INVARIANTS[4], |_, state: &State| !state.in_vain),
            Property::sometimes("somebody comes to the end", |model: &Self, state: &State| {
                let is_done = match model.cast {
                    Cast::Replica => state.phase.is_settled(),
                    Cast::Exporters => state.exports.pointer.is_some(),
                };
                is_done && state.log.last() > 1
            }),
        ]
    }
}

impl State {
    /// What a reader sees.
    fn look(&mut self) {
        for (row, seen) in self.table.rows.iter().zip(&mut self.seen) {
            let of_log =
                |row: &&log::Message| self.log.messages.get(usize::from(row.sequence) - 1) == Some(*row);
            if let Some(row) = row.as_ref().filter(of_log) {
                self.went_back |= row.sequence < *seen;
                *seen = (*seen).max(row.sequence);
            }
        }
    }
}
