//! Commits in a process that is killed again and again.

use crate::process::{Part, report};
use crate::support::{Directory, length};
use crate::{Commits, Content, EngineHarness, Random, ThisTest};

/// Kills a committing process at random moments. After each kill, every commit that had returned is there, at most the
/// one that was under way as well, and nothing else: the engine holds exactly what the commits up to there wrote.
pub(super) fn survive(harness: &dyn EngineHarness, test: ThisTest, commits: Commits) {
    if let Some(part) = test.child() {
        commit_until_killed(harness, &part, commits);
        return;
    }
    let directory = Directory::new();
    let mut random = Random::new(1);
    let (mut expected, mut at) = (Content::default(), 0);
    for round in 0..length(4, 60) {
        // None at all: killed while it starts.
        let returned = random.below(length(120, 1_500));
        let reports = test
            .start(&directory.path(), round)
            .kill_after(returned, random.below(200_000));
        let acknowledged = reports.last().map_or(at, |number| number.parse::<u64>().unwrap());
        let engine = harness.open(&directory.path()).unwrap();
        let content = Content::of(&*engine).unwrap();
        let found = Commits::position(&content);
        assert!(
            found >= acknowledged,
            "commit {acknowledged} had returned, and commit {found} is the last one left"
        );
        assert!(
            found <= acknowledged + 1,
            "commit {found} was never made: the last one to return was {acknowledged}"
        );
        while at < found {
            at += 1;
            commits.advance(&mut expected, at);
        }
        if at == 0 {
            // Killed before the first commit: some of the spaces may be there.
            assert!(content.0.values().all(std::collections::BTreeMap::is_empty));
        } else {
            assert_eq!(
                content.difference(&expected),
                None,
                "after the kill at commit {found}"
            );
        }
        if random.percent(50) {
            engine.close().unwrap();
        }
    }
    assert!(at > 0, "not a single commit was made");
}

fn commit_until_killed(harness: &dyn EngineHarness, part: &Part, commits: Commits) {
    let engine = harness.open(&part.dir).unwrap();
    let spaces = Commits::spaces(&*engine).unwrap();
    let mut number = Commits::position(&Content::of(&*engine).unwrap());
    loop {
        number += 1;
        engine.commit(commits.batch(number, spaces)).unwrap();
        report(number);
    }
}
