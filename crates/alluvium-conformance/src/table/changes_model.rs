//! Obligations 1 to 5 at once: random histories against a model.

use alluvium_core::{Sequence, TableError};
use proptest::prelude::*;

use super::changes::expect_whole_or_refused;
use super::expect;
use super::one_commit::repair;
use crate::support::{OpenTable, error_of, length, property};
use crate::{History, TableHarness, TableModel};

#[derive(Clone, Debug)]
enum Step {
    /// So many messages, the first of them so far back.
    Apply {
        back: u64,
        count: u64,
    },
    /// To so far from a hundred before the cursor.
    Load(u64),
    /// The same, in steps of so many changes.
    Repair {
        to: u64,
        chunk: usize,
    },
    Track(bool),
    Reopen,
    DropAndReopen,
}

fn step(persistent: bool) -> impl Strategy<Value = Step> {
    let reopens = u32::from(persistent);
    prop_oneof![
        8 => (0..25_u64, 1..60_u64).prop_map(|(back, count)| Step::Apply { back, count }),
        1 => (0..200_u64).prop_map(Step::Load),
        2 => (0..200_u64, 1..30_usize).prop_map(|(to, chunk)| Step::Repair { to, chunk }),
        3 => any::<bool>().prop_map(Step::Track),
        reopens => Just(Step::Reopen),
        reopens => Just(Step::DropAndReopen),
    ]
}

/// A table and what is known of it.
struct Run<'h> {
    table: OpenTable<'h>,
    history: History,
    /// What the messages up to a number make of it.
    model: TableModel,
    /// That number, once there was one.
    at: Option<u64>,
    tracked: Tracked,
}

/// Since which message changes are tracked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tracked {
    Not,
    /// It was switched on when there was no cursor.
    SinceTheNextCursor,
    Since(u64),
}

impl Run<'_> {
    fn take(&mut self, step: &Step) {
        let at = self.at.unwrap_or(0);
        let ahead = |to: u64| (at + to).saturating_sub(100);
        match *step {
            Step::Apply { back, count } => {
                let from = at.saturating_sub(back);
                let to = from + count;
                let changes = self.history.changes(from + 1..=to);
                self.table.apply(&changes, &self.history.cursor(to)).unwrap();
                self.arrive(at.max(to), false);
            }
            Step::Load(to) => {
                let model = TableModel::of(&self.history, ahead(to));
                let cursor = self.history.cursor(ahead(to));
                self.table.load(&mut model.to_load(), &cursor).unwrap();
                self.arrive(ahead(to), true);
            }
            Step::Repair { to, chunk } => {
                let target = TableModel::of(&self.history, ahead(to));
                for changes in repair(&self.model, &target, &self.history).chunks(chunk) {
                    self.table.amend(changes).unwrap();
                    assert_eq!(self.table.cursor(), None);
                }
                self.table.amend(&[]).unwrap();
                self.table.apply(&[], &self.history.cursor(ahead(to))).unwrap();
                self.arrive(ahead(to), true);
            }
            Step::Track(on) => {
                self.table.track_changes(on).unwrap();
                self.tracked = match (on, self.tracked) {
                    (true, Tracked::Not) => self.at.map_or(Tracked::SinceTheNextCursor, Tracked::Since),
                    (true, tracked) => tracked,
                    (false, _) => Tracked::Not,
                };
            }
            Step::Reopen => self.table.reopen(),
            Step::DropAndReopen => self.table.drop_and_reopen(),
        }
        self.check();
    }

    /// The cursor is at this message now, and changes before it are not known any more, or were not yet.
    fn arrive(&mut self, at: u64, anew: bool) {
        match self.at {
            Some(from) if from <= at => self.model.advance(&self.history, from, at),
            _ => self.model = TableModel::of(&self.history, at),
        }
        self.at = Some(at);
        self.tracked = match self.tracked {
            Tracked::Since(_) if anew => Tracked::Since(at),
            Tracked::SinceTheNextCursor => Tracked::Since(at),
            tracked => tracked,
        };
    }

    fn check(&self) {
        expect(&*self.table, &self.model);
        let snapshot = self.table.snapshot().unwrap();
        let floor = self.table.stats().unwrap().changes_floor;
        match self.tracked {
            Tracked::Not => {
                assert_eq!(floor, None);
                let error = error_of(snapshot.changes_since(Sequence::new(1_000_000)));
                assert!(matches!(error, TableError::NotTracked), "{error:?}");
            }
            Tracked::SinceTheNextCursor => assert_eq!(self.at, None),
            Tracked::Since(since) => {
                assert_eq!(floor, Some(History::sequence(since)), "the floor");
                expect_whole_or_refused(snapshot.as_ref(), &self.model, self.at.unwrap_or(0), floor);
            }
        }
    }
}

/// Whatever is done to the table, it holds what it should at its cursor, and its changes are whole or refused.
pub fn o1_o2_o4_o5_random_histories_leave_what_they_leave_in_a_map(harness: &dyn TableHarness) {
    let steps = prop::collection::vec(step(harness.table_capabilities().persistent), 1..25);
    property(length(12, 400), &steps, |steps| {
        let mut run = Run {
            table: OpenTable::new(harness),
            history: History::new(58),
            model: TableModel::default(),
            at: None,
            tracked: Tracked::Not,
        };
        for step in steps {
            run.take(&step);
        }
    });
}
