//! Obligation 1: every message in order and once.

use std::sync::Arc;

use alluvium_core::{LogEvent, Operation, Scope, Sequence};
use bytes::Bytes;
use futures_util::future::join_all;

use super::place::{sequences, told, with_log};
use crate::LogHarness;
use crate::support::length;

/// What was stored is read as it was stored.
pub fn o1_every_message_comes_in_order_and_once(harness: &dyn LogHarness) {
    let count = length(2_000, 50_000);
    with_log(harness, 64, async |place| {
        place.fill(1, count, 100).await;
        place.put_each(&["a.1", "b", "a.1"]).await;
        let mut reader = place.read(1).await;
        for number in 1..=count {
            let change = reader.change().await;
            assert_eq!(change.sequence.get(), number, "not the next one: {change:.100?}");
            assert_eq!(change.key, format!("a.{number}"));
            assert_eq!(change.value().map(Bytes::len), Some(100));
        }
        for key in ["a.1", "b", "a.1"] {
            assert_eq!(told(&reader.change().await), (key, Some(key)));
        }
        reader.expect_caught_up(count + 3).await;
    });
}

/// A reader that is ahead of the writer gets what the writer stores.
pub fn o1_what_is_written_meanwhile_comes_too(harness: &dyn LogHarness) {
    let count = length(500, 5_000);
    with_log(harness, 64, async |place| {
        let write = async {
            for number in 1..=count {
                let key = format!("a.{}", number % 50);
                place.put(&key, &number.to_string()).await;
            }
        };
        let read = async {
            let mut reader = place.read(1).await;
            for number in 1..=count {
                let change = reader.change().await;
                assert_eq!(change.sequence.get(), number, "not the next one: {change:.100?}");
                let expected = number.to_string();
                assert_eq!(told(&change).1, Some(expected.as_str()));
            }
            reader.expect_caught_up(count).await;
        };
        tokio::join!(write, read);
    });
}

/// Readers that wait for the next message are given it, all of them.
pub fn o1_whoever_waits_is_woken(harness: &dyn LogHarness) {
    with_log(harness, 64, async |place| {
        let other = place.owner.open().await.unwrap();
        let mut readers = Vec::new();
        for log in [&place.log, &place.log, &other] {
            let stream = Arc::clone(log).read(Sequence::FIRST, &Scope::all()).await;
            let mut reader = place.reader(stream.unwrap());
            reader.expect_caught_up(0).await;
            readers.push(reader);
        }
        for round in 1..=20 {
            let told = join_all(readers.iter_mut().map(|reader| async {
                assert_eq!(reader.change().await.sequence.get(), round);
                reader.expect_caught_up(round).await;
            }));
            tokio::join!(told, place.put("a", "value"));
        }
    });
}

/// Readers of one log, by one handle and by another, are apart: each has its own place and its own scope.
pub fn o1_readers_are_apart(harness: &dyn LogHarness) {
    with_log(harness, 64, async |place| {
        for _ in 0..50 {
            place.put_each(&["a.x", "b.x"]).await;
        }
        let other = place.owner.open().await.unwrap();
        let mut everything = place.read(1).await;
        everything.expect(1..=10).await;
        let mut late = place.read(91).await;
        let scope = Scope::of(["b.*"]).unwrap();
        let of_b = other.read(Sequence::FIRST, &scope).await.unwrap();
        let mut of_b = place.reader(of_b);
        late.expect(91..=95).await;
        for number in 1..=50 {
            assert_eq!(of_b.change().await.sequence.get(), 2 * number);
        }
        drop(of_b);
        everything.expect(11..=100).await;
        late.expect(96..=100).await;
        place.put("a.x", "more").await;
        everything.expect(101..=101).await;
        late.expect(101..=101).await;
    });
}

/// What went is left out, and no place is taken by anything else.
pub fn o1_what_went_is_left_out(harness: &dyn LogHarness) {
    with_log(harness, 1, async |place| {
        place.fill(1, 10, 10).await;
        for sequence in [3, 7, 8] {
            place.owner.remove(Sequence::new(sequence)).await;
        }
        // Of each key one message is kept.
        place.put("a.5", "again").await;
        let (changes, end) = place.read(1).await.until_caught_up().await;
        assert_eq!((sequences(&changes), end), (vec![1, 2, 4, 6, 9, 10, 11], 11));
        for from in [3, 4] {
            let (changes, _) = place.read(from).await.until_caught_up().await;
            assert_eq!(sequences(&changes), [4, 6, 9, 10, 11], "from {from}");
        }
        let (changes, _) = place.read(7).await.until_caught_up().await;
        assert_eq!(sequences(&changes), [9, 10, 11]);
    });
}

/// Values of every size and of every byte come as they are; an empty one is a put.
pub fn o1_values_come_whole(harness: &dyn LogHarness) {
    let sizes = [0, 1, 255, 4_096, 65_537, 0, 900_000, 10];
    let value = |size: usize| (0..=255).cycle().skip(size % 7).take(size).collect::<Bytes>();
    with_log(harness, 64, async |place| {
        for size in sizes {
            place.owner.put("b", value(size)).await;
        }
        let mut reader = place.read(1).await;
        for size in sizes {
            let change = reader.change().await;
            let Operation::Put(got) = &change.operation else {
                panic!("a put of {size} bytes became {:?}", change.operation)
            };
            assert!(*got == value(size), "{} bytes came of {size}", got.len());
            let at = place.at(change.sequence.get()).await;
            assert!(
                at == Some(change),
                "another message of {size} bytes by its sequence"
            );
        }
    });
}

/// The end is told at the end: before it, never, and nothing is told of again until something new comes.
pub fn o1_caught_up_is_told_at_the_end_and_not_before(harness: &dyn LogHarness) {
    let count = length(3_000, 30_000);
    with_log(harness, 1, async |place| {
        place.fill(1, count, 10).await;
        let mut reader = place.read(1).await;
        for number in 1..=count {
            match reader.event().await {
                LogEvent::Change(change) => assert_eq!(change.sequence.get(), number),
                LogEvent::CaughtUp(at) => panic!("caught up at {at}, before {number} of {count}"),
            }
        }
        reader.expect_caught_up(count).await;
        for number in count + 1..=count + 10 {
            place.put("b", "more").await;
            match reader.event().await {
                LogEvent::Change(change) => assert_eq!(change.sequence.get(), number),
                LogEvent::CaughtUp(at) => panic!("caught up at {at}, told again before {number}"),
            }
            reader.expect_caught_up(number).await;
        }
    });
}

/// Two histories of writers, one reader: what it gives rises, and nothing is given twice.
pub fn o1_writers_beside_each_other_are_in_one_order(harness: &dyn LogHarness) {
    let each = length(200, 2_000);
    with_log(harness, 64, async |place| {
        let write = |writer: &'static str| async move {
            let mut stored = Vec::new();
            for number in 0..each {
                let value = format!("{writer}{number}");
                stored.push((
                    place.put(&format!("{writer}.{}", number % 20), &value).await,
                    value,
                ));
            }
            stored
        };
        let read = async {
            let mut reader = place.read(1).await;
            let mut got = Vec::new();
            for number in 1..=2 * each {
                let change = reader.change().await;
                assert_eq!(change.sequence.get(), number, "not the next one: {change:.100?}");
                got.push((number, told(&change).1.unwrap().to_owned()));
            }
            got
        };
        let (of_a, of_b, got) = tokio::join!(write("a"), write("b"), read);
        let mut stored = [of_a, of_b].concat();
        stored.sort();
        assert_eq!(got, stored);
    });
}
