//! Obligation 2: what a returned commit wrote is there, in order.

use alluvium_engine::WriteBatch;

use super::kills;
use crate::support::OpenEngine;
use crate::{Commits, Content, EngineHarness, Reach, ThisTest};

/// Closing and opening again loses nothing, again and again.
pub fn o2_a_returned_commit_survives_a_close(harness: &dyn EngineHarness) {
    survive(harness, OpenEngine::reopen);
}

/// Dropping the engine without closing it loses nothing.
pub fn o2_a_returned_commit_survives_a_drop_without_a_close(harness: &dyn EngineHarness) {
    survive(harness, OpenEngine::drop_and_reopen);
}

fn survive<'h>(harness: &'h dyn EngineHarness, again: fn(&mut OpenEngine<'h>)) {
    let mut engine = OpenEngine::new(harness);
    let commits = Commits::new(2, Reach::InTurn);
    let mut expected = Content::default();
    for number in 1..=120 {
        let spaces = Commits::spaces(&*engine).unwrap();
        engine.commit(commits.batch(number, spaces)).unwrap();
        commits.advance(&mut expected, number);
        if number % 30 == 0 {
            again(&mut engine);
            let found = Content::of(&*engine).unwrap();
            assert_eq!(
                found.difference(&expected),
                None,
                "opened again after commit {number}"
            );
        }
    }
}

/// A space is there after a reopen though nothing was ever written to it.
pub fn o2_an_empty_space_survives(harness: &dyn EngineHarness) {
    let mut engine = OpenEngine::new(harness);
    engine.space("first").unwrap();
    engine.put("second", b"key", b"value");
    engine.space("third").unwrap();
    for again in [OpenEngine::reopen, OpenEngine::drop_and_reopen] {
        again(&mut engine);
        assert_eq!(engine.space_names(), ["first", "second", "third"]);
    }
}

/// A removed key does not come back.
pub fn o2_a_removal_survives(harness: &dyn EngineHarness) {
    let mut engine = OpenEngine::new(harness);
    engine.put_all("a", &[(b"gone", b"1"), (b"stays", b"2")]).unwrap();
    engine.reopen();
    let mut batch = WriteBatch::default();
    batch.remove(engine.space("a").unwrap(), "gone");
    engine.commit(batch).unwrap();
    for again in [OpenEngine::reopen, OpenEngine::drop_and_reopen] {
        again(&mut engine);
        assert_eq!(engine.value("a", b"gone"), None);
        assert_eq!(engine.value("a", b"stays").as_deref(), Some(&b"2"[..]));
    }
}

/// A killed process loses no commit that had returned, and of those to several spaces in turn never an earlier one
/// than it keeps.
pub fn o2_returned_commits_survive_a_kill_in_order(harness: &dyn EngineHarness, test: ThisTest) {
    kills::survive(harness, test, Commits::new(12, Reach::InTurn));
}

/// The opposite for an engine in memory: opened again it is empty, and it leaves nothing in the directory.
pub fn o2_an_engine_in_memory_begins_empty(harness: &dyn EngineHarness) {
    let engine = OpenEngine::new(harness);
    assert!(
        !engine.persistent(),
        "this engine persists: use engine_suite!(…) without `volatile` for it"
    );
    engine.put("a", b"key", b"value");
    engine.sync().unwrap();
    engine.close().unwrap();
    assert_eq!(
        harness.open(&engine.path()).unwrap().spaces().unwrap(),
        Vec::<String>::new()
    );
    assert_eq!(
        std::fs::read_dir(engine.path()).unwrap().count(),
        0,
        "files were left behind"
    );
}
