//! A process that is killed again and again while it saves.

use alluvium_core::{Change, CursorStoreError, Sequence, Timestamp};

use super::place::{Place, at, block_on};
use crate::process::{Part, report};
use crate::support::length;
use crate::{CursorStoreHarness, Random, ThisTest};

/// After a kill the record is the last one whose save had returned, or the one whose save was under way.
pub fn o1_o2_a_kill_leaves_the_last_record_or_the_next(harness: &dyn CursorStoreHarness, test: ThisTest) {
    survive(harness, test, false);
}

/// After a kill rows and cursor are both there or both not.
pub fn o7_a_kill_leaves_rows_and_cursor_together(harness: &dyn CursorStoreHarness, test: ThisTest) {
    survive(harness, test, true);
}

/// A process that is taken over in the middle of its saves is fenced, and nothing that had been saved is lost.
pub fn o3_a_process_that_is_taken_over_is_fenced(harness: &dyn CursorStoreHarness, test: ThisTest) {
    const FENCED: &str = "fenced";
    if let Some(part) = test.child() {
        block_on(async {
            let cursors = harness.open_cursors(&part.dir).await.unwrap();
            let held = cursors.hold(harness.name()).await.unwrap();
            for number in 1.. {
                match held.save(&at(number)).await {
                    Ok(()) => report(number),
                    Err(CursorStoreError::Fenced { .. }) => break,
                    Err(error) => panic!("neither saved nor fenced: {error:?}"),
                }
            }
            report(FENCED);
            std::future::pending::<()>().await;
        });
        return;
    }
    for round in 0..length(3, 20) {
        let place = Place::new(harness);
        let mut child = test.start(&place.path(), round);
        let enough = (1 + 7 * round).to_string();
        let before = child.wait_for(|report| report == enough);
        block_on(async {
            let held = place.hold().await;
            let found = held.load().await.unwrap().unwrap();
            let sequence = found.cursor.sequence.get();
            assert_eq!(found, at(sequence), "a record that nobody saved");
            held.save(&at(1_000_000)).await.unwrap();
            let after = child.wait_for(|report| report == FENCED);
            let saved = before
                .iter()
                .chain(&after)
                .filter_map(|report| report.parse::<u64>().ok())
                .next_back()
                .unwrap();
            assert_eq!(sequence, saved, "what the former holder saved last is there");
            assert_eq!(held.load().await.unwrap(), Some(at(1_000_000)));
            held.save(&at(1_000_001)).await.unwrap();
        });
        child.kill_after(0, 0);
    }
}

fn survive(harness: &dyn CursorStoreHarness, test: ThisTest, with_rows: bool) {
    if let Some(part) = test.child() {
        block_on(save_until_killed(harness, &part, with_rows));
        return;
    }
    let place = Place::new(harness);
    let mut random = Random::new(u64::from(with_rows));
    let mut reached = 0;
    for round in 0..length(6, 100) {
        // None at all: killed while it takes the name over.
        let reports = random.below(length(30, 120));
        let reports = test
            .start(&place.path(), round)
            .kill_after(reports, random.below(400_000));
        let saved = reports.last().map_or(reached, |number| number.parse().unwrap());
        block_on(async {
            let held = place.hold().await;
            let found = held.load().await.unwrap();
            let found = found.map_or(0, |record| {
                let sequence = record.cursor.sequence.get();
                assert_eq!(record, at(sequence), "a record that nobody saved");
                sequence
            });
            assert!(
                found == saved || found == saved + 1,
                "{saved} had been saved, and the record is at {found}"
            );
            if with_rows {
                let row = place.table().await.get(b"count").unwrap();
                let count = row.map_or(0, |row| u64::from_le_bytes(row.value[..].try_into().unwrap()));
                assert_eq!(count, found, "rows and cursor are apart");
            }
            reached = found;
            drop(held);
            place.close().await;
        });
    }
    assert!(reached > 0, "not a single record was saved");
}

async fn save_until_killed(harness: &dyn CursorStoreHarness, part: &Part, with_rows: bool) {
    let cursors = harness.open_cursors(&part.dir).await.unwrap();
    let held = cursors.hold(harness.name()).await.unwrap();
    let found = held.load().await.unwrap();
    let mut number = found.map_or(0, |record| record.cursor.sequence.get());
    loop {
        number += 1;
        let mut rows = Vec::new();
        if with_rows {
            let value = number.to_le_bytes().to_vec();
            rows.push(Change::put(
                "count",
                value,
                Sequence::new(number),
                Timestamp::from_nanos(9),
            ));
        }
        held.save_with(&at(number), rows.into()).await.unwrap();
        report(number);
    }
}
