//! A process that is killed again and again while it writes and seals.

use alluvium_core::Epoch;

use super::place::{Backend, OFF, assert_holds, block_on, content, epoch, options, partials, vnode, vnodes};
use crate::process::{Part, report};
use crate::support::{Directory, length};
use crate::{BackendHarness, Random, ThisTest};

const ALL: [u32; 8] = [0, 1, 2, 3, 4, 5, 6, 7];
/// How many epochs are kept.
const KEPT: u64 = 4;

/// What a write had returned for is there whole after a kill; of one that was under way everything is there or nothing.
pub fn o1_a_kill_leaves_whole_writes(harness: &dyn BackendHarness, test: ThisTest) {
    survive(harness, test, Step::Written);
}

/// What was sealed when the kill came is sealed and whole after it.
pub fn o3_a_kill_leaves_whole_seals(harness: &dyn BackendHarness, test: ThisTest) {
    survive(harness, test, Step::Sealed);
}

/// After which step the kill comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Written,
    Sealed,
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Self::Written => "written",
            Self::Sealed => "sealed",
        }
    }
}

fn survive(harness: &dyn BackendHarness, test: ThisTest, after: Step) {
    if let Some(part) = test.child() {
        block_on(write_until_killed(harness, &part));
        return;
    }
    let directory = Directory::new();
    let mut random = Random::new(after as u64);
    let mut sealed_before = 0;
    // Written and sealed together: half of them each.
    for round in 1..=length(5, 50) {
        // Right after the one report the other is under way.
        let reports = 2 * random.below(12) + u64::from(after == Step::Written);
        let reports = test
            .start(&directory.path(), round)
            .kill_after(reports, random.below(400_000));
        let last = |step: Step| {
            let of_step = reports
                .iter()
                .filter_map(|report| report.strip_prefix(step.name()));
            of_step
                .map(|number| number.trim().parse::<u64>().unwrap())
                .next_back()
        };
        let (written, sealed) = (last(Step::Written), last(Step::Sealed));
        block_on(async {
            let place = directory.path();
            let backend = harness.open_backend(&place, options("a")).await.unwrap();
            let latest = backend.latest_complete().await.unwrap().map_or(0, Epoch::get);
            let at_least = sealed.unwrap_or(0).max(sealed_before);
            assert!(
                latest >= at_least,
                "epoch {at_least} had been sealed, and {latest} is the last one"
            );
            assert!(
                latest <= at_least + 1,
                "epoch {latest} was never sealed: the last one was {at_least}"
            );
            for number in latest.saturating_sub(KEPT).max(1)..=latest {
                if let Some(attempt) = attempt_of(&backend, number).await {
                    assert_holds(&backend, &ALL, number, attempt).await;
                    let asked = backend.epoch_complete(epoch(number), &vnodes(ALL)).await;
                    assert!(asked.unwrap(), "epoch {number}");
                }
            }
            if latest > 0 {
                assert!(
                    attempt_of(&backend, latest).await.is_some(),
                    "the latest epoch is empty"
                );
            }
            // The one that was being written: whole, or not there.
            let next = attempt_of(&backend, latest + 1).await;
            if let Some(attempt) = next {
                assert_holds(&backend, &ALL, latest + 1, attempt).await;
            }
            if written > Some(latest) {
                assert_eq!(next, Some(round), "epoch {} had been written", latest + 1);
            }
            sealed_before = latest;
            drop(backend);
        });
    }
    assert!(sealed_before > 0, "not a single epoch was sealed");
}

/// With which attempt an epoch was written, `None` if it has nothing.
async fn attempt_of(backend: &Backend, number: u64) -> Option<u64> {
    let found = backend.read_partial(vnode(0), epoch(number)).await.unwrap()?;
    let start = found.split(|byte| *byte == b' ').next().unwrap();
    let attempt = std::str::from_utf8(start).unwrap().rsplit('/').next().unwrap();
    let attempt = attempt.parse().unwrap();
    assert!(
        found == content(0, number, attempt),
        "vnode 0 of epoch {number} is damaged"
    );
    Some(attempt)
}

async fn write_until_killed(harness: &dyn BackendHarness, part: &Part) {
    let backend = harness.open_backend(&part.dir, options("a")).await.unwrap();
    let latest = backend.latest_complete().await.unwrap();
    let mut number = latest.map_or(0, Epoch::get);
    loop {
        number += 1;
        let partials = partials(ALL, number, part.round);
        backend
            .write_partials(epoch(number), OFF, partials)
            .await
            .unwrap();
        report(format_args!("{} {number}", Step::Written.name()));
        assert!(backend.epoch_complete(epoch(number), &vnodes(ALL)).await.unwrap());
        report(format_args!("{} {number}", Step::Sealed.name()));
        if number > KEPT {
            backend.prune_before(epoch(number - KEPT)).await.unwrap();
        }
    }
}
