//! Tables with one fault each.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use alluvium_conformance::{EngineHarness, TableHarness, Tables, ThisTest, table as suite};
use alluvium_core::{
    Binding, BoxError, Change, ChangesSince, Cursor, DeleteReason, Entry, KeyRange, Row, RowIter, Sequence,
    Table, TableError, TableSnapshot, TableStats,
};
use alluvium_engine::{Engine, EngineError};
use alluvium_memory::{MemoryEngine, MemoryOptions};

use super::{assert_each_finds, assert_found};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// The data first, then the cursor.
    CursorLater,
    /// The cursor first, then the data.
    CursorFirst,
    /// Old changes are applied again.
    OldChangesAgain,
    /// The first change of a key in a batch counts.
    FirstChangeCounts,
    /// A snapshot reads what is there when it is asked.
    MovingSnapshot,
    /// A load takes the old rows away and puts the new ones in, one after the other.
    LoadInSteps,
    /// Changes without the deletes.
    NoDeletes,
    /// Before the floor what is known is given.
    KnownChangesOnly,
    /// A repair keeps the cursor.
    RepairKeepsTheCursor,
    /// Any binding is taken.
    AnyBinding,
    /// A cursor of any log is taken for one of the table's own.
    AnyLog,
    /// From where on it has seen its log is lost in a load.
    LoadForgetsSince,
}

struct Sound;

impl EngineHarness for Sound {
    fn open(&self, dir: &Path) -> Result<Arc<dyn Engine>, EngineError> {
        Ok(Arc::new(MemoryEngine::open(dir, MemoryOptions::default())?))
    }
}

struct Mutant(Fault);

impl TableHarness for Mutant {
    fn open_tables(&self, dir: &Path) -> Result<Box<dyn Tables>, TableError> {
        let sound = Sound.open_tables(dir)?;
        Ok(Box::new(BrokenTables { sound, fault: self.0 }))
    }
}

struct BrokenTables {
    sound: Box<dyn Tables>,
    fault: Fault,
}

impl Tables for BrokenTables {
    fn table(&self, name: &str) -> Result<Arc<dyn Table>, TableError> {
        Ok(Arc::new(Broken {
            inner: self.sound.table(name)?,
            fault: self.fault,
        }))
    }

    fn close(&self) -> Result<(), TableError> {
        self.sound.close()
    }
}

struct Broken {
    inner: Arc<dyn Table>,
    fault: Fault,
}

impl Broken {
    /// The cursor as the table's own log would have it.
    fn own(&self, cursor: &Cursor) -> Cursor {
        let mut own = cursor.clone();
        if let (Fault::AnyLog, Some(at)) = (self.fault, self.inner.cursor()) {
            own.log = at.log;
        }
        own
    }
}

impl Table for Broken {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn binding(&self) -> Option<Binding> {
        self.inner.binding()
    }

    fn bind(&self, binding: &Binding) -> Result<(), TableError> {
        match self.inner.bind(binding) {
            Err(TableError::Mismatch { .. }) if self.fault == Fault::AnyBinding => Ok(()),
            outcome => outcome,
        }
    }

    fn has_evicted(&self) -> bool {
        self.inner.has_evicted()
    }

    fn remember_eviction(&self) -> Result<(), TableError> {
        self.inner.remember_eviction()
    }

    fn since(&self) -> Option<Sequence> {
        self.inner.since()
    }

    fn remember_since(&self, since: Option<Sequence>) -> Result<(), TableError> {
        self.inner.remember_since(since)
    }

    fn cursor(&self) -> Option<Cursor> {
        self.inner.cursor()
    }

    fn apply(&self, changes: &[Change], cursor: &Cursor) -> Result<(), TableError> {
        let mut own = changes.to_vec();
        match self.fault {
            Fault::CursorLater if !changes.is_empty() => {
                self.inner.amend(changes)?;
                // As long as a write to a disk takes.
                thread::sleep(Duration::from_micros(200));
                own.clear();
            }
            Fault::CursorFirst if !changes.is_empty() => {
                self.inner.apply(&[], cursor)?;
                thread::sleep(Duration::from_micros(200));
                let at = self.inner.cursor();
                self.inner.amend(changes)?;
                return self.inner.apply(&[], &at.unwrap_or_else(|| cursor.clone()));
            }
            Fault::OldChangesAgain => {
                let at = self.inner.cursor();
                if let Some(at) = at.filter(|at| changes.iter().any(|change| change.sequence <= at.sequence))
                {
                    self.inner.amend(changes)?;
                    own.clear();
                    let furthest = if at.sequence > cursor.sequence {
                        &at
                    } else {
                        cursor
                    };
                    return self.inner.apply(&own, furthest);
                }
            }
            Fault::FirstChangeCounts => {
                let mut seen = std::collections::BTreeSet::new();
                own.retain(|change| seen.insert(change.key.clone()));
            }
            _ => {}
        }
        self.inner.apply(&own, &self.own(cursor))
    }

    fn amend(&self, changes: &[Change]) -> Result<(), TableError> {
        let at = self.inner.cursor();
        self.inner.amend(changes)?;
        match at {
            Some(at) if self.fault == Fault::RepairKeepsTheCursor => self.inner.apply(&[], &at),
            _ => Ok(()),
        }
    }

    fn forget(&self, keys: &[bytes::Bytes]) -> Result<(), TableError> {
        self.inner.forget(keys)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Entry>, TableError> {
        self.inner.get(key)
    }

    fn snapshot(&self) -> Result<Arc<dyn TableSnapshot>, TableError> {
        Ok(Arc::new(BrokenSnapshot {
            inner: self.inner.snapshot()?,
            table: Arc::clone(&self.inner),
            fault: self.fault,
        }))
    }

    fn load(
        &self,
        rows: &mut dyn Iterator<Item = Result<Row, BoxError>>,
        cursor: &Cursor,
    ) -> Result<(), TableError> {
        if self.fault == Fault::LoadForgetsSince {
            self.inner.remember_since(None)?;
        }
        if self.fault != Fault::LoadInSteps {
            return self.inner.load(rows, cursor);
        }
        let old = self.inner.snapshot()?.scan(&KeyRange::all())?;
        for row in old {
            let delete = Change::delete(row?.0, DeleteReason::Vanished, cursor.sequence, cursor.timestamp);
            self.inner.amend(&[delete])?;
        }
        for row in rows {
            let (key, entry) = row.map_err(TableError::Rows)?;
            self.inner
                .amend(&[Change::put(key, entry.value, entry.sequence, entry.timestamp)])?;
        }
        self.inner.apply(&[], cursor)
    }

    fn track_changes(&self, on: bool) -> Result<(), TableError> {
        self.inner.track_changes(on)
    }

    fn sync(&self) -> Result<(), TableError> {
        self.inner.sync()
    }

    fn stats(&self) -> Result<TableStats, TableError> {
        self.inner.stats()
    }
}

struct BrokenSnapshot {
    inner: Arc<dyn TableSnapshot>,
    table: Arc<dyn Table>,
    fault: Fault,
}

impl BrokenSnapshot {
    fn now(&self) -> Arc<dyn TableSnapshot> {
        match self.fault {
            Fault::MovingSnapshot => self.table.snapshot().unwrap(),
            _ => Arc::clone(&self.inner),
        }
    }
}

impl TableSnapshot for BrokenSnapshot {
    fn cursor(&self) -> Option<Cursor> {
        self.inner.cursor()
    }

    fn get(&self, key: &[u8]) -> Result<Option<Entry>, TableError> {
        self.now().get(key)
    }

    fn scan(&self, range: &KeyRange) -> Result<RowIter, TableError> {
        self.now().scan(range)
    }

    fn changes_since(&self, since: Sequence) -> Result<ChangesSince, TableError> {
        let changes = match self.inner.changes_since(since) {
            Err(TableError::Trimmed { floor, .. }) if self.fault == Fault::KnownChangesOnly => {
                self.inner.changes_since(floor)?
            }
            changes => changes?,
        };
        if self.fault == Fault::NoDeletes {
            let puts = changes.filter(|change| change.as_ref().is_ok_and(|change| change.value().is_some()));
            return Ok(Box::new(puts));
        }
        Ok(changes)
    }
}

type Test = fn(&dyn TableHarness);

#[track_caller]
fn found(fault: Fault, tests: &[(Test, &str)]) {
    assert_each_finds(
        tests,
        |test| test(&Mutant(Fault::None)),
        |test| test(&Mutant(fault)),
    );
}

#[test]
fn a_cursor_that_moves_after_the_data() {
    found(
        Fault::CursorLater,
        &[(
            suite::o1_a_snapshot_is_exact_at_its_cursor_beside_a_writer,
            "a scoped thread panicked",
        )],
    );
    let test = ThisTest::at(concat!(module_path!(), "::a_cursor_that_moves_after_the_data"));
    let fault = || {
        for _ in 0..20 {
            suite::o1_a_kill_leaves_a_prefix_of_the_log_at_its_cursor(&Mutant(Fault::CursorLater), test);
        }
    };
    assert_found(fault, "");
}

#[test]
fn a_cursor_that_moves_before_the_data() {
    found(
        Fault::CursorFirst,
        &[(
            suite::o1_a_snapshot_is_exact_at_its_cursor_beside_a_writer,
            "a scoped thread panicked",
        )],
    );
}

#[test]
fn old_changes_that_are_applied_again() {
    found(
        Fault::OldChangesAgain,
        &[
            (suite::o2_applying_again_changes_nothing, "assertion"),
            (suite::o2_random_overlapping_batches_are_as_one_pass, "assertion"),
        ],
    );
}

#[test]
fn a_first_change_that_counts() {
    found(
        Fault::FirstChangeCounts,
        &[(suite::o1_the_last_change_of_a_key_in_a_batch_counts, "assertion")],
    );
}

#[test]
fn a_snapshot_that_moves() {
    found(
        Fault::MovingSnapshot,
        &[
            (
                suite::o3_snapshots_stand_still_through_applies_repairs_and_loads,
                "has moved",
            ),
            (suite::o3_a_snapshot_stands_still_beside_a_concurrent_writer, ""),
        ],
    );
}

#[test]
fn a_load_in_steps() {
    found(
        Fault::LoadInSteps,
        &[
            (
                suite::o4_a_load_whose_rows_fail_leaves_the_old_content,
                "assertion",
            ),
            (
                suite::o4_a_load_of_unsorted_rows_leaves_the_old_content,
                "refused",
            ),
            (suite::o4_readers_see_the_old_content_until_a_load_returns, ""),
        ],
    );
}

#[test]
fn a_load_in_steps_and_killed() {
    let test = ThisTest::at(concat!(module_path!(), "::a_load_in_steps_and_killed"));
    assert_found(
        || {
            for _ in 0..20 {
                suite::o4_a_kill_during_a_load_leaves_the_old_content_or_the_new(
                    &Mutant(Fault::LoadInSteps),
                    test,
                );
            }
        },
        "load",
    );
}

#[test]
fn changes_without_the_deletes() {
    found(
        Fault::NoDeletes,
        &[
            (suite::o5_deletes_are_changes, "there are"),
            (suite::o5_changes_are_whole_from_where_tracking_began, "there are"),
        ],
    );
}

#[test]
fn changes_that_are_a_part() {
    found(
        Fault::KnownChangesOnly,
        &[(
            suite::o5_changes_are_whole_from_where_tracking_began,
            "before the floor",
        )],
    );
}

#[test]
fn a_repair_that_keeps_the_cursor() {
    found(
        Fault::RepairKeepsTheCursor,
        &[(
            suite::o1_amend_takes_the_cursor_away_until_the_next_apply,
            "assertion",
        )],
    );
}

#[test]
fn a_table_that_takes_any_binding() {
    found(
        Fault::AnyBinding,
        &[(
            suite::o7_another_binding_is_refused,
            "what should have been refused was done",
        )],
    );
}

#[test]
fn a_table_that_takes_any_log() {
    found(
        Fault::AnyLog,
        &[(
            suite::o1_a_cursor_of_another_log_is_refused,
            "what should have been refused was done",
        )],
    );
}

#[test]
fn a_load_that_forgets_from_where_on_the_log_was_seen() {
    found(
        Fault::LoadForgetsSince,
        &[(
            suite::o8_from_where_on_it_has_seen_its_log_is_remembered,
            "assertion",
        )],
    );
}
