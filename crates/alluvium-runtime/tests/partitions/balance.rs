//! Who has how many partitions.

use std::sync::atomic::Ordering;

use alluvium_core::CursorStore as _;
use alluvium_runtime::PartitionEvent;
use tokio::time::Instant;

use super::support::{LOOK, Place, TTL};
use crate::eventually::eventually;

#[tokio::test(start_paused = true)]
async fn one_process_has_all_partitions_and_handles_every_message_once() {
    let place = Place::of(5);
    place.fill(50);
    let alone = place.process("alone");
    alone.until_works_on(5).await;
    eventually("the last message", || place.handled() == 250).await;
    let status = alone.partitions.status();
    assert_eq!((status.slot, status.processes, status.share), (Some(0), 1, 5));
    let survey = alone.partitions.survey().await.unwrap();
    for (record, held) in survey.iter().zip(&status.held) {
        assert_eq!((record.partition, record.version), (held.partition, held.version));
        assert_eq!(record.held.as_ref().map(|(by, _)| by.as_str()), Some("alone"));
    }
    alone.partitions.stop_and_join().await.unwrap();
    place.check_effects(50);
    assert_eq!(place.effects.all().len(), 250, "nothing was given twice");
    for partition in 0..5_u64 {
        let name = format!("counter/partition-{partition}");
        let record = place.cursors.load(&name).await.unwrap().unwrap();
        assert!(record.cursor.sequence.get() > 245, "{record:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_comes_and_whoever_goes_the_shares_are_fair_and_nothing_is_done_twice() {
    let place = Place::of(16);
    place.fill(20);
    let first = place.process("first");
    first.until_works_on(16).await;
    let second = place.process("second");
    second.until_works_on(8).await;
    first.until_works_on(8).await;
    place.fill(20);
    let third = place.process("third");
    third.until_works_on(5).await;
    first.until_works_on(6).await;
    second.until_works_on(5).await;

    // They have different ones, and all of them.
    let mut all = [first.held(), second.held(), third.held()].concat();
    all.sort_unstable();
    assert!(all.iter().copied().eq(0..16), "{all:?}");

    // Who leaves is succeeded at the next look, and not only when the leases are over.
    let left = Instant::now();
    first.partitions.stop_and_join().await.unwrap();
    second.until_works_on(8).await;
    third.until_works_on(8).await;
    assert!(left.elapsed() <= LOOK * 2, "{:?}", left.elapsed());

    place.fill(20);
    eventually("the last message", || place.handled() == 16 * 60).await;
    second.partitions.stop_and_join().await.unwrap();
    third.partitions.stop_and_join().await.unwrap();
    place.check_effects(60);
    assert_eq!(place.effects.all().len(), 16 * 60, "nothing was given twice");
}

#[tokio::test(start_paused = true)]
async fn what_is_left_is_finished_and_committed_first() {
    let place = Place::of(2);
    let first = place.process("first");
    first.until_works_on(2).await;
    first.hand.close();
    place.fill(3);
    first.hand.until_waits(2).await;

    // One of the two is to go: not before its handler is done.
    let second = place.process("second");
    first
        .until(|status| status.held.iter().any(|held| held.leaving))
        .await;
    second.until(|status| status.looks > 20).await;
    assert_eq!(second.held(), [] as [u32; 0]);
    first.hand.open();
    second.until_works_on(1).await;
    assert!(place.effects.all().iter().all(|effect| effect.process == "first"));
    place.fill(3);
    eventually("the last message", || place.handled() == 12).await;
    first.partitions.stop_and_join().await.unwrap();
    second.partitions.stop_and_join().await.unwrap();
    place.check_effects(6);
    assert_eq!(place.effects.all().len(), 12, "nothing was given twice");
}

#[tokio::test(start_paused = true)]
async fn who_finds_no_slot_waits_for_one() {
    let place = Place::of(4);
    let cursors = || std::sync::Arc::new(place.cursors.clone());
    let first = place.process_with("first", cursors(), |builder| builder.processes(2));
    let second = place.process_with("second", cursors(), |builder| builder.processes(2));
    first.until_works_on(2).await;
    second.until_works_on(2).await;
    let third = place.process_with("third", cursors(), |builder| builder.processes(2));
    let status = third.until(|status| status.looks > 20).await;
    assert_eq!((status.slot, status.share, status.processes), (None, 0, 2));
    assert!(status.held.is_empty());
    first.partitions.stop_and_join().await.unwrap();
    third.until_works_on(2).await;
    assert_eq!(third.partitions.status().slot, Some(0));
}

/// What the documentation says that it costs, while all is quiet and while a process lacks partitions that others keep.
#[tokio::test(start_paused = true)]
async fn requests_are_as_many_as_it_says() {
    let place = Place::of(16);
    let (first, second) = (place.process("first"), place.process("second"));
    first.until_works_on(8).await;
    second.until_works_on(8).await;
    let looks = |process: &super::support::Process| process.partitions.status().looks;
    let (before, looked, begun) = (
        second.wire.calls.load(Ordering::SeqCst),
        looks(&second),
        Instant::now(),
    );
    second.until(|status| status.looks >= looked + 60).await;
    assert!(begun.elapsed() >= LOOK * 60, "{:?}", begun.elapsed());
    let calls = second.wire.calls.load(Ordering::SeqCst) - before;
    // A read of the 15 other slots each look, and renewals of 8 partitions and one slot each third of the ttl.
    let renewals = 9 * (60 * LOOK.as_secs() / (TTL / 3).as_secs() + 1);
    assert!(calls <= 60 * 15 + 15 + renewals, "{calls}");

    // Who lacks some tries them, and no more often than it looks.
    first.hand.close();
    place.fill(1);
    first.hand.until_waits(8).await;
    let third = place.process("third");
    third.until(|status| status.looks >= 1).await;
    let (before, looked) = (third.wire.calls.load(Ordering::SeqCst), looks(&third));
    third.until(|status| status.looks >= looked + 30).await;
    let calls = third.wire.calls.load(Ordering::SeqCst) - before;
    assert!(calls <= 31 * (15 + 16) + 6 * 16, "{calls}");
    first.hand.open();
    third.until_works_on(5).await;
}

#[tokio::test(start_paused = true)]
async fn it_looks_as_often_as_it_is_told() {
    let place = Place::of(1);
    let cursors = std::sync::Arc::new(place.cursors.clone());
    let first = place.process_with("first", cursors, |builder| builder.look_every(LOOK * 3));
    first.until_works_on(1).await;
    let (looked, begun) = (first.partitions.status().looks, Instant::now());
    first.until(|status| status.looks >= looked + 10).await;
    let elapsed = begun.elapsed();
    assert!(
        elapsed > LOOK * 27 && elapsed < LOOK * 33,
        "ten looks in {elapsed:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_happens_is_told() {
    let place = Place::of(2);
    let first = place.process("first");
    first.until_works_on(2).await;
    let second = place.process("second");
    second.until_works_on(1).await;
    first.partitions.stop_and_join().await.unwrap();
    let names: Vec<&str> = first.events.all().iter().map(|(_, event)| name(event)).collect();
    assert_eq!(names[0], "shared 1, 2");
    for (what, often) in [("acquired", 2), ("started", 2), ("shared 2, 1", 1), ("left", 2)] {
        assert_eq!(
            names.iter().filter(|name| **name == what).count(),
            often,
            "{names:?}"
        );
    }
}

fn name(event: &PartitionEvent) -> &'static str {
    match event {
        PartitionEvent::Shared {
            processes: 1,
            share: 2,
        } => "shared 1, 2",
        PartitionEvent::Shared {
            processes: 2,
            share: 1,
        } => "shared 2, 1",
        PartitionEvent::Acquired { .. } => "acquired",
        PartitionEvent::Started { .. } => "started",
        PartitionEvent::Left { .. } => "left",
        _ => "something else",
    }
}
