//! Exporters: each takes what a table is at some moment, and publishes it later. One prunes.

use alluvium_core::Mode;

use crate::log::{Place, Rows};
use crate::{Action, Cast, Guard, Kind, Model, State};

/// How many exporters there are.
const SLOTS: u8 = 2;

/// What was exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Artifact {
    /// Where its table was.
    pub place: Place,
    /// What it held.
    pub rows: Rows,
    /// Its mode.
    pub mode: Mode,
    /// Whether it had seen that the log evicts.
    pub has_evicted: bool,
}

/// An export on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Export {
    artifact: Artifact,
    /// Its segments are there.
    uploaded: bool,
    /// The pointer was swapped, or superseded it.
    swapped: bool,
}

/// The store, and who publishes to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Exports {
    left: u8,
    on_their_way: [Option<Export>; SLOTS as usize],
    /// Artifacts whose segments are there.
    pub(crate) store: Vec<Artifact>,
    pub(crate) pointer: Option<Artifact>,
    /// Whether the pointer was ever swapped for an older one.
    pub(crate) fell: bool,
}

impl Exports {
    pub(crate) fn new(left: u8) -> Self {
        Self {
            left,
            on_their_way: [None; SLOTS as usize],
            store: Vec::new(),
            pointer: None,
            fell: false,
        }
    }
}

fn order(artifact: &Artifact) -> (u8, u8) {
    (artifact.place.created, artifact.place.sequence)
}

impl Model {
    pub(crate) fn export_actions(&self, state: &State, actions: &mut Vec<Action>) {
        let exports = &state.exports;
        if self.cast == Cast::Replica {
            if exports.left > 0 && state.log.last() > 0 {
                actions.push(Action::Export(0));
            }
            return;
        }
        for slot in 0..SLOTS {
            let is_busy = exports.on_their_way[usize::from(slot)].is_some();
            if is_busy || (exports.left > 0 && state.log.last() > 0) {
                actions.push(Action::Export(slot));
            }
            // Exporters that have nothing to do are alike.
            if !is_busy {
                break;
            }
        }
        if exports.store.len() > 1 || (!self.has(Guard::SparingTheNamed) || !self.has(Guard::SparingTheNew)) {
            actions.push(Action::Prune);
        }
    }

    pub(crate) fn export(&self, state: &mut State, slot: u8) {
        if self.cast == Cast::Replica {
            let artifact = self.artifact(state);
            state.exports.left -= 1;
            state.exports.store.push(artifact);
            state.exports.pointer = Some(artifact);
            return;
        }
        let slot = usize::from(slot);
        let Some(mut export) = state.exports.on_their_way[slot] else {
            state.exports.left -= 1;
            state.exports.on_their_way[slot] = Some(Export {
                artifact: self.artifact(state),
                uploaded: false,
                swapped: false,
            });
            return;
        };
        let exports = &mut state.exports;
        let upload = !export.uploaded && (export.swapped || self.has(Guard::UploadingFirst));
        if upload {
            export.uploaded = true;
            if !exports.store.contains(&export.artifact) {
                exports.store.push(export.artifact);
                exports.store.sort_by_key(order);
            }
        } else {
            export.swapped = true;
            let falls = exports
                .pointer
                .is_some_and(|named| order(&named) > order(&export.artifact));
            if !falls || !self.has(Guard::ComparingThePointer) {
                exports.pointer = Some(export.artifact);
                exports.fell |= falls;
            }
        }
        let over = export.uploaded && export.swapped;
        exports.on_their_way[slot] = (!over).then_some(export);
    }

    /// What a table that has read everything holds now.
    fn artifact(&self, state: &State) -> Artifact {
        let log = &state.log;
        let mode = match (self.kind, self.mode) {
            (Kind::OtherMode, Mode::Mirror) | (Kind::Same | Kind::Narrower, Mode::Archive) => Mode::Archive,
            (Kind::OtherMode, Mode::Archive) | (Kind::Same | Kind::Narrower, Mode::Mirror) => Mode::Mirror,
        };
        let mut rows = Self::truth(mode, log, 0);
        if self.kind == Kind::Narrower {
            rows[1] = None;
        }
        let mut place = log.place(log.last());
        // It has read the last message, even if that is gone by now.
        place.branch = log.messages.last().map_or(place.branch, |message| message.branch);
        Artifact {
            place,
            rows,
            mode,
            has_evicted: log.has_evicted,
        }
    }

    pub(crate) fn prune(&self, state: &mut State) {
        let exports = &mut state.exports;
        let (named, new) = (exports.pointer, exports.on_their_way);
        exports.store.retain(|artifact| {
            let is_named = named == Some(*artifact) && self.has(Guard::SparingTheNamed);
            let is_new = new.iter().flatten().any(|export| export.artifact == *artifact);
            is_named || (is_new && self.has(Guard::SparingTheNew))
        });
    }
}
