//! Engines with one fault each.

use std::collections::VecDeque;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, RwLock};

use alluvium_conformance::{EngineHarness, ThisTest, engine as suite};
use alluvium_core::KeyRange;
use alluvium_engine::{
    Engine, EngineError, EngineSnapshot, EngineStats, Pair, PairIter, PairSource, Space, WriteBatch,
};
use alluvium_memory::{MemoryEngine, MemoryOptions};
use bytes::Bytes;

use super::{assert_each_finds, assert_found};

/// How many commits are held back.
const BEHIND: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// A commit writes to the first space that it names and forgets the others.
    OneSpaceOnly,
    /// A commit is made space by space.
    SpaceBySpace,
    /// A commit returns when one is made that is [`BEHIND`] before it.
    CommitsBehind,
    /// A snapshot reads what is there when it is asked.
    MovingSnapshot,
    /// A dropped space is there again when it is made again.
    DropKeepsContent,
    /// A dropped space is dropped from what is listed only.
    DropOnlyHides,
    /// An ingest that fails leaves what came before.
    HalfAnIngest,
    /// A scan gives the last key twice.
    LastKeyTwice,
    /// A scan leaves out its included end.
    EndLeftOut,
    /// An empty value is taken for none.
    EmptyIsAbsent,
    /// Readers wait for writers.
    OneLock,
    /// What cannot be opened is made anew.
    DamageIsEmptied,
    /// The directory is moved away from under whoever has it open.
    TwoOwners,
    /// A closed engine answers as if it were empty.
    ClosedIsEmpty,
}

/// A memory engine with a journal, and a fault.
struct Mutant(Fault);

impl EngineHarness for Mutant {
    fn open(&self, dir: &Path) -> Result<Arc<dyn Engine>, EngineError> {
        let options = || MemoryOptions::default().min_compaction_bytes(64 << 10);
        let inner = match MemoryEngine::open(dir, options()) {
            Err(error) if self.0 == Fault::DamageIsEmptied && !matches!(error, EngineError::StateDir(_)) => {
                fs::remove_dir_all(dir).unwrap();
                MemoryEngine::open(dir, options())?
            }
            Err(EngineError::StateDir(_)) if self.0 == Fault::TwoOwners => MemoryEngine::in_memory(),
            opened => opened?,
        };
        Ok(Arc::new(Broken {
            inner: Arc::new(inner),
            fault: self.0,
            held_back: Mutex::default(),
            dropped: Mutex::new(Vec::new()),
            lock: RwLock::new(()),
        }))
    }

    fn is_journal(&self, file: &Path) -> bool {
        file.extension().is_some_and(|extension| extension == "journal")
    }
}

struct Broken {
    inner: Arc<dyn Engine>,
    fault: Fault,
    held_back: Mutex<VecDeque<WriteBatch>>,
    dropped: Mutex<Vec<String>>,
    lock: RwLock<()>,
}

impl Broken {
    fn hides(&self, name: &str) -> bool {
        self.dropped.lock().unwrap().iter().any(|dropped| dropped == name)
    }
}

/// The writes of a batch, space by space.
fn by_space(batch: WriteBatch) -> Vec<WriteBatch> {
    let mut batches: Vec<(Space, WriteBatch)> = Vec::new();
    for write in batch.into_writes() {
        let index = batches.iter().position(|(space, _)| *space == write.space);
        let index = index.unwrap_or_else(|| {
            batches.push((write.space, WriteBatch::default()));
            batches.len() - 1
        });
        match write.value {
            Some(value) => batches[index].1.put(write.space, write.key, value),
            None => batches[index].1.remove(write.space, write.key),
        }
    }
    batches.into_iter().map(|(_, batch)| batch).collect()
}

impl Engine for Broken {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn space(&self, name: &str) -> Result<Space, EngineError> {
        self.dropped.lock().unwrap().retain(|dropped| dropped != name);
        self.inner.space(name)
    }

    fn spaces(&self) -> Result<Vec<String>, EngineError> {
        let mut names = match self.inner.spaces() {
            Err(EngineError::Closed) if self.fault == Fault::ClosedIsEmpty => return Ok(Vec::new()),
            names => names?,
        };
        names.retain(|name| !self.hides(name));
        Ok(names)
    }

    fn drop_space(&self, name: &str) -> Result<(), EngineError> {
        if matches!(self.fault, Fault::DropKeepsContent | Fault::DropOnlyHides) {
            if self.inner.spaces()?.iter().any(|space| space == name) {
                self.dropped.lock().unwrap().push(name.to_owned());
            }
            return Ok(());
        }
        self.inner.drop_space(name)
    }

    fn commit(&self, batch: WriteBatch) -> Result<(), EngineError> {
        let _lock = (self.fault == Fault::OneLock).then(|| self.lock.write().unwrap());
        match self.fault {
            Fault::OneSpaceOnly => by_space(batch)
                .into_iter()
                .take(1)
                .try_for_each(|batch| self.inner.commit(batch)),
            Fault::SpaceBySpace => by_space(batch)
                .into_iter()
                .try_for_each(|batch| self.inner.commit(batch)),
            Fault::CommitsBehind => {
                let mut held_back = self.held_back.lock().unwrap();
                held_back.push_back(batch);
                // By one alone a kill could come just after it is made up for.
                if held_back.len() <= BEHIND {
                    return Ok(());
                }
                held_back
                    .pop_front()
                    .map_or(Ok(()), |before| self.inner.commit(before))
            }
            _ => self.inner.commit(batch),
        }
    }

    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        let _lock = (self.fault == Fault::OneLock).then(|| self.lock.read().unwrap());
        let value = self.inner.get(space, key)?;
        Ok(value.filter(|value| self.fault != Fault::EmptyIsAbsent || !value.is_empty()))
    }

    fn snapshot(&self) -> Result<Arc<dyn EngineSnapshot>, EngineError> {
        let _lock = (self.fault == Fault::OneLock).then(|| self.lock.read().unwrap());
        Ok(Arc::new(BrokenSnapshot {
            inner: self.inner.snapshot()?,
            engine: Arc::clone(&self.inner),
            fault: self.fault,
        }))
    }

    fn ingest(&self, name: &str, pairs: &mut PairSource<'_>) -> Result<Space, EngineError> {
        let _lock = (self.fault == Fault::OneLock).then(|| self.lock.write().unwrap());
        if self.fault == Fault::HalfAnIngest {
            let mut failed = None;
            let mut until_failure =
                pairs.map_while(|pair| pair.map_err(|error| failed = Some(error)).ok().map(Ok));
            let space = self.inner.ingest(name, &mut until_failure)?;
            return failed.map_or(Ok(space), |error| Err(EngineError::Pairs(error)));
        }
        self.inner.ingest(name, pairs)
    }

    fn approximate_len(&self, space: Space) -> Result<u64, EngineError> {
        self.inner.approximate_len(space)
    }

    fn sync(&self) -> Result<(), EngineError> {
        self.inner.sync()
    }

    fn stats(&self) -> Result<EngineStats, EngineError> {
        self.inner.stats()
    }

    fn close(&self) -> Result<(), EngineError> {
        for batch in self.held_back.lock().unwrap().drain(..) {
            self.inner.commit(batch)?;
        }
        self.inner.close()
    }
}

struct BrokenSnapshot {
    inner: Arc<dyn EngineSnapshot>,
    engine: Arc<dyn Engine>,
    fault: Fault,
}

impl EngineSnapshot for BrokenSnapshot {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        if self.fault == Fault::MovingSnapshot {
            return self.engine.get(space, key);
        }
        self.inner.get(space, key)
    }

    fn scan(&self, space: Space, range: &KeyRange) -> Result<PairIter, EngineError> {
        let snapshot = match self.fault {
            Fault::MovingSnapshot => self.engine.snapshot()?,
            _ => Arc::clone(&self.inner),
        };
        let mut pairs: Vec<Pair> = snapshot.scan(space, range)?.collect::<Result<_, _>>()?;
        let end = std::ops::RangeBounds::end_bound(range);
        match (self.fault, pairs.last().cloned()) {
            (Fault::LastKeyTwice, Some(last)) => pairs.push(last),
            (Fault::EndLeftOut, Some((key, _))) if end == std::ops::Bound::Included(key.as_ref()) => {
                pairs.pop();
            }
            _ => {}
        }
        Ok(PairIter::reading_ahead(pairs.into_iter().map(Ok)))
    }
}

type Test = fn(&dyn EngineHarness);

#[track_caller]
fn found(fault: Fault, tests: &[(Test, &str)]) {
    assert_each_finds(
        tests,
        |test| test(&Mutant(Fault::None)),
        |test| test(&Mutant(fault)),
    );
}

#[test]
fn a_commit_of_its_first_space_only() {
    let model = suite::o1_o2_o3_o4_o5_o6_random_operations_leave_what_they_leave_in_a_map;
    found(
        Fault::OneSpaceOnly,
        &[
            (suite::o1_a_commit_is_whole_across_spaces, "after commit"),
            (model, "in the space"),
        ],
    );
}

#[test]
fn a_commit_made_space_by_space() {
    found(
        Fault::SpaceBySpace,
        &[
            (
                suite::o1_no_snapshot_sees_half_a_commit,
                "a scoped thread panicked",
            ),
            (
                suite::o1_a_commit_with_a_dropped_handle_writes_nothing,
                "assertion",
            ),
        ],
    );
}

#[test]
fn a_commit_made_space_by_space_and_killed() {
    let test = ThisTest::at(concat!(
        module_path!(),
        "::a_commit_made_space_by_space_and_killed"
    ));
    // The space that comes first is always as far as the others or ahead of them; only a kill shows it.
    assert_found(
        || {
            for _ in 0..20 {
                suite::o1_a_kill_leaves_whole_commits(&Mutant(Fault::SpaceBySpace), test);
            }
        },
        "after the kill at commit",
    );
}

#[test]
fn a_commit_that_returns_too_early() {
    let test = ThisTest::at(concat!(module_path!(), "::a_commit_that_returns_too_early"));
    let fault = || suite::o2_returned_commits_survive_a_kill_in_order(&Mutant(Fault::CommitsBehind), test);
    assert_found(fault, "had returned");
    found(
        Fault::CommitsBehind,
        &[(
            suite::o2_a_returned_commit_survives_a_drop_without_a_close,
            "opened again after commit",
        )],
    );
}

#[test]
fn a_snapshot_that_moves() {
    found(
        Fault::MovingSnapshot,
        &[
            (
                suite::o3_a_snapshot_stands_still_across_spaces_while_commits_go_on,
                "has moved",
            ),
            (suite::o3_a_snapshot_stands_still_beside_a_concurrent_writer, ""),
            (suite::o3_a_snapshot_keeps_a_space_that_is_dropped, "NoSpace"),
            (
                suite::o1_no_snapshot_sees_half_a_commit,
                "a scoped thread panicked",
            ),
        ],
    );
}

#[test]
fn a_drop_that_keeps_the_content() {
    found(
        Fault::DropKeepsContent,
        &[
            (suite::o6_a_space_made_again_begins_empty, "assertion"),
            (suite::o6_a_dropped_space_is_gone_after_a_reopen, "assertion"),
            (
                suite::o6_the_disk_space_of_a_dropped_space_is_freed_in_time,
                "still taken",
            ),
        ],
    );
}

#[test]
fn a_drop_that_only_hides() {
    found(
        Fault::DropOnlyHides,
        &[(
            suite::o6_a_handle_to_a_dropped_space_means_nothing,
            "what should have been refused was done",
        )],
    );
}

#[test]
fn an_ingest_that_leaves_what_came_before_the_failure() {
    found(
        Fault::HalfAnIngest,
        &[(suite::o5_an_ingest_whose_source_fails_leaves_nothing, "filled")],
    );
}

#[test]
fn a_scan_that_gives_a_key_twice() {
    found(
        Fault::LastKeyTwice,
        &[(suite::o4_a_scan_gives_every_key_once_in_byte_order, "a key twice")],
    );
}

#[test]
fn a_scan_that_leaves_out_its_end() {
    found(
        Fault::EndLeftOut,
        &[(suite::o4_every_kind_of_bound_is_kept, "the scan of")],
    );
}

#[test]
fn an_empty_value_that_is_taken_for_none() {
    found(
        Fault::EmptyIsAbsent,
        &[(suite::o4_an_empty_value_is_there, "assertion")],
    );
}

#[test]
fn readers_that_wait_for_a_commit() {
    found(
        Fault::OneLock,
        &[(suite::o7_readers_do_not_wait_for_a_commit, "keep its pace")],
    );
}

#[test]
fn readers_that_wait_for_an_ingest() {
    found(
        Fault::OneLock,
        &[(suite::o7_readers_do_not_wait_for_an_ingest, "a reader waits")],
    );
}

#[test]
fn damage_that_empties_the_engine() {
    found(
        Fault::DamageIsEmptied,
        &[
            (suite::o8_a_flipped_byte_is_named, "damage"),
            (suite::o8_a_file_cut_off_is_named, "damage"),
            (suite::o8_a_missing_file_is_named, "damage"),
        ],
    );
}

#[test]
fn two_owners() {
    found(
        Fault::TwoOwners,
        &[(
            suite::o9_a_second_open_is_refused_while_the_first_lives,
            "what should have been refused was done",
        )],
    );
}

#[test]
fn a_closed_engine_that_answers() {
    found(
        Fault::ClosedIsEmpty,
        &[(
            suite::o9_a_closed_engine_says_so,
            "what should have been refused was done",
        )],
    );
}
