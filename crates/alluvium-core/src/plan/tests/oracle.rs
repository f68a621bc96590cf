//! What each way leads to in a world, found by going it.
//!
//! What no world has, because nothing that a plan is given tells it from one in which all is well:
//!
//! - a log that lost its tail and was written past the cursor, and does not hold the message at the cursor's sequence any more;
//! - a log that evicted while nobody looked, and does so no longer;
//! - a message that came after the cursor and expired by itself before it was read;
//! - a message that is the newest of its key again, because a newer one expired by itself;
//! - an archive whose log may evict, and a key that was purged without a marker, for that is no other than an eviction;
//! - rows that vanished without a trace and were not looked for yet.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use super::super::*;
use super::grid::{ArtifactFacts, Facts, Position, Seen};
use super::world::{
    Artifact, Content, KEYS, LogWorld, Message, State, apply, artifacts, histories, logs, tables,
};

/// A log, for all that matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct LogView {
    mode: Mode,
    first: u64,
    last: u64,
    evicts: bool,
    has_evicted: bool,
    purged: bool,
    expired: u64,
    listed: Outcome,
}

/// What came of a way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Outcome {
    /// It is what the log holds.
    held: bool,
    /// It is every write minus every real delete.
    whole: bool,
}

/// A table, or the one that an artifact is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct StateView {
    at: Option<Position>,
    /// Whether its last message was lost by the log.
    other_branch: bool,
    has_rows: bool,
    /// Whether the log has forgotten a row so that it must be looked for.
    vanished: bool,
    /// Of rows without a cursor, the newest that is of this log, and of a mirror still in it.
    newest: u64,
    /// What comes of reading on from there.
    resumed: Option<Outcome>,
    /// What comes of adding what the log lists.
    added: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct ArtifactView {
    facts: ArtifactFacts,
    state: StateView,
}

/// One world.
#[derive(Clone, Copy)]
struct World<'a> {
    log: &'a LogView,
    table: &'a StateView,
    /// Whether the table remembers evictions.
    has_evicted: bool,
    artifact: Option<&'a ArtifactView>,
}

/// Whether a way leads to the truth in every world that looks the same.
#[allow(clippy::struct_excessive_bools, reason = "each is asked for alone")]
#[derive(Clone, Copy, Debug)]
pub(super) struct Judgement {
    resume: bool,
    reconcile: bool,
    restore: bool,
    /// Whether in some of them something was evicted. Where the log is so short that it holds all that it ever got, an
    /// archive could be put right by listing it, and the plan, which does not count messages, refuses.
    something_is_gone: bool,
}

/// Goes every way in every world.
pub(super) fn judgements() -> HashMap<Facts, Judgement> {
    let (mut judgements, mut seen) = (HashMap::new(), HashSet::new());
    for messages in histories() {
        let (tables, artifacts) = (tables(&messages), artifacts(&messages));
        for log in logs(&messages) {
            for mode in [Mode::Mirror, Mode::Archive] {
                let view = LogView::of(mode, &log);
                let tables = distinct(tables.iter().map(|table| StateView::of(mode, &log, table)));
                let artifacts = distinct(artifacts.iter().filter_map(|it| ArtifactView::of(mode, &log, it)));
                // Many histories come to the same.
                if seen.insert((view, tables.clone(), artifacts.clone())) {
                    judge_all(&view, &tables, &artifacts, &mut judgements);
                }
            }
        }
    }
    judgements
}

fn judge_all(
    log: &LogView,
    tables: &[StateView],
    artifacts: &[ArtifactView],
    judgements: &mut HashMap<Facts, Judgement>,
) {
    for table in tables {
        for artifact in std::iter::once(None).chain(artifacts.iter().map(Some)) {
            for has_evicted in [false, true] {
                let world = World {
                    log,
                    table,
                    has_evicted,
                    artifact,
                };
                if world.can_be_told() {
                    let judged = world.judge();
                    for vanished in world.what_looking_finds() {
                        let so_far = judgements.entry(world.facts(*vanished)).or_insert(judged);
                        so_far.add(judged);
                    }
                }
            }
        }
    }
}

fn distinct<T: Copy + Eq + Hash>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = HashSet::new();
    all.filter(|one| seen.insert(*one)).collect()
}

impl LogView {
    fn of(mode: Mode, log: &LogWorld) -> Self {
        Self {
            mode,
            first: log.first(),
            last: log.last(),
            evicts: log.evicts,
            has_evicted: log.has_evicted,
            purged: log.purged,
            expired: log.expired,
            listed: outcome(log, &apply([None; KEYS], log.retained())),
        }
    }

    /// Whether what the log holds shows that it was another one when a state was made of it.
    fn shows_change(&self, at: Position) -> bool {
        at.of_this_log && (at.sequence > self.last || at.seen == Seen::Another)
    }
}

fn outcome(log: &LogWorld, content: &Content) -> Outcome {
    Outcome {
        held: *content == apply([None; KEYS], log.retained()),
        whole: *content == log.whole,
    }
}

impl StateView {
    fn of(mode: Mode, log: &LogWorld, state: &State) -> Self {
        let rows = || state.content.iter().flatten();
        // Of a mirror, rows below the first sequence go by that alone.
        let is_looked_for = |sequence| mode == Mode::Archive || sequence >= log.first();
        let counts = |row: &&Message| {
            let of_log = mode == Mode::Archive || log.retained().any(|message| message == *row);
            state.at.is_none() && row.branch == 0 && of_log
        };
        Self {
            at: log.position(state),
            other_branch: state.branch == 1,
            has_rows: rows().next().is_some(),
            vanished: rows().any(|row| log.has_lost(row) && is_looked_for(row.sequence)),
            newest: rows().filter(counts).map(|row| row.sequence).max().unwrap_or(0),
            resumed: resume(mode, log, state).map(|content| outcome(log, &content)),
            added: outcome(log, &apply(state.content, log.retained())),
        }
    }
}

/// Reads on from where a table is, and forgets what the log has forgotten, if that is what it is to do.
fn resume(mode: Mode, log: &LogWorld, state: &State) -> Option<Content> {
    let after = match state.at {
        // A server waits for ever at what does not exist.
        Some((of_this_log, sequence)) if !of_this_log || sequence > log.last() => return None,
        Some((_, sequence)) => sequence,
        None => 0,
    };
    let rest = log.retained().filter(|message| message.sequence > after);
    let content = apply(state.content, rest);
    Some(match mode {
        Mode::Mirror => content.map(|row| row.filter(|row| row.sequence >= log.first())),
        Mode::Archive => content,
    })
}

impl ArtifactView {
    fn of(mode: Mode, log: &LogWorld, artifact: &Artifact) -> Option<Self> {
        let mut state = artifact.state.clone();
        if mode == Mode::Mirror {
            state.content = state
                .content
                .map(|row| row.filter(|row| row.sequence >= log.first()));
        }
        let mut view = StateView::of(mode, log, &state);
        let facts = ArtifactFacts {
            at: view.at?,
            of_scope: artifact.of_scope,
            mode: artifact.mode,
            has_evicted: artifact.has_evicted,
        };
        view.has_rows = false;
        view.added = outcome(log, &[None; KEYS]);
        if !artifact.of_scope || artifact.mode != mode {
            // It holds what is right by chance only, and is no way.
            view.resumed = None;
            view.vanished = false;
        }
        let state = view;
        Some(Self { facts, state })
    }
}

impl World<'_> {
    /// Whether it is none of those that look as if all were well.
    fn can_be_told(&self) -> bool {
        let log = self.log;
        let hidden = |state: &StateView| {
            let changed = |at: Position| at.of_this_log && state.other_branch && !log.shows_change(at);
            state.at.is_some_and(changed)
        };
        let read = |state: &StateView| {
            state
                .at
                .is_none_or(|at| !at.of_this_log || log.expired <= at.sequence)
        };
        if hidden(self.table) || !read(self.table) {
            return false;
        }
        let archive = log.mode == Mode::Archive;
        let mut may_evict = log.evicts || self.has_evicted;
        if let Some(ArtifactView { facts, state }) = self.artifact {
            let table_changed = self.table.at.is_some_and(|at| log.shows_change(at));
            // What an artifact holds may vanish as well; that is looked for once it is restored.
            let vanished = state.vanished && !(archive && log.has_evicted);
            if (hidden(state) && !table_changed) || !read(state) || vanished {
                return false;
            }
            may_evict |= facts.has_evicted && facts.mode == Mode::Archive && facts.at.of_this_log;
        }
        let somebody_saw = !log.has_evicted || may_evict || self.is_fresh();
        !archive || (somebody_saw && !(log.purged && may_evict))
    }

    /// Whether nothing but what the log holds is expected of the table: it has nothing, and no artifact tells of more.
    fn is_fresh(&self) -> bool {
        let has_begun = self.table.at.is_some_and(|at| at.of_this_log) || self.table.has_rows;
        let archived = self.artifact.is_some_and(|ArtifactView { facts, .. }| {
            facts.at.of_this_log && facts.at.sequence > 0 && facts.of_scope && facts.mode == self.log.mode
        });
        !has_begun && !archived
    }

    /// What the caller may have found of rows that vanished.
    fn what_looking_finds(&self) -> &'static [bool] {
        let goes_on = |at: Position| at.of_this_log && !self.log.shows_change(at);
        if !self.table.at.is_some_and(goes_on) {
            return &[false, true];
        }
        // An archive of a log that evicts is right whether or not it looks.
        let need_not = self.log.mode == Mode::Archive && self.log.has_evicted;
        match (self.table.vanished, need_not) {
            (true, false) => &[true],
            (true, true) => &[false, true],
            (false, _) => &[false],
        }
    }

    fn facts(&self, vanished: bool) -> Facts {
        Facts {
            mode: self.log.mode,
            first: self.log.first,
            last: self.log.last,
            evicts: self.log.evicts,
            cursor: self.table.at,
            has_rows: self.table.has_rows,
            has_evicted: self.has_evicted,
            vanished,
            newest: self.artifact.map(|artifact| artifact.facts),
        }
    }

    fn judge(&self) -> Judgement {
        let is_true = |outcome: Outcome| match self.log.mode {
            Mode::Mirror => outcome.held,
            Mode::Archive => outcome.whole || (self.is_fresh() && outcome.held),
        };
        let restored = self.artifact.filter(|artifact| !self.goes_back(artifact));
        let restored = restored.and_then(|artifact| artifact.state.resumed);
        // Of an archive, what is not listed stays if it may have been evicted.
        let keeps = self.log.mode == Mode::Archive && (self.log.evicts || self.has_evicted);
        Judgement {
            resume: self.table.resumed.is_some_and(is_true) && !self.would_lie(),
            reconcile: is_true(if keeps { self.table.added } else { self.log.listed }),
            restore: restored.is_some_and(is_true),
            something_is_gone: self.log.has_evicted,
        }
    }

    /// Whether reading on, even if all is right in the end, would have the table say that it is exact where it holds what
    /// was deleted: an artifact of it would be wrong.
    fn would_lie(&self) -> bool {
        let overrun = |at: Position| at.sequence + 1 < self.log.first;
        self.table.has_rows && self.table.at.is_some_and(overrun)
    }

    /// Whether a reader would see a key go back to what it was before, although the log did not.
    fn goes_back(&self, artifact: &ArtifactView) -> bool {
        self.table.newest > artifact.facts.at.sequence
    }
}

impl Judgement {
    /// One more world that looks the same.
    fn add(&mut self, other: Self) {
        self.resume &= other.resume;
        self.reconcile &= other.reconcile;
        self.restore &= other.restore;
        self.something_is_gone |= other.something_is_gone;
    }

    /// Checks a decision.
    pub(super) fn check(self, facts: &Facts, decided: &Plan) {
        let told = || format!("{facts:?}\n{self:?}\n{decided:?}");
        match decided {
            Plan::Resume { .. } => assert!(self.resume, "reading on misses something: {}", told()),
            Plan::Reconcile(_) => {
                assert!(self.reconcile, "what is listed is not the truth: {}", told());
                assert!(!self.resume, "reading on would do: {}", told());
            }
            Plan::Restore { .. } => {
                assert!(self.restore, "it does not lead to the truth: {}", told());
                assert!(!self.resume || !facts.has_rows, "reading on would do: {}", told());
                let archive = facts.mode == Mode::Archive;
                let spares = facts
                    .newest
                    .is_some_and(|newest| newest.at.sequence >= facts.first);
                assert!(archive || spares, "nothing is gained: {}", told());
                let pays = archive || !facts.has_rows || facts.is_overrun();
                assert!(pays, "a reconcile fetches less: {}", told());
            }
            Plan::Refuse(_) => {
                let mended = self.resume || self.reconcile || self.restore;
                assert!(!mended || !self.something_is_gone, "there is a way: {}", told());
            }
        }
    }
}
